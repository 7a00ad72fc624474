//! Norms whose factors differ between samples: y = act(γ·x̂ + β) with x̂ = (x − μ)·r and r = 1/√(σ² + ε). Each *cell*, a channel of a
//! sample, has a μ, r, γ and β.
//!
//! The statistics, and all means E in the derivatives, are taken over sets of cells: a group of channels of one sample, or a channel of the
//! whole batch. With P(u) = u − E[u] − x̂·E[x̂u], dx = r·P(γg); with given statistics dx = r·γg. The tangent is γ·q with q = r·P(t).
//!
//! For an adjoint τ̄ of the tangent, with w = γτ̄, a = E[x̂t], b = E[x̂w] and K = E[wt] − E[w]·E[t] − ab: t̄ = r·P(w), γ̄ = Σ τ̄·q over the
//! cell, and x̄ = −r·(a·t̄ + b·q) − r²·K·x̂. An adjoint of the values adds the ordinary gradient. All of them are sums of the arrays with
//! factors of each cell, so that one walk over the numbers finds the sums and another one writes the results.

use crate::Cuda;
use crate::classes::assert_f32;
use crate::derivatives::{addresses, assert_adjoints};
use crate::launch::{Argument, Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, Type};
use crate::norm::Partial;
use gan_kernels::backend::{JvpAdjoints, Memory, NormGrads, SampleNormCall, SampleNorms, SampleStatistics};
use std::sync::Arc;

/// Sets of cells that share their statistics, as the kernels read them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sets {
    count: u64,
    /// That of a set's numbers; 0 if the statistics were given.
    inverse_count: f64,
    /// Number of cells.
    size: i32,
    is_of_channels: i32,
    channels: i32,
    /// Number of partial sums of each cell.
    blocks: i32,
}

/// Rows of γ and β, as the kernels read them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Affine {
    gamma: u64,
    beta: u64,
    classes: u64,
    given: i32,
}

/// The numbers of all cells, and the sets that they belong to.
struct Cells {
    /// μ, r, γ and β, `[samples, 4, channels]`.
    numbers: Buffer,
    sets: Sets,
    /// Samples, rows of each, and channels.
    sizes: [usize; 3],
    classes: Option<Arc<Buffer>>,
}

/// Sums that a directional derivative's adjoints need of each cell, and factors that they get.
const JVP_SUMS: usize = 7;
const JVP_FACTORS: usize = 7;

impl Cells {
    /// Returns the sets for kernels that read partial sums.
    fn of(&self, partial: &Partial) -> Argument {
        Argument::of(Sets { blocks: partial.blocks as i32, ..self.sets })
    }

    /// Returns threads for kernels in which each set has a row of threads.
    fn threads(&self) -> Shape {
        Shape::thread_rows(self.sets.count as usize, self.sets.size as usize)
    }

    fn classes(&self, cuda: &Cuda) -> Argument {
        self.classes.as_ref().map(|classes| cuda.slice(classes)).into()
    }
}

