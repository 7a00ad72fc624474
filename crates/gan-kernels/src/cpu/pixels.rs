//! Pixel maps without weights: upsampling, padding, pooling, and their gradients.
//!
//! Most are weighted sums of pixels, with weights that are products of one for the row and one for the column; the gradient is such a map
//! too.

use super::Cpu;
use super::buffer::Shared;
use super::parallel::{each, each_sample};
use super::simd::{Job, LANES, Level, Simd};
use crate::backend::{Axis, PixelMap, Pixels, Resample, Sides, size};
use std::ops::Range;

impl Pixels for Cpu {
    fn resample(&self, map: &PixelMap, by: Resample, x: &[f32], y: &mut [f32]) {
        match axes(map, by) {
            Some(axes) => sums(map.samples, map.input, map.output, &axes, x, y),
            None => shuffle(map, |small, large| y[large] = x[small]),
        }
    }

    fn resample_grad(&self, map: &PixelMap, by: Resample, g: &[f32], dx: &mut [f32]) {
        match axes(map, by) {
            Some([down, across]) => {
                let axes = [down.transposed(map.input[0]), across.transposed(map.input[1])];
                sums(map.samples, map.output, map.input, &axes, g, dx);
            }
            None => shuffle(map, |small, large| dx[small] = g[large]),
        }
    }

    /// A channel with a NaN yields NaN.
    fn global_max_pool(&self, map: &PixelMap, x: &[f32], y: &mut [f32]) {
        let c = map.input[2];
        let of_sample = |x: &[f32], y: &mut [f32]| {
            y.copy_from_slice(&x[..c]);
            for x in x.chunks_exact(c).skip(1) {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x > *y || x.is_nan() { *x } else { *y });
            }
        };
        let len = size(map.input);
        each_sample(map.samples, c, y, |sample, y| of_sample(&x[sample * len..][..len], y));
    }

    fn global_max_pool_grad(&self, map: &PixelMap, x: &[f32], y: &[f32], g: &[f32], dx: &mut [f32]) {
        let len = size(map.input);
        let c = map.input[2];
        let level = Level::current();
        each_sample(map.samples, len, dx, |sample, dx| {
            let [largest, g] = [y, g].map(|all| &all[sample * c..][..c]);
            // SAFETY: `len` is a number of pixels times c.
            unsafe { level.run(MaxGrad { x: &x[sample * len..][..len], largest, g, dx }) };
        });
    }
}

fn axes(map: &PixelMap, by: Resample) -> Option<[Axis; 2]> {
    let axis = |i: usize| by.axis(i, map.input[i], map.output[i]);
    Some([axis(0)?, axis(1)?])
}

/// Computes every pixel of y as a weighted sum of pixels of x.
fn sums(samples: usize, from: Sides, to: Sides, axes: &[Axis; 2], x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), samples * size(from), "pixels to sum");
    assert_eq!(y.len(), samples * size(to), "a place for each pixel");
    let [h, w, c] = to;
    let level = Level::current();
    let y = Shared::new(y);
    // Some rows are one task, so that few samples occupy all threads too.
    let rows = (TASK / (w * c).max(1)).clamp(1, h.max(1));
    let tasks = h.div_ceil(rows);
    each(samples * tasks, |task| {
        let sample = task / tasks;
        let first = task % tasks * rows;
        let job = Sums {
            axes,
            x: &x[sample * size(from)..][..size(from)],
            y: y.ahead(sample * size(to)),
            width: from[1],
            to: [w, c],
            rows: first..h.min(first + rows),
        };
        // SAFETY: x is a sample with all pixels that the axes name; only this task writes these rows of the sample's y.
        unsafe { level.run(job) };
    });
}

/// Approximate number of values per task.
const TASK: usize = 1 << 14;

struct Sums<'a> {
    axes: &'a [Axis; 2],
    x: &'a [f32],
    y: Shared,
    width: usize,
    to: [usize; 2],
    rows: Range<usize>,
}

impl Job for Sums<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [w, c] = self.to;
        let [down, across] = self.axes;
        for i in self.rows.clone() {
            let above = down.taps(i);
            for j in 0..w {
                let beside = across.taps(j);
                for channel in (0..c).step_by(LANES) {
                    let lanes = LANES.min(c - channel);
                    // SAFETY: the taps are pixels of x, and (i, j) is one of y, as the caller vouches.
                    unsafe {
                        let mut sum = S::zero();
                        for &(y, a) in above {
                            for &(x, b) in beside {
                                let at = self.x.as_ptr().add((y * self.width + x) * c + channel);
                                sum = S::load_upto(at, lanes).mul_add(S::splat(a * b), sum);
                            }
                        }
                        sum.store_upto(self.y.get().add((i * w + j) * c + channel), lanes);
                    }
                }
            }
        }
    }
}

/// Calls `f(index in the small image, index in the large one)` for each number of a pixel shuffle.
fn shuffle(map: &PixelMap, mut f: impl FnMut(usize, usize)) {
    let [h, w, many] = map.input;
    let [oh, ow, c] = map.output;
    let (down, across) = (oh / h.max(1), ow / w.max(1));
    for n in 0..map.samples {
        for i in 0..oh {
            for j in 0..ow {
                let small = ((n * h + i / down) * w + j / across) * many + i % down * across + j % across;
                let large = ((n * oh + i) * ow + j) * c;
                (0..c).for_each(|channel| f(small + channel * down * across, large + channel));
            }
        }
    }
}

/// Computes the maximum of each channel, and its tangent.
pub(super) fn max_jvp(map: &PixelMap, [x, t]: [&[f32]; 2], [y, of_tangents]: [&mut [f32]; 2]) {
    let [_, _, c] = map.input;
    let len = size(map.input);
    Cpu.global_max_pool(map, x, y);
    assert_eq!(t.len(), x.len(), "a tangent for each value");
    each_sample(map.samples, c, of_tangents, |sample, to| {
        let [x, t] = [x, t].map(|all| &all[sample * len..][..len]);
        let largest = &y[sample * c..][..c];
        let mut ties = vec![0f32; c];
        to.fill(0.0);
        for (x, t) in x.chunks_exact(c).zip(t.chunks_exact(c)) {
            for i in (0..c).filter(|i| x[*i] == largest[*i]) {
                to[i] += t[i];
                ties[i] += 1.0;
            }
        }
        // A channel with a NaN has no ties, and so no derivative.
        to.iter_mut().zip(ties).for_each(|(to, ties)| *to /= ties);
    });
}

/// Gradient of one sample's maxima: each pixel that has its channel's maximum gets an equal part.
struct MaxGrad<'a> {
    x: &'a [f32],
    largest: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
}

impl Job for MaxGrad<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { x, largest, g, dx } = self;
        let c = largest.len();
        for channel in (0..c).step_by(LANES) {
            let lanes = LANES.min(c - channel);
            // SAFETY: x and dx have c numbers for each pixel, and the maxima and their gradients one for each channel.
            unsafe {
                let one = S::splat(1.0);
                let most = S::load_upto(largest.as_ptr().add(channel), lanes);
                let mut ties = S::zero();
                for at in (channel..x.len()).step_by(c) {
                    ties = ties + (most - S::load_upto(x.as_ptr().add(at), lanes)).where_positive(S::zero(), one);
                }
                let part = S::load_upto(g.as_ptr().add(channel), lanes) / ties;
                for at in (channel..x.len()).step_by(c) {
                    let less = most - S::load_upto(x.as_ptr().add(at), lanes);
                    less.where_positive(S::zero(), part).store_upto(dx.as_mut_ptr().add(at), lanes);
                }
            }
        }
    }
}
