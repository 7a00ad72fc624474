//! Batch norm (Ioffe & Szegedy 2015, arXiv:1502.03167) and the activation behind it, over `[rows, channels]`.

use super::act::leaky;
use super::{ROWS, parts};
use crate::parallel::each;
use crate::scratch::{Buffer, Shared};
use crate::simd::{Job, LANES, Level, Simd};
use std::marker::PhantomData;
use std::ops::Range;

/// Vectors of channels that a sum keeps in registers.
const WIDE: usize = 4;
/// Sums are taken over at most so many groups of rows, then over the groups.
const GROUPS: usize = 32;

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

/// Two sums over rows.
trait Terms: Sync {
    /// The terms of sixteen channels from `channel` on (`lanes` of them), `state` being what [`Terms::prepare`] made.
    unsafe fn terms<S: Simd>(&self, state: &[S::V; 3], row: usize, channel: usize, lanes: usize) -> [S::V; 2];
    /// What is the same for all rows.
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 3];
}

#[inline(always)]
unsafe fn at<S: Simd>(x: &[f32], index: usize, lanes: usize) -> S::V {
    // SAFETY: the caller's rows and channels lie inside x.
    unsafe { S::load_upto(x.as_ptr().add(index), lanes) }
}

/// Σ terms over all rows, in an order that depends on the shape alone.
fn sums<T: Terms>(level: Level, rows: usize, channels: usize, terms: &T) -> [Vec<f64>; 2] {
    let blocks = rows.div_ceil(ROWS);
    let group = blocks.div_ceil(GROUPS).max(1) * ROWS;
    let groups = rows.div_ceil(group);
    let width = channels.next_multiple_of(LANES);
    let mut partial = Buffer::any(groups * 2 * width);
    let to = Shared::new(&mut partial);
    each(groups, |i| {
        let rows = i * group..rows.min((i + 1) * group);
        // SAFETY: each group has sums of its own.
        let to = unsafe { to.get().add(i * 2 * width) };
        // SAFETY: the level is available.
        unsafe { level.run(Sum { rows, channels, width, terms, to, kind: PhantomData }) }
    });
    [0, 1].map(|which| {
        let of = |i: usize, channel: usize| f64::from(partial[(i * 2 + which) * width + channel]);
        (0..channels).map(|channel| (0..groups).map(|i| of(i, channel)).sum()).collect()
    })
}

struct Sum<'a, T> {
    rows: Range<usize>,
    channels: usize,
    width: usize,
    terms: &'a T,
    to: *mut f32,
    kind: PhantomData<T>,
}

impl<T: Terms> Job for Sum<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `to` has two rows of `width`; rows and channels are inside the terms' slices.
        unsafe {
            std::slice::from_raw_parts_mut(self.to, 2 * self.width).fill(0.0);
            for start in self.rows.clone().step_by(ROWS) {
                let rows = start..self.rows.end.min(start + ROWS);
                for first in (0..self.channels).step_by(WIDE * LANES) {
                    let wide = (self.channels - first).div_ceil(LANES).min(WIDE);
                    if wide == WIDE && first + WIDE * LANES <= self.channels {
                        self.block::<S, WIDE>(&rows, first);
                    } else {
                        for i in 0..wide {
                            self.block::<S, 1>(&rows, first + i * LANES);
                        }
                    }
                }
            }
        }
    }
}

impl<T: Terms> Sum<'_, T> {
    #[inline(always)]
    unsafe fn block<S: Simd, const N: usize>(&self, rows: &Range<usize>, first: usize) {
        let lanes = LANES.min(self.channels - first);
        // SAFETY: as `run` does.
        unsafe {
            let mut state = [[S::zero(); 3]; N];
            for (i, state) in state.iter_mut().enumerate() {
                *state = self.terms.prepare::<S>(first + i * LANES, lanes);
            }
            let mut sums = [[S::zero(); 2]; N];
            for row in rows.clone() {
                for i in 0..N {
                    let [a, b] = self.terms.terms::<S>(&state[i], row, first + i * LANES, lanes);
                    sums[i] = [S::add(sums[i][0], a), S::add(sums[i][1], b)];
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                for (which, sum) in sums.iter().enumerate() {
                    let p = self.to.add(which * self.width + first + i * LANES);
                    S::store(p, S::add(S::load(p), *sum));
                }
            }
        }
    }
}

struct Moments<'a> {
    x: &'a [f32],
    channels: usize,
}