impl Cuda {
    fn cells(&self, call: &SampleNormCall<Self>, x: Slice<'_>) -> Cells {
        let SampleNormCall { samples, channels, eps, .. } = *call;
        let rows = x.len / (samples * channels).max(1);
        assert!(rows > 0 && x.len == samples * rows * channels, "a norm of {samples} samples: {x:?}");
        assert!(samples <= 65535, "a norm of {samples} samples: use a smaller batch");
        let affine = call.affine.inspect(|rows| assert_f32(rows));
        let known = affine.map_or(0, |[gamma, _]| gamma.len / channels);
        let given = call.classes.map_or(1, <[u32]>::len);
        let classes = affine.and(call.classes).map(|classes| self.classes(classes, known, samples));
        let [gamma, beta] = affine.map_or([0; 2], |rows| rows.map(|rows| rows.address));
        let address = classes.as_ref().map_or(0, |classes| classes.address);
        let affine = Argument::of(Affine { gamma, beta, classes: address, given: given as i32 });
        let numbers = self.buffer(samples * 4 * channels, Type::F32);
        let sets =
            Sets { count: 0, inverse_count: 0.0, size: 1, is_of_channels: 0, channels: channels as i32, blocks: 0 };
        let mut cells = Cells { numbers, sets, sizes: [samples, rows, channels], classes };
        match call.statistics {
            SampleStatistics::Groups(groups) => {
                let size = channels / groups;
                let inverse_count = 1.0 / (rows * size) as f64;
                cells.sets = Sets { count: (samples * groups) as u64, inverse_count, size: size as i32, ..sets };
                let (name, shape, partial) = self.first_stage("moments", x.of, cells.sizes, &[x.address], 2);
                let sums = self.slice(&partial.buffer);
                self.launch(&name, shape, arguments![x, rows, channels, sums]);
                let all = arguments![cells.of(&partial), x, sums, rows, eps, affine, self.slice(&cells.numbers)];
                self.launch(&format!("cells_of_groups_{}", x.of.name()), cells.threads(), all);
            }
            SampleStatistics::Batch(norm, ranks) => {
                assert!(ranks.is_none(), "batch norm over several ranks does not run on CUDA yet");
                let size = samples / norm.groups;
                assert!(size * norm.groups == samples && norm.channels == channels, "a norm of {samples} samples");
                let inverse_count = norm.count.map_or(0.0, |count| 1.0 / count as f64);
                let count = (norm.groups * channels) as u64;
                cells.sets = Sets { count, inverse_count, size: size as i32, is_of_channels: 1, ..sets };
                let count = samples * channels;
                let statistics = self.slice(&norm.statistics);
                let to = self.slice(&cells.numbers);
                let all = arguments![statistics, count as u64, channels, size, eps, affine, to];
                self.launch("cells_of_batch", Shape::flat(count), all);
            }
        }
        cells
    }

    /// Computes u ← outer·r·P(inner·u′), where γ is the inner factor of a gradient and the outer one of a tangent, and u′ is u before an
    /// activation of this slope. `of_rows` gets each cell's gradients by γ and β.
    fn project_cells(
        &self,
        cells: &Cells,
        x: Slice<'_>,
        u: &SliceMut<'_>,
        is_gradient: bool,
        slope: f32,
        of_rows: Option<&Buffer>,
    ) {
        assert!(x.len == u.len && x.of == u.of, "a gradient has the size of its values");
        let [samples, rows, channels] = cells.sizes;
        let numbers = self.slice(&cells.numbers);
        let addresses = [x.address, u.address];
        let (name, shape, partial) = self.first_stage("cell_sums", x.of, cells.sizes, &addresses, 2);
        let sums = self.slice(&partial.buffer);
        self.launch(&name, shape, arguments![x, u, rows, channels, numbers, slope, sums]);
        let factors = self.buffer(samples * 3 * channels, Type::F32);
        let factors = self.slice(&factors);
        let of_rows = of_rows.map(|buffer| self.slice(buffer));
        let all = arguments![cells.of(&partial), sums, numbers, i32::from(is_gradient), factors, of_rows];
        self.launch("cell_finish", cells.threads(), all);
        let (end, shape) = Self::walk(x.of, cells.sizes, &addresses);
        let all = arguments![x, u, rows, channels, numbers, slope, factors];
        self.launch(&format!("cell_update_{end}"), shape, all);
    }

    /// Returns memory for the gradients of each cell by γ and β, in f64.
    fn of_rows(&self, cells: &Cells) -> Buffer {
        let [samples, _, channels] = cells.sizes;
        self.buffer(2 * samples * 2 * channels, Type::F32)
    }

    /// Adds the gradients of all cells to those of the rows that they use.
    fn add_cells(&self, call: &SampleNormCall<Self>, cells: &Cells, of_rows: &Buffer, grads: &NormGrads<Self>) {
        let [samples, _, channels] = cells.sizes;
        let NormGrads { gamma, beta } = grads;
        assert_f32(&[gamma.read(), beta.read()]);
        assert!(gamma.len == beta.len && gamma.len.is_multiple_of(channels), "rows of {channels} channels");
        let given = call.classes.map_or(1, <[u32]>::len);
        let count = gamma.len as u64;
        let classes = cells.classes(self);
        let all = arguments![self.slice(of_rows), count, samples, channels, classes, given, gamma, beta];
        self.launch("cell_rows", Shape::flat(gamma.len), all);
    }
}

