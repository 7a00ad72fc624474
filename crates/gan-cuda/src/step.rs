//! What a whole step needs of a backend besides the fused engine's kernels, on CUDA and on the CPU.

use crate::launch::{Shape, arguments};
use crate::{CapturedMemory, Cuda, Graph, Norm, Slice, SliceMut, Type};
use gan_kernels::Cpu;
use gan_kernels::backend::{Backend, Memory, Norms, Optimizers, size};
use gan_kernels::ops::{ImageLayout, ImageTransform, SpectralNorm};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::Ordering;

/// What a whole step needs of a backend besides the fused engine's kernels.
pub trait StepBackend: Backend {
    /// Work that was recorded under names, and the memory that it uses.
    type Recordings: Default + Debug + Send;
    /// Whether random numbers of dropouts are drawn on the device.
    const DRAWS: bool;

    /// Returns the bytes of device memory that it holds for arrays.
    fn requested(&self) -> usize;
    /// Returns how often unused memory was given back to the device. Work that ran before must run again before it can be recorded.
    fn releases(&self) -> usize;
    /// Returns whether work is recorded.
    fn records(&self) -> bool;
    /// Records the work that `f` queues under a name, and queues it. It must have run before with the same shapes, requests no other memory, and
    /// reads no numbers.
    fn record<R>(&self, to: &mut Self::Recordings, name: &str, f: impl FnOnce() -> R) -> R;
    /// Queues the work with this name; returns whether there is any.
    fn replay(&self, from: &Self::Recordings, name: &str) -> bool;
    /// Puts the classes of the next samples where recorded work reads them.
    fn set_classes(&self, _classes: &[u32]) {}
    /// Writes Σ x² to a place of [`StepBackend::SQUARES`] f32 numbers, which [`StepBackend::squares`] reads.
    fn squares_to(&self, x: Self::Slice<'_>, to: Self::SliceMut<'_>);
    /// Returns the sum that [`StepBackend::squares_to`] has written, and waits for it.
    fn squares(&self, from: Self::Slice<'_>) -> f64;
    /// Number of f32 numbers of a sum of squares.
    const SQUARES: usize = 512;

    /// Returns `len` f32 zeros.
    fn f32_zeros(&self, len: usize) -> Self::Buffer;
    /// Copies numbers.
    fn copy_to(&self, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Writes zeros.
    fn clear(&self, to: Self::SliceMut<'_>);
    /// Writes f32 values.
    fn set(&self, values: &[f32], to: Self::SliceMut<'_>);
    /// Writes f32 values to a place that gets others in every step, without waiting until the device has them.
    fn stage(&self, values: &[f32], to: Self::SliceMut<'_>) {
        self.set(values, to);
    }
    /// Reads values.
    fn get(&self, from: Self::Slice<'_>) -> Vec<f32>;
    /// Waits for gradients that are computed beside the rest, before they are read.
    fn join(&self) {}
    /// Draws from U[0, 1) by Philox from a seed, a place in the step and the step's number.
    fn uniform(&self, to: Self::SliceMut<'_>, seed: u32, site: u32, step: Self::Slice<'_>);
    /// Updates running averages by a norm's statistics: the mean, and the variance times `unbias`.
    fn follow_norm(
        &self,
        norm: &Self::Norm,
        mean: Self::SliceMut<'_>,
        variance: Self::SliceMut<'_>,
        momentum: f32,
        unbias: f32,
    );
    /// Writes a kernel `[before, outputs, after]` divided by its largest singular value σ, found by power iteration from the direction u
    /// `[outputs]`, which is improved if it `iterates`. Keeps σ, u and v, one after the other, in [`spectral_values`] f32 numbers.
    fn spectral_norm(
        &self,
        sides: [usize; 3],
        kernel: Self::Slice<'_>,
        direction: Self::SliceMut<'_>,
        iterates: bool,
        to: Self::SliceMut<'_>,
        values: Self::SliceMut<'_>,
    );
    /// Replaces the gradient by a kernel that [`StepBackend::spectral_norm`] has written, which kept these values, by that by the kernel itself.
    fn spectral_norm_grad(
        &self,
        sides: [usize; 3],
        kernel: Self::Slice<'_>,
        values: Self::Slice<'_>,
        gradient: Self::SliceMut<'_>,
    );
    /// Transforms images by the [`ImageTransform::numbers`] of each, which are f32.
    fn transform_images(&self, layout: &ImageLayout, by: Self::Slice<'_>, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes the gradient by images from that by the transformed ones.
    fn transform_images_grad(
        &self,
        layout: &ImageLayout,
        by: Self::Slice<'_>,
        g: Self::Slice<'_>,
        dx: Self::SliceMut<'_>,
    );
}

/// Returns the number of values that [`StepBackend::spectral_norm`] keeps of a kernel `[before, outputs, after]`.
pub fn spectral_values([before, outputs, after]: [usize; 3]) -> usize {
    1 + outputs + before * after
}

/// Captured work, by its name.
#[derive(Debug, Default)]
pub struct Recordings {
    memory: Option<CapturedMemory>,
    graphs: HashMap<String, Graph>,
}

impl StepBackend for Cuda {
    type Recordings = Recordings;
    const DRAWS: bool = true;

    fn requested(&self) -> usize {
        self.allocated().0
    }

    fn releases(&self) -> usize {
        self.root_arena().releases.load(Ordering::Relaxed)
    }

    fn records(&self) -> bool {
        self.captures()
    }

    fn record<R>(&self, to: &mut Recordings, name: &str, f: impl FnOnce() -> R) -> R {
        let memory = to.memory.get_or_insert_with(|| self.captured_memory());
        let (graph, value) = self.capture_in(memory, f);
        graph.launch();
        to.graphs.insert(name.into(), graph);
        value
    }

    fn replay(&self, from: &Recordings, name: &str) -> bool {
        let graph = from.graphs.get(name);
        graph.inspect(|graph| graph.launch()).is_some()
    }

    fn set_classes(&self, classes: &[u32]) {
        let _ = Cuda::set_classes(self, classes);
    }

    fn squares_to(&self, x: Slice<'_>, to: SliceMut<'_>) {
        self.partial_squares(x, to);
    }

    fn squares(&self, from: Slice<'_>) -> f64 {
        self.sum_of_partials(from)
    }

    fn f32_zeros(&self, len: usize) -> Self::Buffer {
        self.zeros(len, Type::F32)
    }

    fn copy_to(&self, x: Slice<'_>, y: SliceMut<'_>) {
        self.convert(x, &y);
    }

    fn clear(&self, to: SliceMut<'_>) {
        Cuda::clear(self, &to);
    }

    fn set(&self, values: &[f32], to: SliceMut<'_>) {
        self.write(values, to);
    }

    fn stage(&self, values: &[f32], to: SliceMut<'_>) {
        Cuda::stage(self, values, to);
    }

    fn get(&self, from: Slice<'_>) -> Vec<f32> {
        self.download(from)
    }

    fn join(&self) {
        Cuda::join(self);
    }

    fn uniform(&self, to: SliceMut<'_>, seed: u32, site: u32, step: Slice<'_>) {
        let name = format!("uniform_{}", to.of.name());
        let shape = Shape::flat(to.len.div_ceil(4));
        self.launch(&name, shape, arguments![&to, to.len as u64, seed, site, step]);
    }

    fn follow_norm(&self, norm: &Norm, mean: SliceMut<'_>, variance: SliceMut<'_>, momentum: f32, unbias: f32) {
        Cuda::follow_norm(self, norm, mean, variance, momentum, unbias);
    }

    fn spectral_norm(
        &self,
        sides: [usize; 3],
        kernel: Slice<'_>,
        direction: SliceMut<'_>,
        iterates: bool,
        to: SliceMut<'_>,
        values: SliceMut<'_>,
    ) {
        Cuda::spectral_norm(self, sides, kernel, direction, iterates, to, values);
    }

    fn spectral_norm_grad(&self, sides: [usize; 3], kernel: Slice<'_>, values: Slice<'_>, gradient: SliceMut<'_>) {
        Cuda::spectral_norm_grad(self, sides, kernel, values, gradient);
    }

    fn transform_images(&self, layout: &ImageLayout, by: Slice<'_>, x: Slice<'_>, y: SliceMut<'_>) {
        self.transform(layout, by, x, &y, false);
    }

    fn transform_images_grad(&self, layout: &ImageLayout, by: Slice<'_>, g: Slice<'_>, dx: SliceMut<'_>) {
        self.transform(layout, by, g, &dx, true);
    }
}

impl StepBackend for Cpu {
    type Recordings = ();
    const DRAWS: bool = false;

    fn requested(&self) -> usize {
        0
    }

    fn releases(&self) -> usize {
        0
    }

    fn records(&self) -> bool {
        false
    }

    fn record<R>(&self, _: &mut (), _: &str, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn replay(&self, (): &(), _: &str) -> bool {
        false
    }

    fn squares_to(&self, x: &[f32], to: &mut [f32]) {
        let bits = self.sum_of_squares(x).to_bits();
        to[..2].copy_from_slice(&[bits as u32, (bits >> 32) as u32].map(f32::from_bits));
    }

    fn squares(&self, from: &[f32]) -> f64 {
        whole(&from[..2])
    }

    fn f32_zeros(&self, len: usize) -> Self::Buffer {
        self.copy(&vec![0.0; len])
    }

    fn copy_to(&self, x: &[f32], y: &mut [f32]) {
        y.copy_from_slice(x);
    }

    fn clear(&self, to: &mut [f32]) {
        to.fill(0.0);
    }

    fn set(&self, values: &[f32], to: &mut [f32]) {
        to.copy_from_slice(values);
    }

    fn get(&self, from: &[f32]) -> Vec<f32> {
        from.to_vec()
    }

    fn uniform(&self, to: &mut [f32], seed: u32, site: u32, step: &[f32]) {
        for (i, four) in to.chunks_mut(4).enumerate() {
            let x = philox([i as u32, (i as u64 >> 32) as u32, site, step[0] as u32], seed);
            four.iter_mut().zip(x).for_each(|(to, x)| *to = (x >> 8) as f32 / 16_777_216.0);
        }
    }

    fn follow_norm(&self, norm: &Self::Norm, mean: &mut [f32], variance: &mut [f32], momentum: f32, unbias: f32) {
        let found = self.batch_statistics(norm).expect("the CPU's statistics are on the host");
        let values = |t: &candle_core::Tensor| t.to_vec1::<f32>().expect("statistics are [C]");
        mean.iter_mut().zip(values(&found.mean)).for_each(|(old, new)| *old += momentum * (new - *old));
        let new = values(&found.variance);
        variance.iter_mut().zip(new).for_each(|(old, new)| *old += momentum * (new * unbias - *old));
    }

    fn spectral_norm(
        &self,
        sides: [usize; 3],
        kernel: &[f32],
        direction: &mut [f32],
        iterates: bool,
        to: &mut [f32],
        values: &mut [f32],
    ) {
        let found = SpectralNorm::of_kernel(kernel, sides, direction, iterates);
        if iterates {
            direction.copy_from_slice(found.direction());
        }
        to.copy_from_slice(kernel);
        found.divide(to);
        values.copy_from_slice(&found.values());
    }

    fn spectral_norm_grad(&self, sides: [usize; 3], kernel: &[f32], values: &[f32], gradient: &mut [f32]) {
        SpectralNorm::from_values(sides, values).grad(kernel, gradient);
    }

    fn transform_images(&self, layout: &ImageLayout, by: &[f32], x: &[f32], y: &mut [f32]) {
        let len = size(layout.sides);
        for ((by, x), y) in by.chunks_exact(ImageTransform::LEN).zip(x.chunks_exact(len)).zip(y.chunks_exact_mut(len)) {
            layout.transform(&ImageTransform::from_numbers(by), x, y);
        }
    }

    fn transform_images_grad(&self, layout: &ImageLayout, by: &[f32], g: &[f32], dx: &mut [f32]) {
        let len = size(layout.sides);
        for ((by, g), dx) in by.chunks_exact(ImageTransform::LEN).zip(g.chunks_exact(len)).zip(dx.chunks_exact_mut(len))
        {
            layout.transform_grad(&ImageTransform::from_numbers(by), g, dx);
        }
    }
}

/// Returns the f64 whose halves' bits two f32 have.
pub(crate) fn whole(pair: &[f32]) -> f64 {
    f64::from_bits(u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32)
}

/// Philox4x32-10 (Salmon et al. 2011), as in the kernels.
fn philox(mut x: [u32; 4], seed: u32) -> [u32; 4] {
    let [mut a, mut b] = [seed, 0];
    for _ in 0..10 {
        let p = 0xD251_1F53 * u64::from(x[0]);
        let q = 0xCD9E_8D57 * u64::from(x[2]);
        x = [(q >> 32) as u32 ^ x[1] ^ a, q as u32, (p >> 32) as u32 ^ x[3] ^ b, p as u32];
        a = a.wrapping_add(0x9E37_79B9);
        b = b.wrapping_add(0xBB67_AE85);
    }
    x
}
