//! Batch norm: sums in two stages, then one walk over the numbers. The statistics stay on the device.
//!
//! The formulas are those of the CPU backend.

use crate::driver::{Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, Type};
use crate::Cuda;
use candle_core::{Device, Result, Tensor};
use gan_kernels::backend::{Memory, NormAdjoints, NormCall, NormGrads, Norms};
use gan_kernels::{BatchStatistics, Ranks};
use std::sync::Arc;

/// Statistics of a batch norm in one pass.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Mean with the bias before, biased variance, mean without that bias: `[groups, 3, C]`.
    statistics: Arc<Buffer>,
    channels: usize,
    /// Number of equal parts of the batch, each with its own statistics.
    groups: usize,
    /// Number of values in a channel's statistics; `None` if they were given.
    count: Option<usize>,
}

/// Most blocks of the first stage of a sum: two for each multiprocessor of a large card.
const BLOCKS: usize = 264;

/// Sums of the first stage.
struct Partial {
    buffer: Buffer,
    blocks: usize,
}

impl Cuda {
    /// Returns threads and a place for the first stage of two sums over the rows of each group, and the kernel's name.
    fn first_stage(
        &self,
        name: &str,
        of: Type,
        [groups, rows, channels]: [usize; 3],
        addresses: &[u64],
    ) -> (String, Shape, Partial) {
        let (end, lanes) = Self::lanes(of, channels, addresses);
        let mut shape = Shape::rows(rows, channels, lanes, 8, (BLOCKS / groups).max(1));
        shape.grid.2 = groups as u32;
        shape.shared = shape.block.0 * shape.block.1 * 2 * lanes as u32 * 4;
        let blocks = shape.grid.1 as usize;
        let buffer = self.buffer(groups * blocks * 2 * channels, Type::F32);
        (format!("{name}_{end}"), shape, Partial { buffer, blocks })
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
        let (name, shape, partial) = self.first_stage("dot_sums", a.of, [1, rows, channels], &addresses);
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
        self.launch("norm_follow", Shape::flat(c), arguments![statistics, &mean, &variance, c, momentum, unbias, norm.groups]);
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
        let (name, shape, partial) = self.first_stage("moments", x.of, [groups, rows, channels], &[x.address]);
        let sums = self.slice(&partial.buffer);
        self.launch(&name, shape, arguments![x, rows, channels, sums]);
        let name = format!("moments_finish_{}", x.of.name());
        let to = &self.slice_mut(&mut statistics);
        let all = arguments![sums, partial.blocks, channels, rows, x, bias, to];
        self.launch(&name, Self::second_stage(channels, groups), all);
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
        let _ = (call, norm, x, t);
        panic!("the directional derivative of a batch norm does not run on CUDA yet");
    }

    fn norm_jvp_grad(
        &self,
        call: &NormCall<Self>,
        norm: &Norm,
        adjoints: &NormAdjoints<Self>,
        to: [SliceMut<'_>; 2],
        grads: NormGrads<Self>,
    ) {
        let _ = (call, norm, adjoints, to, grads);
        panic!("the directional derivative of a batch norm does not run on CUDA yet");
    }
}

impl Cuda {
    /// Returns the end of a kernel's name and its threads for a walk over the rows of each group.
    fn walk(of: Type, [groups, rows, channels]: [usize; 3], addresses: &[u64]) -> (&'static str, Shape) {
        let (end, lanes) = Self::lanes(of, channels, addresses);
        let mut shape = Shape::rows(rows, channels, lanes, 4, (132 * 8 / groups).max(1));
        shape.grid.2 = groups as u32;
        (end, shape)
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
        let (name, shape, partial) =
            self.first_stage("grad_sums", x.of, [groups, rows, c], &[x.address, g.address]);
        let sums = self.slice(&partial.buffer);
        let all = arguments![x, g, rows, c, statistics, call.gamma, call.beta, eps, call.slope, sums];
        self.launch(&name, shape, all);
        let along = self.buffer(groups * 2 * c, Type::F32);
        let along = self.slice(&along);
        let inverse_count = norm.count.map_or(0.0, |count| 1.0 / count as f64);
        let [dgamma, dbeta] = grads.map_or([0u64; 2], |grads| grads.map(|to| to.address));
        let all =
            arguments![sums, partial.blocks, c, inverse_count, statistics, call.gamma, eps, dgamma, dbeta, along, groups];
        self.launch("grad_finish", Self::second_stage(c, 1), all);
        let (end, shape) = Self::walk(x.of, [groups, rows, c], &[x.address, g.address]);
        let all = arguments![x, g, rows, c, statistics, call.gamma, call.beta, eps, call.slope, along];
        self.launch(&format!("norm_grad_{end}"), shape, all);
    }
}
