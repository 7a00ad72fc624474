//! Timing of a convolution's kernels, for `gan bench`.

use crate::cpu::buffer::Buffer;
use crate::cpu::conv::{self, Direction};
use crate::cpu::parallel::with_work;
use crate::cpu::simd::Level;
use crate::spec::{ConvSpec, Problem, product};
use candle_core::Result;
use std::time::Instant;

/// One convolution, in the form of its forward pass.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Number of images in the batch.
    pub samples: usize,
    /// Channels of the images that windows slide over, and of the others.
    pub channels: [usize; 2],
    /// Number of groups of channels, each with its own windows.
    pub groups: usize,
    /// Height and width of the images that windows slide over.
    pub input: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Geometry and precision.
    pub spec: ConvSpec,
}

/// Best seconds of several runs of each pass, on synthetic numbers.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Multiply-adds of one pass, counted as in plain loops.
    pub multiply_adds: u64,
    /// Forward.
    pub forward: f64,
    /// Input gradient; a transposed convolution's forward pass.
    pub input_grad: f64,
    /// Weight gradient.
    pub weight_grad: f64,
    /// Packing the weights for both directions.
    pub pack: f64,
}

/// Times a convolution's passes, each `runs` times after one that is not timed.
///
/// # Errors
/// If the window does not fit into the image, or the sizes exceed any memory.
pub fn convolution(shape: &Shape, runs: usize) -> Result<Timing> {
    let Shape { samples, groups, input, kernel, spec, .. } = *shape;
    let [in_channels, out_channels] = shape.channels.map(|channels| channels / groups);
    let output = spec.output_size(input, kernel)?;
    let p = Problem { spec, samples, groups, in_channels, out_channels, input, output, kernel };
    p.check()?;
    let number = |i: usize| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0;
    let synthetic = |n: usize| Buffer::of(&(0..n).map(number).collect::<Vec<f32>>());
    let best = |f: &mut (dyn FnMut() + Send)| {
        let times = (0..=runs).map(|_| {
            let start = Instant::now();
            with_work(usize::MAX, &mut *f);
            start.elapsed().as_secs_f64()
        });
        times.skip(1).fold(f64::INFINITY, f64::min)
    };
    let level = Level::current();
    let precision = spec.precision;
    let mut x = synthetic(samples * p.input_len());
    let mut y = synthetic(samples * p.output_len());
    let mut w = synthetic(p.weights());
    let pack = |direction| conv::pack(level, precision, &p, direction, &w);
    let ahead = pack(Direction::Forward);
    let back = pack(Direction::Backward);
    let pack = best(&mut || drop((pack(Direction::Forward), pack(Direction::Backward))));
    let forward = best(&mut || conv::forward(&p, &x, &ahead, &mut y));
    let input_grad = best(&mut || conv::input_grad(&p, &y, &back, &mut x));
    let weight_grad = best(&mut || conv::weight_grad(level, precision, &p, &x, &y, &mut w));
    let multiply_adds = product(&[samples, p.positions(), p.weights()]) as u64;
    Ok(Timing { multiply_adds, forward, input_grad, weight_grad, pack })
}
