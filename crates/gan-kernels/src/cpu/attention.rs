//! Attention of each pixel to all pixels of its sample: y = A·v with A = softmax(S) and S = q·kᵀ, for some rows of A at a time, which are
//! recomputed in the backward pass.
//!
//! For a gradient g: dv = Aᵀ·g, dS = A∘(dA − rowsums of A∘dA) with dA = g·vᵀ, dq = dS·k and dk = dSᵀ·q.

use super::Cpu;
use super::buffer::{Buffer, Shared};
use super::gemm::{BY_COLUMNS, BY_ROWS, Multiply, Onto, PANEL, Product, Single};
use super::parallel::each;
use super::rows::curves::exp;
use super::rows::dot;
use super::simd::{Job, LANES, Level, Simd};
use crate::backend::{Attentions, PixelMap, size};
use std::marker::PhantomData;

/// Number of rows of A at a time.
const ROWS: usize = 96;

impl Attentions for Cpu {
    fn attention(&self, map: &PixelMap, keys: usize, x: &[f32], y: &mut [f32]) {
        let sizes = Sizes::new(map, keys, x, y);
        let Sizes { pixels, values, wide, .. } = sizes;
        let tasks = pixels.div_ceil(ROWS);
        let turned = sizes.turned(x, keys, keys);
        let y = Shared::new(y);
        each(map.samples * tasks, |task| {
            let [sample, first] = [task / tasks, task % tasks * ROWS];
            let rows = ROWS.min(pixels - first);
            let x = Matrix::new(x, wide).skip(sample * pixels, 0);
            let k = Matrix::new(&turned, pixels).skip(sample * keys, 0);
            let mut attended = Buffer::any(rows * pixels);
            let a = Matrix::new_mut(&mut attended, pixels);
            let to = Matrix { at: y, pitch: values }.skip(sample * pixels + first, 0);
            // SAFETY: all matrices lie inside their buffers, whose lengths `Sizes::new` has checked; only this task writes these rows of y.
            unsafe {
                product::<BY_ROWS>([rows, pixels, keys], x.skip(first, 0), k, a, Onto::Fresh);
                Level::current().run(Softmax { s: a, rows, width: pixels });
                product::<BY_ROWS>([rows, values, pixels], a, x.skip(0, 2 * keys), to, Onto::Fresh);
            }
        });
    }

    fn attention_grad(&self, map: &PixelMap, keys: usize, x: &[f32], g: &[f32], dx: &mut [f32]) {
        let sizes = Sizes::new(map, keys, x, g);
        assert_eq!(x.len(), dx.len(), "a gradient has the size of its values");
        let Sizes { pixels, values, wide, .. } = sizes;
        let [turned_k, turned_v] = [sizes.turned(x, keys, keys), sizes.turned(x, 2 * keys, values)];
        let dx = Shared::new(dx);
        each(map.samples, |sample| {
            let start = sample * pixels;
            let [x, dx] = [Matrix::new(x, wide), Matrix { at: dx, pitch: wide }].map(|all| all.skip(start, 0));
            let g = Matrix::new(g, values).skip(start, 0);
            let k = Matrix::new(&turned_k, pixels).skip(sample * keys, 0);
            let v = Matrix::new(&turned_v, pixels).skip(sample * values, 0);
            let mut attended = Buffer::any(ROWS.min(pixels) * pixels);
            let mut of_attended = Buffer::any(attended.len());
            for first in (0..pixels).step_by(ROWS) {
                let rows = ROWS.min(pixels - first);
                let onto = if first == 0 { Onto::Fresh } else { Onto::Sum };
                let [a, da] = [&mut attended, &mut of_attended].map(|all| Matrix::new_mut(all, pixels));
                let [q, dq, g] = [x, dx, g].map(|all| all.skip(first, 0));
                // SAFETY: all matrices lie inside their buffers, whose lengths were checked; only this task writes this sample of dx.
                unsafe {
                    product::<BY_ROWS>([rows, pixels, keys], q, k, a, Onto::Fresh);
                    Level::current().run(Softmax { s: a, rows, width: pixels });
                    product::<BY_ROWS>([rows, pixels, values], g, v, da, Onto::Fresh);
                    product::<BY_COLUMNS>([pixels, values, rows], a, g, dx.skip(0, 2 * keys), onto);
                }
                softmax_grad(pixels, &attended[..rows * pixels], &mut of_attended[..rows * pixels]);
                let ds = Matrix::new(&of_attended, pixels);
                // SAFETY: as above.
                unsafe {
                    product::<BY_ROWS>([rows, keys, pixels], ds, x.skip(0, keys), dq, Onto::Fresh);
                    product::<BY_COLUMNS>([pixels, keys, rows], ds, q, dx.skip(0, keys), onto);
                }
            }
        });
    }
}

