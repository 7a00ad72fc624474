//! Batch norm (Ioffe & Szegedy 2015, arXiv:1502.03167) and the activation behind it, over `[rows, channels]`.
//!
//! Everything is made of two walks over the rows: [`sums`] takes two sums of each channel, [`Each`] computes a new value for every number.

use super::activation::leaky;
use super::sums::{Terms, sums};
use super::{WIDE, parts, rows};
use crate::cpu::buffer::Shared;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::ops::Range;

/// Factors that normalize each channel: y = act((x − mean)·scale + shift).
pub(crate) struct Channels<'a> {
    pub mean: &'a [f32],
    /// γ/√(variance + ε)
    pub scale: &'a [f32],
    /// β
    pub shift: &'a [f32],
    /// Slope of the activation below zero; 1 for none.
    pub slope: f32,
}

impl Channels<'_> {
    /// Returns the number of channels, after checking that every list has one number for each.
    fn count(&self) -> usize {
        let count = self.mean.len();
        assert!(
            self.scale.len() == count && self.shift.len() == count,
            "a norm has one number of each kind per channel"
        );
        count
    }
}

/// Returns mean and biased variance of each channel.
pub(crate) fn moments(level: Level, x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = rows(x.len(), channels);
    // Sums are over differences to the first row, so that a large mean does not swallow the spread.
    // SAFETY: x has these rows.
    let [sums, squares] = unsafe { sums(level, rows, channels, &Moments { x, channels }) };
    let m = rows as f64;
    let offset: Vec<f64> = sums.iter().map(|s| s / m).collect();
    let mean = offset.iter().zip(x).map(|(o, first)| (o + f64::from(*first)) as f32).collect();
    let variance = offset.iter().zip(&squares).map(|(o, q)| (q / m - o * o).max(0.0) as f32);
    // A maximum would turn a NaN into 0.
    let variance = variance.zip(&squares).map(|(v, q)| if q.is_nan() { f32::NAN } else { v }).collect();
    (mean, variance)
}

/// Computes y = act((x − mean)·scale + shift).
pub(crate) fn forward(level: Level, x: &[f32], by: &Channels, y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "a norm's output is as large as its input");
    let channels = by.count();
    let y = Shared::new(y);
    parts(rows(x.len(), channels), channels, |rows| {
        // SAFETY: x and y have these rows, and all lists one number per channel, as checked above; parts do not overlap.
        unsafe { level.run(Each { rows, channels, to: y, f: Normalise { x, by } }) }
    });
}

/// Returns Σ g′ and Σ g′·(x − mean) of each channel, with g′ the gradient before the activation.
pub(crate) fn gradient_sums(level: Level, x: &[f32], g: &[f32], by: &Channels) -> [Vec<f64>; 2] {
    assert_eq!(x.len(), g.len(), "a gradient has the size of its values");
    let channels = by.count();
    // SAFETY: x and g have these rows, and all lists one number per channel, as checked above.
    unsafe { sums(level, rows(x.len(), channels), channels, &Gradients { x, g, by }) }
}

/// Computes g ← scale·g′ − even − (x − mean)·along, with g′ the gradient before the activation.
pub(crate) fn backward(level: Level, x: &[f32], by: &Channels, even: &[f32], along: &[f32], g: &mut [f32]) {
    assert_eq!(x.len(), g.len(), "a gradient has the size of its values");
    let channels = by.count();
    assert!(
        even.len() == channels && along.len() == channels,
        "a norm's gradient has one number of each kind per channel"
    );
    let g = Shared::new(g);
    parts(rows(x.len(), channels), channels, |rows| {
        // SAFETY: x and g have these rows, and all lists one number per channel, as checked above; parts do not overlap.
        unsafe { level.run(Each { rows, channels, to: g, f: InputGrad { x, g, by, even, along } }) }
    });
}

/// Returns Σ g of each channel.
pub(crate) fn column_sums(level: Level, g: &[f32], channels: usize) -> Vec<f64> {
    // SAFETY: g has these rows.
    let [sums, _] = unsafe { sums(level, rows(g.len(), channels), channels, &Plain { g, channels }) };
    sums
}

#[inline(always)]
unsafe fn at<S: Simd>(x: &[f32], index: usize, lanes: usize) -> S {
    // SAFETY: the caller's rows and channels lie inside x.
    unsafe { S::load_upto(x.as_ptr().add(index), lanes) }
}

