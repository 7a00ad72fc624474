//! The CPU backend: kernels over slices, compiled for AVX-512, AVX2 and plain Rust, with the best chosen at run time.
//!
//! In reading order: `simd` (vectors of sixteen f32), `parallel`, `buffer` (reused memory), `gemm` (the matrix kernel), `conv`,
//! `weight_cache`, `rows` (activations and batch norm over `[rows, channels]`), `norm` (batch norm's formulas), `sample_norm` and `pixel_norm` (norms of each sample), `pixels` (maps without
//! weights), `classes` (layers that use classes), `learned_slope` (PReLU), `glu` (gated linear units), `minibatch_std`,
//! `attention`, `layout` (to and from candle's channels-first images), `optimizer`.

mod attention;
pub(crate) mod buffer;
mod classes;
pub(crate) mod conv;
pub(crate) mod gemm;
mod glu;
pub(crate) mod layout;
mod learned_slope;
mod minibatch_std;
mod norm;
mod optimizer;
pub(crate) mod parallel;
mod pixel_norm;
mod pixels;
pub(crate) mod rows;
mod sample_norm;
pub(crate) mod simd;
mod weight_cache;

use crate::backend::{Activation, Backend, ConvCall, Derivatives, InputActivation, JvpAdjoints, Memory, PixelMap};
use crate::fused::Reuse;
use crate::spec::{Precision, Problem};
use buffer::Buffer;
use conv::Direction;
use rows::map;
use simd::Level;
use std::ops::Range;
use weight_cache::WeightCache;

/// The CPU and its memory.
#[derive(Clone, Copy, Debug)]
pub struct Cpu;

impl Memory for Cpu {
    type Buffer = Buffer;
    type Slice<'a> = &'a [f32];
    type SliceMut<'a> = &'a mut [f32];

    fn uninit(&self, len: usize) -> Buffer {
        Buffer::any(len)
    }

    fn copy(&self, values: &[f32]) -> Buffer {
        Buffer::of(values)
    }

    fn len(&self, values: &[f32]) -> usize {
        values.len()
    }

    fn slice<'a>(&self, buffer: &'a Buffer) -> &'a [f32] {
        buffer
    }

    fn slice_mut<'a>(&self, buffer: &'a mut Buffer) -> &'a mut [f32] {
        buffer
    }

    fn part<'s, 'a: 's>(&self, of: &'a [f32], range: Range<usize>) -> &'s [f32] {
        &of[range]
    }

    fn part_mut<'a>(&self, of: &'a mut &mut [f32], range: Range<usize>) -> &'a mut [f32] {
        &mut of[range]
    }

    fn split_mut<'a>(&self, of: Self::SliceMut<'a>, at: usize) -> [Self::SliceMut<'a>; 2] {
        let (first, second) = of.split_at_mut(at);
        [first, second]
    }
}

impl Backend for Cpu {
    type WeightCache = WeightCache;

    // Half of a generator's memory for a hundredth of its time.
    const RECOMPUTES_FROM: usize = 1 << 21;
    const LINEARIZES: bool = true;

    fn weight_cache(&self, reuse: Reuse) -> WeightCache {
        WeightCache::new(reuse)
    }

    fn run<R: Send>(&self, work: usize, pass: impl FnOnce() -> R + Send) -> R {
        parallel::with_work(work, pass)
    }

    fn channels_last(&self, x: &[f32], channels: usize, pixels: usize) -> Buffer {
        layout::channels_last(x, channels, pixels)
    }

    fn channels_first(&self, x: &[f32], channels: usize, pixels: usize, y: &mut [f32]) {
        layout::channels_first(x, channels, pixels, y);
    }

    fn conv(&self, call: &ConvCall<Self>, x: &[f32], y: &mut [f32]) {
        match conv::reads_in_place(&call.problem) {
            true => conv::forward_in_place(Level::current(), &call.problem, x, call.weights, y),
            false => conv::forward(&call.problem, x, &call.cache.packed(call, Direction::Forward), y),
        }
    }

    fn conv_input_grad(&self, call: &ConvCall<Self>, y: &[f32], x: &mut [f32]) {
        match conv::grad_reads_in_place(&call.problem) {
            true => conv::input_grad_in_place(Level::current(), &call.problem, y, call.weights, x),
            false => conv::input_grad(&call.problem, y, &call.cache.packed(call, Direction::Backward), x),
        }
    }

    fn conv_weight_grad(&self, problem: &Problem, precision: Precision, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        conv::weight_grad(Level::current(), precision, problem, x, dy, dw);
    }

    fn bias_activation(&self, act: Activation, bias: Option<&[f32]>, x: &mut [f32], channels: usize) {
        rows::activation::forward(Level::current(), act, bias, x, channels);
    }

    fn activation_grad(&self, act: Activation, y: &[f32], g: &mut [f32]) {
        rows::activation::backward(Level::current(), act, y, g);
    }

    fn scale_samples(&self, scales: &[f32], x: Option<&[f32]>, y: &mut [f32]) {
        map::scale_samples(Level::current(), scales, x, y);
    }

    fn column_sums(&self, g: &[f32], channels: usize, sums: &mut [f32]) {
        let found = rows::norm::column_sums(Level::current(), g, channels);
        sums.iter_mut().zip(found).for_each(|(to, sum)| *to = sum as f32);
    }

    fn add(&self, x: &[f32], y: &mut [f32]) {
        map::update(Level::current(), map::Sum, x, y);
    }

    fn input_activation(&self, act: InputActivation, x: &[f32], y: &mut [f32]) {
        rows::curves::forward(Level::current(), act, x, y);
    }

    fn input_activation_grad(&self, act: InputActivation, x: &[f32], g: &mut [f32]) {
        rows::curves::backward(Level::current(), act, x, g);
    }

    fn dropout(&self, rate: f64, uniform: &[f32], x: &[f32], y: &mut [f32]) {
        let drop = map::Drop { rate: rate as f32, scale: (1.0 / (1.0 - rate)) as f32 };
        map::map(Level::current(), drop, [x, uniform], y);
    }
}

impl Derivatives for Cpu {
    const HAS_DERIVATIVES: bool = true;

    fn activation_jvp_grad(&self, act: Activation, adjoints: &JvpAdjoints<Self>, to: [&mut [f32]; 2]) {
        assert_eq!(act, Activation::Tanh, "the slopes of other activations do not change with the values");
        rows::curves::jvp_grad(Level::current(), rows::curves::OutputOfTanh, adjoints, to);
    }

    fn input_activation_jvp_grad(&self, act: InputActivation, adjoints: &JvpAdjoints<Self>, to: [&mut [f32]; 2]) {
        rows::curves::jvp_backward(Level::current(), act, adjoints, to);
    }

    fn global_max_pool_jvp(&self, map: &PixelMap, both: [&[f32]; 2], to: [&mut [f32]; 2]) {
        pixels::max_jvp(map, both, to);
    }
}
