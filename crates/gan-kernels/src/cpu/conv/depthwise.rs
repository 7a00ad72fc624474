//! Depthwise convolutions: each channel has a window of its own.
//!
//! The products of one channel are too small for the matrix kernel. Here, a vector holds neighbouring channels, and weights are packed
//! `[taps][channels]`, in f32 whatever the precision. One kernel serves both directions, because it goes through lists of the taps that meet
//! each pixel.

use super::Direction;
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::{self, each};
use crate::cpu::simd::{Job, LANES, Level, Simd};
use crate::spec::Problem;
use std::ops::Range;

/// Minimum number of channels, from which vectors are not mostly empty.
const LEAST: usize = 8;
/// Number of vectors of channels that are kept in registers.
const WIDE: usize = 4;
/// Approximate number of multiply-adds per task.
const WORTH: usize = 1 << 16;
/// Approximate number of tasks of a weight gradient, whatever the number of threads.
const TASKS: usize = 16;

/// Returns whether the channels of a problem are groups of their own, and enough.
pub(super) fn serves(p: &Problem) -> bool {
    [p.in_channels, p.out_channels] == [1, 1] && p.groups >= LEAST
}

/// Packs weights `[channels, 1, kh, kw]` as `[taps][channels]`.
pub(super) fn pack(p: &Problem, w: &[f32]) -> Buffer {
    let taps = p.rows();
    let mut packed = Buffer::any(w.len());
    for (tap, row) in packed.chunks_exact_mut(p.groups).enumerate() {
        row.iter_mut().zip(w[tap..].iter().step_by(taps)).for_each(|(to, from)| *to = *from);
    }
    packed
}

/// A tap, and the pixel that it meets, along one axis.
type Met = [usize; 2];

/// Returns what each pixel of the result meets along an axis.
fn met(p: &Problem, direction: Direction, axis: usize) -> Vec<Vec<Met>> {
    let pixels = match direction {
        Direction::Forward => p.output[axis],
        Direction::Backward => p.input[axis],
    };
    let mut met = vec![vec![]; pixels];
    for tap in 0..p.kernel[axis] {
        let (first, end, start) = p.span(axis, tap);
        for window in first..end {
            let pixel = start + (window - first) * p.spec.stride[axis];
            match direction {
                Direction::Forward => met[window].push([tap, pixel]),
                Direction::Backward => met[pixel].push([tap, window]),
            }
        }
    }
    met
}

/// Computes one direction of a convolution, from images `x` to images `y`, with weights from [`pack`].
pub(super) fn run(level: Level, p: &Problem, direction: Direction, x: &[f32], w: &[f32], y: &mut [f32]) {
    let [from, to] = match direction {
        Direction::Forward => [p.input, p.output],
        Direction::Backward => [p.output, p.input],
    };
    let channels = p.groups;
    let [x_len, row_len] = [from[0] * from[1] * channels, to[1] * channels];
    assert_eq!(x.len(), p.samples * x_len, "the images of {p:?}");
    assert_eq!(y.len(), p.samples * to[0] * row_len, "the results of {p:?}");
    assert_eq!(w.len(), p.weights(), "packed weights of {p:?}");
    let [rows, columns] = [0, 1].map(|axis| met(p, direction, axis));
    let y = Shared::new(y);
    let count = p.samples * to[0];
    let some = (WORTH / (row_len * p.rows()).max(1)).max(1);
    each(count.div_ceil(some), |task| {
        for row in task * some..count.min((task + 1) * some) {
            let job = Row {
                x: &x[row / to[0] * x_len..][..x_len],
                width: from[1],
                w,
                taps: p.kernel[1],
                channels,
                rows: &rows[row % to[0]],
                columns: &columns,
                y: y.ahead(row * row_len),
            };
            // SAFETY: the taps and pixels that are met lie inside the weights and the sample, as `Problem::span` returns them; y has this row,
            // as checked above, and only this task uses it.
            unsafe { level.run(job) };
        }
    });
}

/// One row of pixels of the result.
struct Row<'a> {
    /// A sample, `[pixels, channels]`.
    x: &'a [f32],
    /// Number of pixels in a row of it.
    width: usize,
    w: &'a [f32],
    /// Number of taps in a row.
    taps: usize,
    channels: usize,
    rows: &'a [Met],
    columns: &'a [Vec<Met>],
    y: Shared,
}

impl Job for Row<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let whole = self.channels / (WIDE * LANES) * (WIDE * LANES);
        for pixel in 0..self.columns.len() {
            // SAFETY: these channels exist, and the fields are as `run` vouches.
            unsafe {
                for channel in (0..whole).step_by(WIDE * LANES) {
                    self.block::<S, WIDE>(pixel, channel, LANES);
                }
                for channel in (whole..self.channels).step_by(LANES) {
                    self.block::<S, 1>(pixel, channel, LANES.min(self.channels - channel));
                }
            }
        }
    }
}

