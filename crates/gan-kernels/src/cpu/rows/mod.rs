//! Element-wise and channel-wise work over `[rows, channels]` numbers, which is what channels-last images are.
//!
//! Batch norm with its activation, forward and backward (`norm`), bias with activation (`activation`), other activations (`curves`), and
//! other functions of single numbers (`map`).

pub(crate) mod activation;
pub(crate) mod curves;
pub(crate) mod map;
pub(crate) mod norm;
mod sums;

use crate::cpu::buffer::Shared;
use crate::cpu::simd::LANES;

/// Number of rows per task. Sums are also taken over groups of this size, so that no thread count changes a bit.
const ROWS: usize = 64;

/// Number of vectors of channels that are kept in registers.
const WIDE: usize = 4;

/// Number of values from which waking another thread is worth it.
const WORTH: usize = 1 << 14;

/// Returns the number of rows of `channels` in `numbers`, which must be whole.
pub(super) fn rows(numbers: usize, channels: usize) -> usize {
    assert!(numbers.is_multiple_of(channels), "{numbers} numbers are no rows of {channels} channels");
    numbers / channels.max(1)
}

/// Runs `f` over parts of the rows `0..rows`, each at least `ROWS` and large enough for a task.
pub(super) fn parts(rows: usize, channels: usize, f: impl Fn(std::ops::Range<usize>) + Sync + Send) {
    let part = WORTH.div_ceil(channels.max(1)).max(ROWS);
    crate::cpu::parallel::each(rows.div_ceil(part), |i| f(i * part..rows.min((i + 1) * part)));
}

/// Computes Σ a·b. Each lane has a sum of its own, so that the compiler can use vectors.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0f32; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().map(|sum| f64::from(*sum)).sum()
}

/// Calls `f(index, number)` for each number of y, over all threads.
pub(crate) fn each_number(y: &mut [f32], f: impl Fn(usize, &mut f32) + Sync + Send) {
    let len = y.len();
    let y = Shared::new(y);
    parts(len, 1, |range| {
        // SAFETY: the range lies inside y, and only this task uses it.
        let part = unsafe { std::slice::from_raw_parts_mut(y.ahead(range.start).get(), range.len()) };
        part.iter_mut().enumerate().for_each(|(i, y)| f(range.start + i, y));
    });
}
