//! Batch norm (Ioffe & Szegedy 2015, arXiv:1502.03167) and the activation behind it, over `[rows, channels]`.
//!
//! Two walks over the rows do it all: `sums` (two sums of each channel) and `values` (a new value for every number).

use super::activation::leaky;
use super::{parts, rows};
use crate::cpu::buffer::Shared;
use crate::cpu::simd::{Level, Simd};
use sums::{Gradients, Moments, Plain, sums};
use values::{Each, InputGrad, Normalise};

mod sums;
mod values;

/// Vectors of channels that are kept in registers.
const WIDE: usize = 4;

/// Factors that normalize each channel: y = act((x − mean)·scale + shift).
pub(crate) struct Channels<'a> {
    pub mean: &'a [f32],
    /// γ/√(variance + ε)
    pub scale: &'a [f32],
    /// β
    pub shift: &'a [f32],
    /// Of the activation below zero; 1 for none.
    pub slope: f32,
}

impl Channels<'_> {
    /// How many channels there are, of which all lists have one number each.
    fn count(&self) -> usize {
        let count = self.mean.len();
        assert!(self.scale.len() == count && self.shift.len() == count, "a norm has one number of each kind a channel");
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
        // SAFETY: x and y have these rows, and all lists a number a channel, as checked above; parts are apart from each other.
        unsafe { level.run(Each { rows, channels, to: y, f: Normalise { x, by } }) }
    });
}

/// Returns Σ g′ and Σ g′·(x − mean) of each channel, with g′ the gradient before the activation.
pub(crate) fn gradient_sums(level: Level, x: &[f32], g: &[f32], by: &Channels) -> [Vec<f64>; 2] {
    assert_eq!(x.len(), g.len(), "a gradient is as large as what it belongs to");
    let channels = by.count();
    // SAFETY: x and g have these rows, and all lists a number a channel, as checked above.
    unsafe { sums(level, rows(x.len(), channels), channels, &Gradients { x, g, by }) }
}

/// Computes g ← scale·g′ − even − (x − mean)·along, with g′ the gradient before the activation.
pub(crate) fn backward(level: Level, x: &[f32], by: &Channels, even: &[f32], along: &[f32], g: &mut [f32]) {
    assert_eq!(x.len(), g.len(), "a gradient is as large as what it belongs to");
    let channels = by.count();
    assert!(
        even.len() == channels && along.len() == channels,
        "a norm's gradient has one number of each kind a channel"
    );
    let g = Shared::new(g);
    parts(rows(x.len(), channels), channels, |rows| {
        // SAFETY: x and g have these rows, and all lists a number a channel, as checked above; parts are apart from each other.
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
unsafe fn at<S: Simd>(x: &[f32], index: usize, lanes: usize) -> S::V {
    // SAFETY: the caller's rows and channels lie inside x.
    unsafe { S::load_upto(x.as_ptr().add(index), lanes) }
}

/// x − mean, and g times the activation's slope there.
#[inline(always)]
unsafe fn before_act<S: Simd>(x: S::V, g: S::V, [mean, scale, shift]: &[S::V; 3], slope: f32) -> [S::V; 2] {
    // SAFETY: arithmetic on vectors.
    unsafe {
        let centred = S::sub(x, *mean);
        [centred, leaky::<S>(S::fma(centred, *scale, *shift), g, S::splat(slope))]
    }
}

#[inline(always)]
unsafe fn per_channel<S: Simd>(by: &Channels, channel: usize, lanes: usize) -> [S::V; 3] {
    // SAFETY: the lists have one number a channel (`Channels::count`).
    unsafe { [at::<S>(by.mean, channel, lanes), at::<S>(by.scale, channel, lanes), at::<S>(by.shift, channel, lanes)] }
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
