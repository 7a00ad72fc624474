//! Convolutions as matrix products: windows unfolded into columns, products by the gemm crate, columns folded back.
//!
//! With X the windows of a chunk of samples as columns `[C·kh·kw, n·H'·W']`, W the weights `[O, C·kh·kw]` and Y the outputs
//! `[O, n·H'·W']`: forward Y = W·X, input gradient fold(Wᵀ·Y), weight gradient Y·Xᵀ.

use super::problem::Problem;
use crate::product::{Matrix, Onto, Threads, product};
use crate::storage::Real;
use rayon::prelude::*;

/// A chunk's column matrix holds about this many numbers: small enough for the cache, large enough for the product.
const CHUNK_ELEMENTS: usize = 1 << 18;
/// Weight gradients are summed within this many groups of samples first, so that the sum's order never depends on threads.
const GROUPS: usize = 8;

/// Samples that are lowered in one go.
fn chunk(p: &Problem) -> usize {
    (CHUNK_ELEMENTS / (p.rows() * p.positions()).max(1)).clamp(1, p.samples.max(1))
}

/// y `[N, O, H', W']` from x `[N, C, H, W]` and w `[O, C, kh, kw]`.
pub(super) fn forward<T: Real>(p: &Problem, x: &[T], w: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; p.samples * p.output_len()];
    if y.is_empty() || x.is_empty() {
        return y;
    }
    let (n, k, o) = (chunk(p), p.rows(), p.out_channels);
    let chunks = y.par_chunks_mut(n * p.output_len()).zip(x.par_chunks(n * p.input_len()));
    chunks.for_each_init(Scratch::new, |scratch, (y, x)| {
        let columns = y.len() / o;
        let (cols, out) = scratch.take(k * columns, o * columns);
        unfold(p, x, cols);
        product(Matrix::new(w, o, k), Matrix::new(cols, k, columns), out, Onto::Fresh, Threads::One);
        samples_first(p, out, y);
    });
    y
}

/// x-like `[N, C, H, W]` from y `[N, O, H', W']` and w `[O, C, kh, kw]`: the transpose of [`forward`] in x.
pub(super) fn input_grad<T: Real>(p: &Problem, y: &[T], w: &[T]) -> Vec<T> {
    let mut x = vec![T::ZERO; p.samples * p.input_len()];
    if y.is_empty() || x.is_empty() {
        return x;
    }
    let (n, k, o) = (chunk(p), p.rows(), p.out_channels);
    let chunks = x.par_chunks_mut(n * p.input_len()).zip(y.par_chunks(n * p.output_len()));
    chunks.for_each_init(Scratch::new, |scratch, (x, y)| {
        let columns = y.len() / o;
        let (cols, out) = scratch.take(k * columns, o * columns);
        channels_first(p, y, out);
        product(Matrix::new(w, o, k).t(), Matrix::new(out, o, columns), cols, Onto::Fresh, Threads::One);
        fold(p, cols, x);
    });
    x
}

/// w-like `[O, C, kh, kw]` from x `[N, C, H, W]` and y `[N, O, H', W']`: the transpose of [`forward`] in w.
pub(super) fn weight_grad<T: Real>(p: &Problem, x: &[T], y: &[T]) -> Vec<T> {
    let (n, k, o) = (chunk(p), p.rows(), p.out_channels);
    if y.is_empty() || x.is_empty() {
        return vec![T::ZERO; o * k];
    }
    let group = p.samples.div_ceil(GROUPS);
    let groups = x.par_chunks(group * p.input_len()).zip(y.par_chunks(group * p.output_len()));
    let sums: Vec<Vec<T>> = groups
        .map(|(x, y)| {
            let (mut sum, mut scratch) = (vec![T::ZERO; o * k], Scratch::new());
            for (x, y) in x.chunks(n * p.input_len()).zip(y.chunks(n * p.output_len())) {
                let columns = y.len() / o;
                let (cols, out) = scratch.take(k * columns, o * columns);
                unfold(p, x, cols);
                channels_first(p, y, out);
                let (out, cols) = (Matrix::new(out, o, columns), Matrix::new(cols, k, columns));
                product(out, cols.t(), &mut sum, Onto::Sum, Threads::One);
            }
            sum
        })
        .collect();
    sums.into_iter().reduce(add).unwrap_or_default()
}

