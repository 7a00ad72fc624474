//! Batch norm: sums in two stages, then one walk over the numbers. The statistics stay on the device.
//!
//! With x̂ = (x − μ)·r, r = 1/√(σ² + ε), m numbers per channel and s = γ·r: y = s·(x − μ) + β; dβ = Σg, dγ = Σg·x̂ and
//! dx = s·(g − dβ/m − x̂·dγ/m) = s·P(g); with given statistics dx = s·g. The tangent of y is τ = s·P(t). For an adjoint τ̄ of it, with
//! a = E[x̂t], b = E[x̂τ̄] and K = E[τ̄t] − E[τ̄]E[t] − ab: t̄ = s·P(τ̄); γ̄ = m·r·K; x̄ = −r·(a·t̄ + b·τ) − s·r·K·x̂. An adjoint of the values
//! adds the ordinary gradient.

use crate::Cuda;
use crate::driver::TICKETS;
use crate::launch::{Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, Type};
use candle_core::{Device, Result, Tensor};
use gan_kernels::backend::{JvpAdjoints, Memory, NormCall, NormGrads, Norms};
use gan_kernels::{BatchStatistics, Ranks};
use std::sync::Arc;

/// Statistics of a batch norm in one pass.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Mean with the bias before, biased variance, mean without that bias: `[groups, 3, C]`.
    pub(crate) statistics: Arc<Buffer>,
    pub(crate) channels: usize,
    /// Number of equal parts of the batch, each with its own statistics.
    pub(crate) groups: usize,
    /// Number of values in a channel's statistics; `None` if they were given.
    pub(crate) count: Option<usize>,
}

/// Most blocks of the first stage of a sum: two for each multiprocessor of a large card.
const BLOCKS: usize = 264;

/// Sums of the first stage.
pub(crate) struct Partial {
    pub buffer: Buffer,
    pub blocks: usize,
}

impl Cuda {
    /// Returns threads and a place for the first stage of some sums over the rows of each group, and the kernel's name.
    pub(crate) fn first_stage(
        &self,
        name: &str,
        of: Type,
        [groups, rows, channels]: [usize; 3],
        addresses: &[u64],
        sums: usize,
    ) -> (String, Shape, Partial) {
        let (end, lanes) = Self::lanes(of, channels, addresses);
        let mut shape = Shape::rows(rows, channels, lanes, 8, (BLOCKS / groups).max(1));
        shape.grid.2 = groups as u32;
        // Sums over all blocks are in f64.
        let bytes = if self.one_kernel { 8 } else { 4 };
        shape.shared = shape.block.0 * shape.block.1 * 2 * lanes as u32 * bytes;
        let blocks = shape.grid.1 as usize;
        let buffer = self.buffer(groups * blocks * sums * channels, Type::F32);
        (format!("{name}_{end}"), shape, Partial { buffer, blocks })
    }

    /// Returns counters for a kernel's columns of blocks.
    fn tickets(&self, shape: &Shape) -> Slice<'_> {
        assert!(
            shape.grid.0 as usize <= TICKETS,
            "a batch norm in one kernel has at most {TICKETS} blocks of channels"
        );
        self.slice(self.inner.tickets.get().expect("a device has counters"))
    }

    fn second_stage(channels: usize, groups: usize) -> Shape {
        Shape { grid: (channels.div_ceil(32) as u32, groups as u32, 1), block: (32, 16, 1), shared: 0 }
    }

    /// Computes Σ a and Σ a·b of each channel.
    pub(crate) fn sums_to(
        &self,
        a: Slice<'_>,
        b: Option<Slice<'_>>,
        channels: usize,
        first: Option<&SliceMut<'_>>,
        second: Option<&SliceMut<'_>>,
    ) {
        let rows = a.len / channels;
        assert!(rows * channels == a.len && b.is_none_or(|b| b.len == a.len && b.of == a.of), "sums over {rows} rows");
        let addresses = [a.address, b.map_or(0, |b| b.address)];
        let (name, shape, partial) = self.first_stage("dot_sums", a.of, [1, rows, channels], &addresses, 2);
        let sums = self.slice(&partial.buffer);
        self.launch(&name, shape, arguments![a, b, rows, channels, sums]);
        let to = |slice: Option<&SliceMut<'_>>| slice.map_or(0u64, |slice| slice.address);
        let all = arguments![sums, partial.blocks, channels, to(first), to(second)];
        self.launch("sums_finish", Self::second_stage(channels, 1), all);
    }

    /// Updates running averages by a norm's statistics, of each group in turn: the mean, and the variance times `unbias`.
    pub fn follow_norm(&self, norm: &Norm, mean: SliceMut<'_>, variance: SliceMut<'_>, momentum: f32, unbias: f32) {
        let c = norm.channels;
        assert!(mean.len == c && variance.len == c, "a norm of {c} channels");
        let statistics = self.slice(&norm.statistics);
        self.launch(
            "norm_follow",
            Shape::flat(c),
            arguments![statistics, &mean, &variance, c, momentum, unbias, norm.groups],
        );
    }
}

