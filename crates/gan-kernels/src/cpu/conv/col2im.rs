//! Transposed convolutions into few channels: products of pixels with all taps at once, followed by col2im.

use super::im2col::Im2col;
use super::im2col_gemm::{Target, Windows, packed_len};
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::Format;
use crate::cpu::parallel::each;
use crate::cpu::simd::Level;
use crate::spec::Problem;
use std::marker::PhantomData;

/// Approximate number of values per col2im, which should stay in the cache.
const COLUMNS: usize = 1 << 17;

/// Multiplies every pixel of y by B (`[O, taps·C]`) and accumulates into x: the input gradient if C·taps is small.
pub(super) fn run<P: Format>(level: Level, p: &Problem, y: &[f32], b: &[f32], x: &mut [f32]) {
    let one = Problem { kernel: [1, 1], spec: Default::default(), input: p.output, in_channels: p.out_channels, ..*p };
    let im2col = Im2col::forward(&one);
    let columns = p.kernel[0] * p.kernel[1] * p.in_channels;
    let pixels = p.output[0] * p.output[1];
    let x_len = p.input[0] * p.input[1] * p.in_channels;
    assert_eq!(y.len(), p.samples * pixels * p.out_channels, "the pixels to multiply");
    assert_eq!(b.len(), packed_len::<P>(p.out_channels, columns), "weights packed for all taps");
    assert_eq!(x.len(), p.samples * x_len, "a place for each pixel");
    // Some samples at a time, so that the columns stay in the cache.
    let some = (COLUMNS / (pixels * columns).max(1)).clamp(1, p.samples.max(1));
    let to = Shared::new(x);
    each(p.samples.div_ceil(some), |task| {
        let samples = task * some..p.samples.min((task + 1) * some);
        let mut c = Buffer::any(samples.len() * pixels * columns);
        let own = samples.start * pixels..samples.end * pixels;
        let job = Windows::<P> {
            im2col: &im2col,
            x: y,
            b,
            n: columns,
            pitch: columns,
            target: Target::Rows,
            // Windows are numbered from the first sample, their products from the first of this task.
            y: Shared::new(&mut c).back(own.start * columns),
            rows: own,
            kind: PhantomData,
        };
        // SAFETY: y and b have the lengths that the windows require, as checked above; c has a row for every pixel of the task's samples,
        // which is where `y` points after it was moved ahead by the first of them.
        unsafe { level.run(job) };
        for (i, sample) in samples.enumerate() {
            // SAFETY: x has a part for each sample, as checked above, and only this task writes to it.
            let x = unsafe { std::slice::from_raw_parts_mut(to.ahead(sample * x_len).get(), x_len) };
            accumulate(p, &c[i * pixels * columns..][..pixels * columns], x);
        }
    });
}

/// Sums columns `[H'·W', taps·C]` into one image `[H, W, C]`.
fn accumulate(p: &Problem, cols: &[f32], x: &mut [f32]) {
    let [kh, kw] = p.kernel;
    let [_, w] = p.input;
    let c = p.in_channels;
    let columns = kh * kw * c;
    x.fill(0.0);
    for ky in 0..kh {
        let (first_y, end_y, top) = p.span(0, ky);
        for oy in first_y..end_y {
            let iy = top + (oy - first_y) * p.spec.stride[0];
            for kx in 0..kw {
                let (first, end, left) = p.span(1, kx);
                let step = p.spec.stride[1] * c;
                let to = &mut x[(iy * w + left) * c..];
                let from = &cols[(oy * p.output[1] + first) * columns + (ky * kw + kx) * c..];
                if c == 1 {
                    let pixels = to.iter_mut().step_by(step).zip(from.iter().step_by(columns));
                    pixels.take(end - first).for_each(|(t, f)| *t += *f);
                    continue;
                }
                for (to, from) in to.chunks_mut(step).zip(from.chunks(columns)).take(end - first) {
                    to.iter_mut().zip(&from[..c]).for_each(|(t, f)| *t += *f);
                }
            }
        }
    }
}