impl SampleNorms for Cuda {
    fn sample_norm(&self, call: &SampleNormCall<Self>, x: Slice<'_>, y: SliceMut<'_>) {
        assert!(x.len == y.len && x.of == y.of, "a norm's output is as large as its input");
        let cells = self.cells(call, x);
        let [_, rows, channels] = cells.sizes;
        let (end, shape) = Self::walk(x.of, cells.sizes, &[x.address, y.address]);
        let all = arguments![x, &y, rows, channels, self.slice(&cells.numbers), call.slope];
        self.launch(&format!("cell_norm_{end}"), shape, all);
    }

    fn sample_norm_grad(
        &self,
        call: &SampleNormCall<Self>,
        x: Slice<'_>,
        g: SliceMut<'_>,
        grads: Option<NormGrads<Self>>,
    ) {
        let cells = self.cells(call, x);
        let of_rows = grads.as_ref().map(|_| self.of_rows(&cells));
        self.project_cells(&cells, x, &g, true, call.slope, of_rows.as_ref());
        if let (Some(of_rows), Some(grads)) = (&of_rows, &grads) {
            self.add_cells(call, &cells, of_rows, grads);
        }
    }

    fn sample_norm_jvp(&self, call: &SampleNormCall<Self>, x: Slice<'_>, t: SliceMut<'_>) {
        let cells = self.cells(call, x);
        self.project_cells(&cells, x, &t, false, 1.0, None);
    }

    fn sample_norm_jvp_grad(
        &self,
        call: &SampleNormCall<Self>,
        adjoints: &JvpAdjoints<Self>,
        to: [SliceMut<'_>; 2],
        grads: Option<NormGrads<Self>>,
    ) {
        let JvpAdjoints { x, tangent: t, of_values: g, of_tangent: h } = *adjoints;
        assert_adjoints(adjoints, &to, x.len);
        let cells = self.cells(call, x);
        let [samples, rows, channels] = cells.sizes;
        let numbers = self.slice(&cells.numbers);
        let addresses = addresses(adjoints, &to);
        let (name, shape, partial) = self.first_stage("cell_jvp_sums", x.of, cells.sizes, &addresses, JVP_SUMS);
        let sums = self.slice(&partial.buffer);
        self.launch(&name, shape, arguments![x, t, h, g, rows, channels, numbers, sums]);
        let factors = self.buffer(samples * JVP_FACTORS * channels, Type::F32);
        let factors = self.slice(&factors);
        let of_rows = grads.as_ref().map(|_| self.of_rows(&cells));
        let to_rows = of_rows.as_ref().map(|buffer| self.slice(buffer));
        self.launch(
            "cell_jvp_finish",
            cells.threads(),
            arguments![cells.of(&partial), sums, numbers, factors, to_rows],
        );
        let (end, shape) = Self::walk(x.of, cells.sizes, &addresses);
        let all = arguments![x, t, h, g, &to[0], &to[1], rows, channels, numbers, factors];
        self.launch(&format!("cell_jvp_update_{end}"), shape, all);
        if let (Some(of_rows), Some(grads)) = (&of_rows, &grads) {
            self.add_cells(call, &cells, of_rows, grads);
        }
    }

    fn pixel_norm(&self, channels: usize, eps: f64, x: Slice<'_>, y: SliceMut<'_>) {
        self.norm_of_pixels(channels, eps, x, &y);
    }

    fn pixel_norm_grad(&self, channels: usize, eps: f64, x: Slice<'_>, g: SliceMut<'_>) {
        self.project_pixels(channels, eps, x, &g);
    }

    fn pixel_norm_jvp_grad(&self, channels: usize, eps: f64, adjoints: &JvpAdjoints<Self>, to: [SliceMut<'_>; 2]) {
        self.bend_pixels(channels, eps, adjoints, &to);
    }
}