/// Sizes of an attention.
struct Sizes {
    samples: usize,
    pixels: usize,
    /// Channels of the values.
    values: usize,
    /// Channels of the input.
    wide: usize,
}

impl Sizes {
    fn new(map: &PixelMap, keys: usize, x: &[f32], y: &[f32]) -> Self {
        let PixelMap { samples, input: [h, w, wide], output: [_, _, values] } = *map;
        let sizes = Self { samples, pixels: h * w, values, wide };
        assert_eq!(2 * keys + values, wide, "channels of queries, keys and values");
        assert_eq!(x.len(), samples * size(map.input), "an attention's input");
        assert_eq!(y.len(), samples * sizes.pixels * values, "an attention's output");
        sizes
    }

    /// Returns `len` channels from `first` on of every sample, `[samples, len, pixels]`.
    fn turned(&self, x: &[f32], first: usize, len: usize) -> Buffer {
        let mut to = Buffer::any(self.samples * len * self.pixels);
        let out = Shared::new(&mut to);
        each(self.samples, |sample| {
            // SAFETY: each sample has a part of its own.
            let to = unsafe {
                std::slice::from_raw_parts_mut(out.ahead(sample * len * self.pixels).get(), len * self.pixels)
            };
            let x = &x[sample * self.pixels * self.wide..][..self.pixels * self.wide];
            for (pixel, x) in x.chunks_exact(self.wide).enumerate() {
                x[first..first + len].iter().enumerate().for_each(|(i, x)| to[i * self.pixels + pixel] = *x);
            }
        });
        to
    }
}

/// A matrix in memory: its first number, and the distance from a row to the next one.
#[derive(Clone, Copy)]
struct Matrix {
    at: Shared,
    pitch: usize,
}

impl Matrix {
    /// Returns a matrix that is only read.
    fn new(numbers: &[f32], pitch: usize) -> Self {
        Self { at: Shared::reading(numbers), pitch }
    }

    fn new_mut(numbers: &mut [f32], pitch: usize) -> Self {
        Self { at: Shared::new(numbers), pitch }
    }

    /// Returns the part without the first rows and columns.
    fn skip(self, rows: usize, columns: usize) -> Self {
        Self { at: self.at.ahead(rows * self.pitch + columns), pitch: self.pitch }
    }
}

/// Computes c `[m, n]` (=|+=) a·b from b `[k, n]` and a `[m, k]`; by columns, a is stored as its transpose `[k, m]`.
///
/// # Safety
/// The matrices lie inside their memory, and c does not overlap a or b.
unsafe fn product<const A: u8>([m, n, k]: [usize; 3], a: Matrix, b: Matrix, c: Matrix, onto: Onto) {
    let product = Product {
        m,
        n,
        k,
        a: a.at.get(),
        a_step: a.pitch,
        b: b.at.get(),
        b_step: PANEL,
        b_row: b.pitch,
        c: c.at.get(),
        c_step: c.pitch,
        onto,
    };
    // SAFETY: the caller vouches for the matrices.
    unsafe { Level::current().run(Multiply::<Single, A>(product, PhantomData)) }
}

/// Replaces each row by exp(s) / Σ exp(s).
struct Softmax {
    s: Matrix,
    rows: usize,
    width: usize,
}

impl Job for Softmax {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let whole = self.width / LANES * LANES;
        let rest = self.width - whole;
        for row in 0..self.rows {
            let p = self.s.skip(row, 0).at.get();
            // SAFETY: the row has `width` numbers, and only this task uses it.
            unsafe {
                // Numbers beyond the row do not change the maximum, and add nothing to the sum.
                let mut end = [f32::NEG_INFINITY; LANES];
                std::ptr::copy_nonoverlapping(p.add(whole), end.as_mut_ptr(), rest);
                let mut most = S::load(end.as_ptr());
                for at in (0..whole).step_by(LANES) {
                    let s = S::load(p.add(at));
                    most = (s - most).where_positive(s, most);
                }
                let mut lanes = [0f32; LANES];
                most.store(lanes.as_mut_ptr());
                // The maximum is subtracted so that nothing overflows; it cancels out.
                let mut largest = lanes[0];
                for lane in lanes {
                    if lane > largest {
                        largest = lane;
                    }
                }
                let largest = S::splat(largest);
                let last = exp(S::load(end.as_ptr()) - largest);
                last.store_n(p.add(whole), rest);
                let mut sum = last;
                for at in (0..whole).step_by(LANES) {
                    let power = exp(S::load(p.add(at)) - largest);
                    power.store(p.add(at));
                    sum = sum + power;
                }
                sum.store(lanes.as_mut_ptr());
                let mut total = 0f32;
                for lane in lanes {
                    total += lane;
                }
                let factor = S::splat(1.0 / total);
                for at in (0..self.width).step_by(LANES) {
                    let lanes = LANES.min(self.width - at);
                    (S::load_upto(p.add(at), lanes) * factor).store_upto(p.add(at), lanes);
                }
            }
        }
    }
}