impl Norms for Cuda {
    type Norm = Norm;

    fn norm_of_batch(&self, x: Slice<'_>, channels: usize, bias: Option<Slice<'_>>, ranks: &Ranks) -> Norm {
        assert!(ranks.is_none(), "batch norm over several ranks does not run on CUDA yet");
        self.norm_of_groups(x, channels, bias, 1)
    }

    fn norm_of_groups(&self, x: Slice<'_>, channels: usize, bias: Option<Slice<'_>>, groups: usize) -> Norm {
        let rows = x.len / channels / groups;
        assert_eq!(x.len, groups * rows * channels, "groups of a batch are equal");
        let mut statistics = self.buffer(groups * 3 * channels, Type::F32);
        let sizes = [groups, rows, channels];
        let kernel = if self.one_kernel { "moments_all" } else { "moments" };
        let (name, shape, partial) = self.first_stage(kernel, x.of, sizes, &[x.address], 2);
        let sums = self.slice(&partial.buffer);
        let to = &self.slice_mut(&mut statistics);
        if self.one_kernel {
            let tickets = self.tickets(&shape);
            self.launch(&name, shape, arguments![x, rows, channels, sums, bias, to, tickets]);
        } else {
            self.launch(&name, shape, arguments![x, rows, channels, sums]);
            let name = format!("moments_finish_{}", x.of.name());
            let all = arguments![sums, partial.blocks, channels, rows, x, bias, to];
            self.launch(&name, Self::second_stage(channels, groups), all);
        }
        Norm { statistics: Arc::new(statistics), channels, groups, count: Some(rows) }
    }

    fn norm_of(&self, mean: &[f32], variance: &[f32], bias: Option<Slice<'_>>) -> Norm {
        let bias = bias.map(|bias| self.download(bias));
        let centre = mean.iter().enumerate().map(|(i, m)| m - bias.as_ref().map_or(0.0, |b| b[i]));
        let all: Vec<f32> = mean.iter().chain(variance).copied().chain(centre).collect();
        Norm { statistics: Arc::new(self.upload(&all)), channels: mean.len(), groups: 1, count: None }
    }

    fn norm_count(&self, norm: &Norm) -> Option<usize> {
        norm.count
    }

    fn batch_statistics(&self, norm: &Norm) -> Result<BatchStatistics> {
        let all = self.download(self.slice(&norm.statistics));
        let host = |values: &[f32]| Tensor::new(values, &Device::Cpu);
        let c = norm.channels;
        Ok(BatchStatistics { mean: host(&all[..c])?, variance: host(&all[c..2 * c])?, count: norm.count.unwrap_or(0) })
    }

    fn norm(&self, call: &NormCall<Self>, norm: &Norm, x: Slice<'_>, y: SliceMut<'_>) {
        assert!(x.len == y.len && x.of == y.of, "a norm's output is as large as its input");
        let c = norm.channels;
        let rows = x.len / c / norm.groups;
        let (end, shape) = Self::walk(x.of, [norm.groups, rows, c], &[x.address, y.address]);
        let statistics = self.slice(&norm.statistics);
        let all = arguments![x, &y, rows, c, statistics, call.gamma, call.beta, call.eps as f32, call.slope];
        self.launch(&format!("norm_{end}"), shape, all);
    }

    fn norm_grad(
        &self,
        call: &NormCall<Self>,
        norm: &Norm,
        x: Slice<'_>,
        g: SliceMut<'_>,
        grads: Option<NormGrads<Self>>,
        ranks: &Ranks,
    ) {
        assert!(ranks.is_none(), "batch norm over several ranks does not run on CUDA yet");
        let to = grads.as_ref().map(|grads| [&grads.gamma, &grads.beta]);
        self.gradient(call, norm, x, &g, to);
    }

    fn norm_jvp(&self, call: &NormCall<Self>, norm: &Norm, x: Slice<'_>, t: SliceMut<'_>) {
        self.project(call, norm, x, &t);
    }

