//! Conversion between candle's channels-first images and the channels-last ones of the kernels.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use std::ops::Range;

/// Side of a block that is transposed while it is in the L1 cache.
const SIDE: usize = 16;
/// Number of values that are worth a task.
const LARGE: usize = 1 << 14;

/// Transposes `[N, C, P]` -> `[N, P, C]`.
pub(crate) fn channels_last(x: &[f32], c: usize, pixels: usize) -> Buffer {
    let mut out = Buffer::any(x.len());
    transpose(x, [c, pixels], &mut out);
    out
}

/// Transposes `[N, P, C]` -> `[N, C, P]`.
pub(crate) fn channels_first(x: &[f32], c: usize, pixels: usize, to: &mut [f32]) {
    transpose(x, [pixels, c], to);
}

/// Transposes every `[rows, columns]` matrix in `x`.
fn transpose(x: &[f32], [rows, columns]: [usize; 2], to: &mut [f32]) {
    assert_eq!(x.len(), to.len(), "a transposed matrix keeps its size");
    let size = rows * columns;
    assert!(x.len().is_multiple_of(size.max(1)), "{} numbers are no matrices of {rows}×{columns}", x.len());
    if size == 0 || rows == 1 || columns == 1 {
        return to.copy_from_slice(x);
    }
    let out = Shared::new(to);
    if size > LARGE {
        // A large matrix is several tasks, each for some of its columns.
        let width = (LARGE / rows).max(1).next_multiple_of(SIDE);
        let parts = columns.div_ceil(width);
        return each(x.len() / size * parts, |task| {
            let start = task / parts * size;
            let range = task % parts * width..columns.min((task % parts + 1) * width);
            let part = out.ahead(start + range.start * rows);
            // SAFETY: a column is a row of the result, which is as long as x; no two tasks transpose the same columns.
            let to = unsafe { std::slice::from_raw_parts_mut(part.get(), range.len() * rows) };
            transpose_columns(&x[start..start + size], [rows, columns], range, to);
        });
    }
    // Small images are combined, so that a task is worth its overhead.
    let some = LARGE.div_ceil(size);
    each((x.len() / size).div_ceil(some), |task| {
        let range = task * some * size..x.len().min((task + 1) * some * size);
        // SAFETY: the range lies inside x, which is as long as `to`; no two tasks transpose the same matrix.
        let to = unsafe { std::slice::from_raw_parts_mut(out.get().add(range.start), range.len()) };
        for (from, to) in x[range].chunks_exact(size).zip(to.chunks_exact_mut(size)) {
            transpose_columns(from, [rows, columns], 0..columns, to);
        }
    });
}

/// Transposes some columns of a matrix into the rows `to`.
fn transpose_columns(from: &[f32], [rows, columns]: [usize; 2], range: Range<usize>, to: &mut [f32]) {
    for r0 in (0..rows).step_by(SIDE) {
        for c0 in range.clone().step_by(SIDE) {
            for c in c0..range.end.min(c0 + SIDE) {
                for r in r0..rows.min(r0 + SIDE) {
                    to[(c - range.start) * rows + r] = from[r * columns + c];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_again() {
        for (n, c, p) in
            [(2, 3, 35), (1, 33, 18), (3, 1, 7), (2, 5, 1), (0, 3, 4), (40, 3, 4096), (1, 300, 70), (2, 37, 1003)]
        {
            let x: Vec<f32> = (0..n * c * p).map(|i| i as f32).collect();
            let last = channels_last(&x, c, p);
            for i in (0..x.len()).step_by(7) {
                let (sample, channel, pixel) = (i / (c * p), i / p % c, i % p);
                assert_eq!(last[(sample * p + pixel) * c + channel], x[i]);
            }
            let mut first = vec![0.0; x.len()];
            channels_first(&last, c, p, &mut first);
            assert_eq!(first, x);
        }
    }
}