/// Returns x − mean, and g times the activation's slope there.
#[inline(always)]
fn before_act<S: Simd>(x: S, g: S, [mean, scale, shift]: [S; 3], slope: f32) -> [S; 2] {
    let centred = x - mean;
    [centred, leaky(centred.mul_add(scale, shift), g, slope)]
}

#[inline(always)]
unsafe fn per_channel<S: Simd>(by: &Channels, channel: usize, lanes: usize) -> [S; 3] {
    // SAFETY: the lists have one number per channel (`Channels::count`).
    unsafe { [at(by.mean, channel, lanes), at(by.scale, channel, lanes), at(by.shift, channel, lanes)] }
}

/// Sums of the differences to the first row, and of their squares.
struct Moments<'a> {
    pub x: &'a [f32],
    pub channels: usize,
}

impl Terms for Moments<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S; 3] {
        // SAFETY: the first row has these channels.
        unsafe { [at(self.x, channel, lanes), S::zero(), S::zero()] }
    }
    #[inline(always)]
    unsafe fn terms<S: Simd>(&self, state: [S; 3], row: usize, channel: usize, lanes: usize) -> [S; 2] {
        // SAFETY: the row lies inside x.
        unsafe {
            let d = at::<S>(self.x, row * self.channels + channel, lanes) - state[0];
            [d, d * d]
        }
    }
}

/// Sums of the numbers themselves.
struct Plain<'a> {
    pub g: &'a [f32],
    pub channels: usize,
}

impl Terms for Plain<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, _: usize, _: usize) -> [S; 3] {
        // SAFETY: a vector of zeros.
        unsafe { [S::zero(); 3] }
    }
    #[inline(always)]
    unsafe fn terms<S: Simd>(&self, state: [S; 3], row: usize, channel: usize, lanes: usize) -> [S; 2] {
        // SAFETY: the row lies inside g.
        unsafe { [at(self.g, row * self.channels + channel, lanes), state[0]] }
    }
}

/// Sums of g′ and g′·(x − mean).
struct Gradients<'a> {
    pub x: &'a [f32],
    pub g: &'a [f32],
    pub by: &'a Channels<'a>,
}

impl Terms for Gradients<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S; 3] {
        // SAFETY: the lists have one number per channel.
        unsafe { per_channel(self.by, channel, lanes) }
    }
    #[inline(always)]
    unsafe fn terms<S: Simd>(&self, state: [S; 3], row: usize, channel: usize, lanes: usize) -> [S; 2] {
        let index = row * self.by.mean.len() + channel;
        // SAFETY: the row lies inside x and g.
        unsafe {
            let x = at(self.x, index, lanes);
            let [centred, g] = before_act(x, at(self.g, index, lanes), state, self.by.slope);
            [g, g * centred]
        }
    }
}

/// A new value for every number.
///
/// # Safety
/// Of both functions: as [`Simd`]; the index and the channels lie inside the implementing type's slices.
trait Value: Sync {
    /// Returns the values that are the same for all rows, for `lanes` channels from `channel` on.
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S; 5];
    unsafe fn value<S: Simd>(&self, state: &[S; 5], index: usize, lanes: usize) -> S;
}

/// Writes [`Value`]s to rows that no other task writes.
struct Each<F> {
    pub rows: Range<usize>,
    pub channels: usize,
    pub to: Shared,
    pub f: F,
}

impl<F: Value> Job for Each<F> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: only this task writes these rows, and the channels lie inside them.
        unsafe {
            for first in (0..self.channels).step_by(WIDE * LANES) {
                if first + WIDE * LANES <= self.channels {
                    self.block::<S, WIDE>(first);
                } else {
                    for channel in (first..self.channels).step_by(LANES) {
                        self.block::<S, 1>(channel);
                    }
                }
            }
        }
    }
}

impl<F: Value> Each<F> {
    #[inline(always)]
    unsafe fn block<S: Simd, const N: usize>(&self, first: usize) {
        let lanes = LANES.min(self.channels - first);
        // SAFETY: as in `run`.
        unsafe {
            let mut state = [[S::zero(); 5]; N];
            for (i, state) in state.iter_mut().enumerate() {
                *state = self.f.prepare(first + i * LANES, lanes);
            }
            for row in self.rows.clone() {
                for (i, state) in state.iter().enumerate() {
                    let index = row * self.channels + first + i * LANES;
                    self.f.value(state, index, lanes).store_upto(self.to.get().add(index), lanes);
                }
            }
        }
    }
}

/// act((x − mean)·scale + shift)
struct Normalise<'a> {
    pub x: &'a [f32],
    pub by: &'a Channels<'a>,
}

