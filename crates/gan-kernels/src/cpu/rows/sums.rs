//! Two sums over the rows of each channel.

use super::{ROWS, WIDE};
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::ops::Range;

/// Maximum number of groups of rows that sums are taken over, before the groups are summed.
const GROUPS: usize = 32;

/// Two sums over rows.
///
/// # Safety
/// Of both functions: as [`Simd`]; the row and the channels lie inside the implementing type's slices.
pub(super) trait Terms: Sync {
    /// Returns the values that are the same for all rows, for `lanes` channels from `channel` on.
    unsafe fn prepare<S: Simd>(&self, channel: usize, lanes: usize) -> [S; 3];
    /// Returns the terms of a row from the prepared values.
    unsafe fn terms<S: Simd>(&self, state: [S; 3], row: usize, channel: usize, lanes: usize) -> [S; 2];
}

/// Returns both sums of each channel over all rows, in an order that depends on the shape alone.
///
/// # Safety
/// The slices of `terms` hold `rows` rows of `channels`.
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
        unsafe { level.run(Sum { rows, channels, width, terms, to }) }
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
}

impl<T: Terms> Job for Sum<'_, T> {
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
        // SAFETY: as in `run`.
        unsafe {
            let mut state = [[S::zero(); 3]; N];
            for (i, state) in state.iter_mut().enumerate() {
                *state = self.terms.prepare(first + i * LANES, lanes);
            }
            let mut sums = [[S::zero(); 2]; N];
            for row in rows.clone() {
                for i in 0..N {
                    let [a, b] = self.terms.terms(state[i], row, first + i * LANES, lanes);
                    sums[i] = [sums[i][0] + a, sums[i][1] + b];
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                for (which, sum) in sums.iter().enumerate() {
                    let p = self.to.add(which * self.width + first + i * LANES);
                    (S::load(p) + *sum).store(p);
                }
            }
        }
    }
}