fn add<T: Real>(mut total: Vec<T>, more: Vec<T>) -> Vec<T> {
    total.iter_mut().zip(&more).for_each(|(t, m)| *t += *m);
    total
}

/// Windows of the images x `[n, C, H, W]` as columns `[C·kh·kw, n·H'·W']`.
fn unfold<T: Real>(p: &Problem, x: &[T], cols: &mut [T]) {
    let columns = cols.len() / p.rows();
    cols.fill(T::ZERO);
    each_row(p, x.len() / p.input_len(), |row, sample, plane, oy, iy, (first, end, ix)| {
        let to = row * columns + sample * p.positions() + oy * p.output[1];
        let to = &mut cols[to + first..to + end];
        let from = &x[sample * p.input_len() + plane + iy * p.input[1] + ix..];
        match p.spec.stride[1] {
            1 => to.copy_from_slice(&from[..to.len()]),
            stride => to.iter_mut().zip(from.iter().step_by(stride)).for_each(|(t, f)| *t = *f),
        }
    });
}

/// The transpose of [`unfold`]: every column entry is added to the pixel it came from.
fn fold<T: Real>(p: &Problem, cols: &[T], x: &mut [T]) {
    let columns = cols.len() / p.rows();
    each_row(p, x.len() / p.input_len(), |row, sample, plane, oy, iy, (first, end, ix)| {
        let from = row * columns + sample * p.positions() + oy * p.output[1];
        let from = &cols[from + first..from + end];
        let to = &mut x[sample * p.input_len() + plane + iy * p.input[1] + ix..];
        match p.spec.stride[1] {
            1 => to.iter_mut().zip(from).for_each(|(t, f)| *t += *f),
            stride => to.iter_mut().step_by(stride).zip(from).for_each(|(t, f)| *t += *f),
        }
    });
}

/// Calls `f(row, sample, plane offset, window row, image row, horizontal span)` for every row of window positions that
/// touches the image.
fn each_row(p: &Problem, samples: usize, mut f: impl FnMut(usize, usize, usize, usize, usize, (usize, usize, usize))) {
    let [kh, kw] = p.kernel;
    for row in 0..p.rows() {
        let (c, ky, kx) = (row / (kh * kw), row / kw % kh, row % kw);
        let (first, end, top) = p.span(0, ky);
        let across = p.span(1, kx);
        if across.0 >= across.1 {
            continue;
        }
        for sample in 0..samples {
            for oy in first..end {
                f(row, sample, c * p.input[0] * p.input[1], oy, top + (oy - first) * p.spec.stride[0], across);
            }
        }
    }
}

/// `[O, n·H'·W']` -> `[n, O, H'·W']`.
fn samples_first<T: Real>(p: &Problem, from: &[T], to: &mut [T]) {
    let samples = to.len() / p.output_len();
    for (i, plane) in to.chunks_exact_mut(p.positions()).enumerate() {
        let (sample, channel) = (i / p.out_channels, i % p.out_channels);
        plane.copy_from_slice(&from[(channel * samples + sample) * p.positions()..][..p.positions()]);
    }
}

/// `[n, O, H'·W']` -> `[O, n·H'·W']`.
fn channels_first<T: Real>(p: &Problem, from: &[T], to: &mut [T]) {
    let samples = from.len() / p.output_len();
    for (i, plane) in from.chunks_exact(p.positions()).enumerate() {
        let (sample, channel) = (i / p.out_channels, i % p.out_channels);
        to[(channel * samples + sample) * p.positions()..][..p.positions()].copy_from_slice(plane);
    }
}

/// Two buffers that a thread keeps from chunk to chunk: the columns and the outputs.
struct Scratch<T>(Vec<T>, Vec<T>);

impl<T: Real> Scratch<T> {
    fn new() -> Self {
        Self(Vec::new(), Vec::new())
    }

    fn take(&mut self, columns: usize, outputs: usize) -> (&mut [T], &mut [T]) {
        self.0.resize(columns, T::ZERO);
        self.1.resize(outputs, T::ZERO);
        (&mut self.0, &mut self.1)
    }
}