impl Value for Normalise<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S; 5] {
        // SAFETY: the lists have one number per channel.
        unsafe {
            let [mean, scale, shift] = per_channel(self.by, channel, lanes);
            [mean, scale, shift, S::zero(), S::zero()]
        }
    }
    #[inline(always)]
    unsafe fn value<S: Simd>(&self, [mean, scale, shift, ..]: &[S; 5], index: usize, lanes: usize) -> S {
        // SAFETY: the index lies inside x.
        unsafe {
            let v = (at::<S>(self.x, index, lanes) - *mean).mul_add(*scale, *shift);
            leaky(v, v, self.by.slope)
        }
    }
}

/// scale·g′ − even − (x − mean)·along
struct InputGrad<'a> {
    pub x: &'a [f32],
    pub g: Shared,
    pub by: &'a Channels<'a>,
    pub even: &'a [f32],
    pub along: &'a [f32],
}

impl Value for InputGrad<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S; 5] {
        // SAFETY: the lists have one number per channel.
        unsafe {
            let [mean, scale, shift] = per_channel(self.by, channel, lanes);
            [mean, scale, shift, at(self.even, channel, lanes), at(self.along, channel, lanes)]
        }
    }
    #[inline(always)]
    unsafe fn value<S: Simd>(&self, [mean, scale, shift, even, along]: &[S; 5], index: usize, lanes: usize) -> S {
        // SAFETY: the index lies inside x and g; each number of g is read before it is written.
        unsafe {
            let g = S::load_upto(self.g.get().add(index), lanes);
            let x = at(self.x, index, lanes);
            let [centred, g] = before_act(x, g, [*mean, *scale, *shift], self.by.slope);
            *scale * g - *even - centred * *along
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::refused;

    #[test]
    fn moments_survive_a_large_mean_and_any_width() {
        for level in Level::available() {
            for (rows, channels) in [(2, 3), (1000, 64), (333, 100), (70, 1)] {
                let x: Vec<f32> = (0..rows * channels)
                    .map(|i| 1000.0 * (i % channels) as f32 + ((i * 7919) % 1013) as f32 / 1013.0)
                    .collect();
                let (mean, variance) = moments(level, &x, channels);
                for c in 0..channels {
                    let column = || x.iter().skip(c).step_by(channels).map(|x| f64::from(*x));
                    let m = column().sum::<f64>() / rows as f64;
                    let v = column().map(|x| (x - m).powi(2)).sum::<f64>() / rows as f64;
                    assert!((f64::from(mean[c]) - m).abs() < 1e-6 * m.abs().max(1.0), "{level:?} mean {} {m}", mean[c]);
                    assert!((f64::from(variance[c]) - v).abs() < 2e-5 * v, "{level:?} variance {} {v}", variance[c]);
                }
            }
        }
    }

    #[test]
    fn other_lengths_are_refused() {
        let (level, ones) = (Level::current(), [1.0; 16]);
        let by = |mean: usize, scale: usize, shift: usize| Channels {
            mean: &ones[..mean],
            scale: &ones[..scale],
            shift: &ones[..shift],
            slope: 1.0,
        };
        for by in [by(15, 16, 16), by(16, 15, 16), by(16, 16, 15), by(7, 7, 7), by(0, 0, 0)] {
            refused(|| forward(level, &[0.0; 64], &by, &mut [0.0; 64]));
            refused(|| drop(gradient_sums(level, &[0.0; 64], &[0.0; 64], &by)));
            refused(|| backward(level, &[0.0; 64], &by, &ones, &ones, &mut [0.0; 64]));
        }
        let by = by(16, 16, 16);
        refused(|| forward(level, &[0.0; 64], &by, &mut [0.0; 48]));
        refused(|| drop(gradient_sums(level, &[0.0; 64], &[0.0; 48], &by)));
        refused(|| backward(level, &[0.0; 64], &by, &ones, &ones, &mut [0.0; 48]));
        refused(|| backward(level, &[0.0; 64], &by, &ones[..15], &ones, &mut [0.0; 64]));
        refused(|| backward(level, &[0.0; 64], &by, &ones, &ones[..15], &mut [0.0; 64]));
        refused(|| drop(moments(level, &[0.0; 63], 16)));
        refused(|| drop(column_sums(level, &[0.0; 63], 16)));
    }

    #[test]
    fn a_nan_reaches_the_moments() {
        let (mean, variance) = moments(Level::current(), &[1.0, 2.0, f32::NAN, 4.0], 2);
        assert!(mean[0].is_nan() && variance[0].is_nan() && mean[1] == 3.0);
    }
}
