//! A new value for every number of some rows.

use super::{Channels, WIDE, at, before_act, per_channel};
use crate::cpu::buffer::Shared;
use crate::cpu::rows::activation::leaky;
use crate::cpu::simd::{Job, LANES, Simd};
use std::ops::Range;

/// A value for every number.
///
/// # Safety
/// Of both functions: as [`Simd`]; the index and the channels lie inside the implementing type's slices.
pub(super) trait Value: Sync {
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S::V; 5];
    unsafe fn value<S: Simd>(&self, state: &[S::V; 5], index: usize, lanes: usize) -> S::V;
}

/// Writes [`Value`]s to rows that no other task writes.
pub(super) struct Each<F> {
    pub rows: Range<usize>,
    pub channels: usize,
    pub to: Shared,
    pub f: F,
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

/// act((x − mean)·scale + shift)
pub(super) struct Normalise<'a> {
    pub x: &'a [f32],
    pub by: &'a Channels<'a>,
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

/// scale·g′ − even − (x − mean)·along
pub(super) struct InputGrad<'a> {
    pub x: &'a [f32],
    pub g: Shared,
    pub by: &'a Channels<'a>,
    pub even: &'a [f32],
    pub along: &'a [f32],
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