impl Row<'_> {
    /// Computes N vectors of channels of one pixel.
    #[inline(always)]
    unsafe fn block<S: Simd, const N: usize>(&self, pixel: usize, channel: usize, lanes: usize) {
        // SAFETY: as the caller vouches.
        unsafe {
            let mut sums = [S::zero(); N];
            for [ky, y] in self.rows {
                for [kx, x] in self.columns.get_unchecked(pixel) {
                    let x = self.x.as_ptr().add((y * self.width + x) * self.channels + channel);
                    let w = self.w.as_ptr().add((ky * self.taps + kx) * self.channels + channel);
                    let mut i = 0;
                    while i < N {
                        let factor = S::load_upto(w.add(i * LANES), lanes);
                        sums[i] = S::load_upto(x.add(i * LANES), lanes).mul_add(factor, sums[i]);
                        i += 1;
                    }
                }
            }
            let mut i = 0;
            while i < N {
                sums[i].store_upto(self.y.get().add(pixel * self.channels + channel + i * LANES), lanes);
                i += 1;
            }
        }
    }
}

/// Computes the gradient of weights `[channels, 1, kh, kw]` from x `[N, H, W, C]` and dy `[N, H', W', C]`.
pub(super) fn weight_grad(level: Level, p: &Problem, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    assert_eq!(x.len(), p.samples * p.input_len(), "the images of {p:?}");
    assert_eq!(dy.len(), p.samples * p.output_len(), "the gradients of {p:?}");
    let taps = p.rows();
    let rows = met(p, Direction::Forward, 0);
    let columns: Vec<_> = (0..p.kernel[1]).map(|tap| p.span(1, tap)).collect();
    let count = p.samples * p.output[0];
    let some = count.div_ceil(TASKS).max(1);
    let sums = parallel::map(count.div_ceil(some), |task| {
        let mut sums = Buffer::any(taps * p.groups);
        sums.fill(0.0);
        let to = Shared::new(&mut sums);
        let rows_of_task = task * some..count.min((task + 1) * some);
        // SAFETY: the rows lie inside x and dy, which have the lengths checked above; taps and pixels are those that `Problem::span` returns,
        // and the sums have a place for each tap and channel.
        unsafe { level.run(Sums { p, x, dy, rows: &rows, columns: &columns, own: rows_of_task, to }) };
        sums
    });
    dw.fill(0.0);
    for part in &sums {
        for (tap, row) in part.chunks_exact(p.groups).enumerate() {
            dw[tap..].iter_mut().step_by(taps).zip(row).for_each(|(to, from)| *to += from);
        }
    }
}

/// Products of images and gradients, summed over some rows of pixels.
struct Sums<'a> {
    p: &'a Problem,
    x: &'a [f32],
    dy: &'a [f32],
    rows: &'a [Vec<Met>],
    /// The windows that each tap of a row meets, and the first pixel, as [`Problem::span`] returns them.
    columns: &'a [(usize, usize, usize)],
    /// Rows of all samples.
    own: Range<usize>,
    /// `[taps][channels]`
    to: Shared,
}

impl Job for Sums<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.p.groups;
        let whole = channels / (WIDE * LANES) * (WIDE * LANES);
        for row in self.own.clone() {
            // SAFETY: these channels exist, and the fields are as `weight_grad` vouches.
            unsafe {
                for channel in (0..whole).step_by(WIDE * LANES) {
                    self.block::<S, WIDE>(row, channel, LANES);
                }
                for channel in (whole..channels).step_by(LANES) {
                    self.block::<S, 1>(row, channel, LANES.min(channels - channel));
                }
            }
        }
    }
}

impl Sums<'_> {
    /// Adds the products of N vectors of channels in one row of windows.
    #[inline(always)]
    unsafe fn block<S: Simd, const N: usize>(&self, row: usize, channel: usize, lanes: usize) {
        let p = self.p;
        let channels = p.groups;
        let [sample, oy] = [row / p.output[0], row % p.output[0]];
        let step = p.spec.stride[1] * channels;
        // SAFETY: as the caller vouches.
        unsafe {
            let dy = self.dy.as_ptr().add(row * p.output[1] * channels + channel);
            for [ky, iy] in self.rows.get_unchecked(oy) {
                let x = self.x.as_ptr().add((sample * p.input[0] + iy) * p.input[1] * channels + channel);
                let mut kx = 0;
                while kx < self.columns.len() {
                    let (first, end, left) = *self.columns.get_unchecked(kx);
                    let to = self.to.get().add((ky * p.kernel[1] + kx) * channels + channel);
                    let mut sums = [S::zero(); N];
                    let mut i = 0;
                    while i < N {
                        sums[i] = S::load_upto(to.add(i * LANES), lanes);
                        i += 1;
                    }
                    let mut x = x.wrapping_add(left * channels);
                    let mut dy = dy.wrapping_add(first * channels);
                    for _ in first..end {
                        let mut i = 0;
                        while i < N {
                            let g = S::load_upto(dy.wrapping_add(i * LANES), lanes);
                            sums[i] = S::load_upto(x.wrapping_add(i * LANES), lanes).mul_add(g, sums[i]);
                            i += 1;
                        }
                        x = x.wrapping_add(step);
                        dy = dy.wrapping_add(channels);
                    }
                    let mut i = 0;
                    while i < N {
                        sums[i].store_upto(to.add(i * LANES), lanes);
                        i += 1;
                    }
                    kx += 1;
                }
            }
        }
    }
}