impl Terms for Moments<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 3] {
        // SAFETY: the first row has these channels.
        unsafe { [at::<S>(self.x, channel, lanes), S::zero(), S::zero()] }
    }
    #[inline(always)]
    unsafe fn terms<S: Simd>(&self, state: &[S::V; 3], row: usize, channel: usize, lanes: usize) -> [S::V; 2] {
        // SAFETY: inside x.
        unsafe {
            let d = S::sub(at::<S>(self.x, row * self.channels + channel, lanes), state[0]);
            [d, S::mul(d, d)]
        }
    }
}

struct Plain<'a> {
    g: &'a [f32],
    channels: usize,
}

impl Terms for Plain<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, _: usize, _: usize) -> [S::V; 3] {
        // SAFETY: a vector of zeros.
        unsafe { [S::zero(); 3] }
    }
    #[inline(always)]
    unsafe fn terms<S: Simd>(&self, state: &[S::V; 3], row: usize, channel: usize, lanes: usize) -> [S::V; 2] {
        // SAFETY: inside g.
        unsafe { [at::<S>(self.g, row * self.channels + channel, lanes), state[0]] }
    }
}

struct Gradients<'a> {
    x: &'a [f32],
    g: &'a [f32],
    by: &'a Channels<'a>,
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

impl Terms for Gradients<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 3] {
        // SAFETY: one number a channel.
        unsafe { per_channel::<S>(self.by, channel, lanes) }
    }
    #[inline(always)]
    unsafe fn terms<S: Simd>(&self, state: &[S::V; 3], row: usize, channel: usize, lanes: usize) -> [S::V; 2] {
        let index = row * self.by.mean.len() + channel;
        // SAFETY: inside x and g.
        unsafe {
            let (x, g) = (at::<S>(self.x, index, lanes), at::<S>(self.g, index, lanes));
            let [centred, g] = before_act::<S>(x, g, state, self.by.slope);
            [g, S::mul(g, centred)]
        }
    }
}

/// Writes a value for every number.
trait Value: Sync {
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 5];
    unsafe fn value<S: Simd>(&self, state: &[S::V; 5], index: usize, lanes: usize) -> S::V;
}

struct Each<F> {
    rows: Range<usize>,
    channels: usize,
    to: Shared,
    f: F,
}

impl<F: Value> Job for Each<F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: these rows are the task's own; channels lie inside.
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
        // SAFETY: as `run` does.
        unsafe {
            let mut state = [[S::zero(); 5]; N];
            for (i, state) in state.iter_mut().enumerate() {
                *state = self.f.prepare::<S>(first + i * LANES, lanes);
            }
            for row in self.rows.clone() {
                for (i, state) in state.iter().enumerate() {
                    let index = row * self.channels + first + i * LANES;
                    let v = self.f.value::<S>(state, index, lanes);
                    S::store_upto(self.to.get().add(index), lanes, v);
                }
            }
        }
    }
}

struct Normalise<'a> {
    x: &'a [f32],
    by: &'a Channels<'a>,
}

impl Value for Normalise<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 5] {
        // SAFETY: one number a channel.
        unsafe {
            let [mean, scale, shift] = per_channel::<S>(self.by, channel, lanes);
            [mean, scale, shift, S::zero(), S::zero()]
        }
    }
    #[inline(always)]
    unsafe fn value<S: Simd>(&self, [mean, scale, shift, ..]: &[S::V; 5], index: usize, lanes: usize) -> S::V {
        // SAFETY: inside x.
        unsafe {
            let v = S::fma(S::sub(at::<S>(self.x, index, lanes), *mean), *scale, *shift);
            leaky::<S>(v, v, S::splat(self.by.slope))
        }
    }
}

struct InputGrad<'a> {
    x: &'a [f32],
    g: Shared,
    by: &'a Channels<'a>,
    even: &'a [f32],
    along: &'a [f32],
}

impl Value for InputGrad<'_> {
    #[inline(always)]
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 5] {
        // SAFETY: one number a channel.
        unsafe {
            let [mean, scale, shift] = per_channel::<S>(self.by, channel, lanes);
            [mean, scale, shift, at::<S>(self.even, channel, lanes), at::<S>(self.along, channel, lanes)]
        }
    }
    #[inline(always)]
    unsafe fn value<S: Simd>(&self, [mean, scale, shift, even, along]: &[S::V; 5], index: usize, lanes: usize) -> S::V {
        // SAFETY: inside x and g; each number of g is read before it is written.
        unsafe {
            let g = S::load_upto(self.g.get().add(index), lanes);
            let x = at::<S>(self.x, index, lanes);
            let [centred, g] = before_act::<S>(x, g, &[*mean, *scale, *shift], self.by.slope);
            S::sub(S::sub(S::mul(*scale, g), *even), S::mul(centred, *along))
        }
    }
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