    fn norm_jvp_grad(
        &self,
        call: &NormCall<Self>,
        norm: &Norm,
        adjoints: &JvpAdjoints<Self>,
        [of_values, of_tangents]: [SliceMut<'_>; 2],
        grads: NormGrads<Self>,
    ) {
        let JvpAdjoints { x, tangent: t, of_tangent, .. } = *adjoints;
        let c = norm.channels;
        let rows = x.len / c;
        let mut products = self.buffer(c, Type::F32);
        self.sums_to(of_tangent, Some(t), c, None, Some(&self.slice_mut(&mut products)));
        self.convert(of_tangent, &of_tangents);
        let of_adjoint = self.project(call, norm, x, &of_tangents);
        let mut tau = self.copy(t);
        let of_t = self.project(call, norm, x, &self.slice_mut(&mut tau));
        let fresh = adjoints.of_values.is_none();
        if let Some(g) = adjoints.of_values {
            self.convert(g, &of_values);
            let linear = NormCall::<Self> { slope: 1.0, ..*call };
            self.gradient(&linear, norm, x, &of_values, Some([&grads.gamma, &grads.beta]));
        }
        let statistics = self.slice(&norm.statistics);
        let factors = self.buffer(3 * c, Type::F32);
        let factors = self.slice(&factors);
        let count = norm.count.unwrap_or(0) as f32;
        let sums = [&of_adjoint, &of_t, &products].map(|buffer| self.slice(buffer));
        let all = arguments![
            c,
            count,
            statistics,
            call.gamma,
            call.eps as f32,
            sums[0],
            sums[1],
            sums[2],
            factors,
            &grads.gamma,
            &grads.beta,
            i32::from(fresh),
        ];
        self.launch("jvp_finish", Shape::flat(c), all);
        let tau = self.slice(&tau);
        let addresses = [x.address, of_tangents.address, tau.address, of_values.address];
        let (end, shape) = Self::walk(x.of, [1, rows, c], &addresses);
        let all = arguments![x, &of_tangents, tau, &of_values, rows, c, statistics, factors, i32::from(fresh)];
        self.launch(&format!("jvp_adjoint_{end}"), shape, all);
    }
}

impl Cuda {
    /// Returns the end of a kernel's name and its threads for a walk over the rows of each group.
    pub(crate) fn walk(of: Type, [groups, rows, channels]: [usize; 3], addresses: &[u64]) -> (&'static str, Shape) {
        let (end, lanes) = Self::lanes(of, channels, addresses);
        let mut shape = Shape::rows(rows, channels, lanes, 4, (132 * 8 / groups).max(1));
        shape.grid.2 = groups as u32;
        (end, shape)
    }

    /// Computes u ← s·P(u), which is the gradient without activation, and returns Σ u and Σ u·x̂ of each channel.
    fn project(&self, call: &NormCall<Self>, norm: &Norm, x: Slice<'_>, u: &SliceMut<'_>) -> Buffer {
        let linear = NormCall::<Self> { slope: 1.0, ..*call };
        let mut sums = self.buffer(2 * norm.channels, Type::F32);
        let [first, second] = self.split_mut(self.slice_mut(&mut sums), norm.channels);
        self.gradient(&linear, norm, x, u, Some([&second, &first]));
        sums
    }

    fn gradient(
        &self,
        call: &NormCall<Self>,
        norm: &Norm,
        x: Slice<'_>,
        g: &SliceMut<'_>,
        grads: Option<[&SliceMut<'_>; 2]>,
    ) {
        assert!(x.len == g.len && x.of == g.of, "a gradient has the size of its values");
        let c = norm.channels;
        let groups = norm.groups;
        let rows = x.len / c / groups;
        let eps = call.eps as f32;
        let statistics = self.slice(&norm.statistics);
        let along = self.buffer(groups * 2 * c, Type::F32);
        let along = self.slice(&along);
        let inverse_count = norm.count.map_or(0.0, |count| 1.0 / count as f64);
        let [dgamma, dbeta] = grads.map_or([0u64; 2], |grads| grads.map(|to| to.address));
        let kernel = if self.one_kernel { "grad_sums_all" } else { "grad_sums" };
        let (name, shape, partial) = self.first_stage(kernel, x.of, [groups, rows, c], &[x.address, g.address], 2);
        let sums = self.slice(&partial.buffer);
        let [gamma, beta] = [call.gamma, call.beta];
        let slope = call.slope;
        if self.one_kernel {
            let tickets = self.tickets(&shape);
            let all = arguments![
                x,
                g,
                rows,
                c,
                statistics,
                gamma,
                beta,
                eps,
                slope,
                sums,
                inverse_count,
                dgamma,
                dbeta,
                along,
                tickets
            ];
            self.launch(&name, shape, all);
        } else {
            self.launch(&name, shape, arguments![x, g, rows, c, statistics, gamma, beta, eps, slope, sums]);
            let blocks = partial.blocks;
            let all = arguments![sums, blocks, c, inverse_count, statistics, gamma, eps, dgamma, dbeta, along, groups];
            self.launch("grad_finish", Self::second_stage(c, 1), all);
        }
        let (end, shape) = Self::walk(x.of, [groups, rows, c], &[x.address, g.address]);
        let all = arguments![x, g, rows, c, statistics, call.gamma, call.beta, eps, call.slope, along];
        self.launch(&format!("norm_grad_{end}"), shape, all);
    }
}
