//! Batch norm (Ioffe & Szegedy 2015, arXiv:1502.03167) and the activation behind it, over `[rows, channels]`.
//!
//! Two walks over the rows do it all: `sums` (two sums of each channel) and `values` (a new value for every number).

use super::act::leaky;
use super::parts;
use crate::scratch::Shared;
use crate::simd::{Level, Simd};
use sums::{Gradients, Moments, Plain, sums};
use values::{Each, InputGrad, Normalise};

mod sums;
mod values;

/// Vectors of channels that are kept in registers.
const WIDE: usize = 4;

/// What normalises each channel: y = act((x − mean)·scale + shift).
pub(crate) struct Channels<'a> {
    pub mean: &'a [f32],
    /// γ/√(variance + ε)
    pub scale: &'a [f32],
    /// β
    pub shift: &'a [f32],
    /// Of the activation below zero; 1 for none.
    pub slope: f32,
}

/// Mean and biased variance of each channel.
pub(crate) fn moments(level: Level, x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = x.len() / channels.max(1);
    // Sums are over differences to the first row, so that a large mean does not swallow the spread.
    let [sums, squares] = sums(level, rows, channels, &Moments { x, channels });
    let m = rows as f64;
    let offset: Vec<f64> = sums.iter().map(|s| s / m).collect();
    let mean = offset.iter().zip(x).map(|(o, first)| (o + f64::from(*first)) as f32).collect();
    let variance = offset.iter().zip(&squares).map(|(o, q)| (q / m - o * o).max(0.0) as f32);
    // A maximum would turn a NaN into 0.
    let variance = variance.zip(&squares).map(|(v, q)| if q.is_nan() { f32::NAN } else { v }).collect();
    (mean, variance)
}

/// y = act((x − mean)·scale + shift)
pub(crate) fn forward(level: Level, x: &[f32], by: &Channels, y: &mut [f32]) {
    let (channels, y) = (by.mean.len(), Shared::new(y));
    parts(x.len() / channels.max(1), channels, |rows| {
        // SAFETY: the level is available; parts are apart from each other.
        unsafe { level.run(Each { rows, channels, to: y, f: Normalise { x, by } }) }
    });
}

/// Σ g′ and Σ g′·(x − mean) of each channel, with g′ the gradient before the activation.
pub(crate) fn gradient_sums(level: Level, x: &[f32], g: &[f32], by: &Channels) -> [Vec<f64>; 2] {
    let channels = by.mean.len();
    sums(level, x.len() / channels.max(1), channels, &Gradients { x, g, by })
}

/// g ← scale·g′ − even − (x − mean)·along, with g′ the gradient before the activation.
pub(crate) fn backward(level: Level, x: &[f32], by: &Channels, even: &[f32], along: &[f32], g: &mut [f32]) {
    let (channels, g) = (by.mean.len(), Shared::new(g));
    parts(x.len() / channels.max(1), channels, |rows| {
        // SAFETY: the level is available; parts are apart from each other.
        unsafe { level.run(Each { rows, channels, to: g, f: InputGrad { x, g, by, even, along } }) }
    });
}

/// Σ g of each channel.
pub(crate) fn column_sums(level: Level, g: &[f32], channels: usize) -> Vec<f64> {
    let [sums, _] = sums(level, g.len() / channels.max(1), channels, &Plain { g, channels });
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
    // SAFETY: the slices have one number a channel.
    unsafe { [at::<S>(by.mean, channel, lanes), at::<S>(by.scale, channel, lanes), at::<S>(by.shift, channel, lanes)] }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_nan_reaches_the_moments() {
        let (mean, variance) = moments(Level::current(), &[1.0, 2.0, f32::NAN, 4.0], 2);
        assert!(mean[0].is_nan() && variance[0].is_nan() && mean[1] == 3.0);
    }
}