/// Replaces the gradient of each row of A by that of S.
fn softmax_grad(width: usize, a: &[f32], g: &mut [f32]) {
    for (a, g) in a.chunks_exact(width).zip(g.chunks_exact_mut(width)) {
        let along = dot(a, g) as f32;
        g.iter_mut().zip(a).for_each(|(g, a)| *g = a * (*g - along));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns Σ y·g of the attention in f64.
    fn weighed([samples, pixels, keys, values]: [usize; 4], x: &[f64], g: &[f32]) -> f64 {
        let wide = 2 * keys + values;
        let mut sum = 0.0;
        for (x, g) in x.chunks(pixels * wide).zip(g.chunks(pixels * values)).take(samples) {
            let row = |pixel: usize, first: usize, len: usize| &x[pixel * wide + first..][..len];
            for i in 0..pixels {
                let score =
                    |j: usize| -> f64 { row(i, 0, keys).iter().zip(row(j, keys, keys)).map(|(q, k)| q * k).sum() };
                let powers: Vec<f64> = (0..pixels).map(|j| score(j).exp()).collect();
                let total: f64 = powers.iter().sum();
                for (j, power) in powers.iter().enumerate() {
                    let value = row(j, 2 * keys, values).iter().zip(&g[i * values..]);
                    sum += power / total * value.map(|(v, g)| v * f64::from(*g)).sum::<f64>();
                }
            }
        }
        sum
    }

    #[test]
    fn outputs_and_gradients_equal_plain_loops() {
        for sizes @ [samples, pixels, keys, values] in [[2, 9, 2, 5], [1, 117, 1, 3], [3, 16, 4, 20], [1, 1, 1, 1]] {
            let wide = 2 * keys + values;
            let map = PixelMap { samples, input: [1, pixels, wide], output: [1, pixels, values] };
            let numbers = |len: usize, seed: usize| -> Vec<f32> {
                (0..len).map(|i| ((i * seed) % 211) as f32 / 100.0 - 1.0).collect()
            };
            let (x, g) = (numbers(samples * pixels * wide, 37), numbers(samples * pixels * values, 53));
            let exact: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let mut y = vec![f32::NAN; g.len()];
            Cpu.attention(&map, keys, &x, &mut y);
            let found: f64 = y.iter().zip(&g).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum();
            let expected = weighed(sizes, &exact, &g);
            assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{sizes:?}: {found} and {expected}");
            let mut dx = vec![f32::NAN; x.len()];
            Cpu.attention_grad(&map, keys, &x, &g, &mut dx);
            for i in (0..x.len()).step_by(7) {
                let at = |d: f64| {
                    let mut x = exact.clone();
                    x[i] += d;
                    weighed(sizes, &x, &g)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (f64::from(dx[i]) - slope).abs() < 1e-4 * slope.abs().max(1.0),
                    "{sizes:?}: {} and {slope}",
                    dx[i]
                );
            }
        }
    }

    #[test]
    fn rows_of_very_negative_scores_and_nan_are_right() {
        let map = PixelMap { samples: 1, input: [1, 3, 3], output: [1, 3, 1] };
        let mut y = [0.0; 3];
        // Scores q·k of −900, −1000 and −1100 from the first pixel.
        let mut x = [-100.0, 9.0, 1.0, 0.0, 10.0, 2.0, 0.0, 11.0, 3.0];
        Cpu.attention(&map, 1, &x, &mut y);
        assert!((y[0] - 1.0).abs() < 1e-6 && (y[1] - 2.0).abs() < 1e-6, "{y:?}");
        x[0] = f32::NAN;
        Cpu.attention(&map, 1, &x, &mut y);
        assert!(y[0].is_nan() && (y[1] - 2.0).abs() < 1e-6, "{y:?}");
    }
}
