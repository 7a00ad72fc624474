//! Conversion between candle's channels-first images and the channels-last ones of the kernels.

use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::ops::Range;

/// Number of rows or columns below which vectors are not worth it.
const NARROW: usize = 4;
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
    let level = Level::current();
    let out = Shared::new(to);
    if size > LARGE {
        // A large matrix is several tasks, each for some of its columns.
        let width = (LARGE / rows).max(1).next_multiple_of(LANES);
        let parts = columns.div_ceil(width);
        return each(x.len() / size * parts, |task| {
            let start = task / parts * size;
            let range = task % parts * width..columns.min((task % parts + 1) * width);
            let part = out.ahead(start + range.start * rows);
            // SAFETY: a column is a row of the result, which is as long as x; no two tasks transpose the same columns.
            let to = unsafe { std::slice::from_raw_parts_mut(part.get(), range.len() * rows) };
            let job = Columns { from: &x[start..start + size], rows, columns, range, to };
            // SAFETY: the job's slices are the whole matrix and the rows of the range.
            unsafe { level.run(job) };
        });
    }
    // Small images are combined, so that a task is worth its overhead.
    let some = LARGE.div_ceil(size);
    each((x.len() / size).div_ceil(some), |task| {
        let range = task * some * size..x.len().min((task + 1) * some * size);
        // SAFETY: the range lies inside x, which is as long as `to`; no two tasks transpose the same matrix.
        let to = unsafe { std::slice::from_raw_parts_mut(out.get().add(range.start), range.len()) };
        for (from, to) in x[range].chunks_exact(size).zip(to.chunks_exact_mut(size)) {
            // SAFETY: the job's slices are one matrix each.
            unsafe { level.run(Columns { from, rows, columns, range: 0..columns, to }) };
        }
    });
}

/// Some columns of a matrix, to be transposed into the rows `to`.
struct Columns<'a> {
    from: &'a [f32],
    rows: usize,
    columns: usize,
    range: Range<usize>,
    to: &'a mut [f32],
}

impl Job for Columns<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { from, rows, columns, range, to } = self;
        if rows < NARROW || range.len() < NARROW {
            for column in range.clone() {
                for row in 0..rows {
                    to[(column - range.start) * rows + row] = from[row * columns + column];
                }
            }
            return;
        }
        for row in (0..rows).step_by(LANES) {
            for column in range.clone().step_by(LANES) {
                let sides = [LANES.min(rows - row), LANES.min(range.end - column)];
                // SAFETY: the block lies inside the matrix, and the transposed one inside the rows of these columns.
                unsafe {
                    let to = to.as_mut_ptr().add((column - range.start) * rows + row);
                    transpose_block::<S>(from.as_ptr().add(row * columns + column), columns, sides, to, rows);
                }
            }
        }
    }
}

/// Transposes a block of at most 16×16 numbers, whose rows are `from_step` apart, into one whose rows are `to_step` apart.
///
/// # Safety
/// As [`Simd`]; both blocks are valid and do not overlap.
#[inline(always)]
pub(crate) unsafe fn transpose_block<S: Simd>(
    from: *const f32,
    from_step: usize,
    sides: [usize; 2],
    to: *mut f32,
    to_step: usize,
) {
    // SAFETY: the caller vouches for both blocks.
    unsafe {
        match sides {
            [LANES, LANES] => transpose_upto::<S, true>(from, from_step, sides, to, to_step),
            _ => transpose_upto::<S, false>(from, from_step, sides, to, to_step),
        }
    }
}

/// Does the same, in the faster way if the block is `FULL`.
#[inline(always)]
unsafe fn transpose_upto<S: Simd, const FULL: bool>(
    from: *const f32,
    from_step: usize,
    [rows, columns]: [usize; 2],
    to: *mut f32,
    to_step: usize,
) {
    // SAFETY: the caller vouches for both blocks.
    unsafe {
        let mut block = [S::zero(); LANES];
        for (row, v) in block.iter_mut().enumerate() {
            if FULL {
                *v = S::load(from.add(row * from_step));
            } else if row < rows {
                *v = S::load_n(from.add(row * from_step), columns);
            }
        }
        // Each round moves a bit of a number's lane to its row, and one of its row to its lane.
        for _ in 0..LANES.ilog2() {
            let old = block;
            for i in 0..LANES / 2 {
                [block[2 * i], block[2 * i + 1]] = old[i].interleave(old[i + LANES / 2]);
            }
        }
        for (column, v) in block.into_iter().enumerate() {
            if FULL {
                v.store(to.add(column * to_step));
            } else if column < columns {
                v.store_n(to.add(column * to_step), rows);
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
