//! Two sums over the rows of each channel, in an order that depends on the shape alone.

use super::{Channels, WIDE, at, before_act, per_channel};
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use crate::cpu::rows::ROWS;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::marker::PhantomData;
use std::ops::Range;

/// Maximum number of groups of rows that sums are taken over, before the groups are summed.
const GROUPS: usize = 32;

/// Two sums over rows.
///
/// # Safety
/// Of both functions: as [`Simd`]; the row and the channels lie inside the implementing type's slices.
pub(super) trait Terms: Sync {
    /// The terms of sixteen channels from `channel` on (`lanes` of them), `state` being what [`Terms::prepare`] made.
    unsafe fn terms<S: Simd>(&self, state: &[S::V; 3], row: usize, channel: usize, lanes: usize) -> [S::V; 2];
    /// What is the same for all rows.
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 3];
}

/// Σ terms over all rows.
///
/// # Safety
/// The terms' slices hold `rows` rows of `channels`.
pub(super) unsafe fn sums<T: Terms>(level: Level, rows: usize, channels: usize, terms: &T) -> [Vec<f64>; 2] {
    let blocks = rows.div_ceil(ROWS);
    let group = blocks.div_ceil(GROUPS).max(1) * ROWS;
    let groups = rows.div_ceil(group);
    let width = channels.next_multiple_of(LANES);
    let mut partial = Buffer::any(groups * 2 * width);
    let to = Shared::new(&mut partial);
    each(groups, |i| {
        let rows = i * group..rows.min((i + 1) * group);
        let to = to.ahead(i * 2 * width).get();
        // SAFETY: each group has sums of its own in `partial`, two rows of `width`; the caller vouches for the terms.
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

/// Of the differences to the first row, and of their squares.
pub(super) struct Moments<'a> {
    pub x: &'a [f32],
    pub channels: usize,
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

/// Of the numbers themselves.
pub(super) struct Plain<'a> {
    pub g: &'a [f32],
    pub channels: usize,
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

/// Of g′ and g′·(x − mean).
pub(super) struct Gradients<'a> {
    pub x: &'a [f32],
    pub g: &'a [f32],
    pub by: &'a Channels<'a>,
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
