//! Attention of each pixel to all pixels of its sample: y = A·v with A = softmax(S) and S = q·kᵀ, for some rows of A at a time, which are
//! recomputed in the backward pass.
//!
//! With P(U) = A∘(U − rowsums of A∘U) and a gradient g: dv = Aᵀ·g, dS = P(g·vᵀ), dq = dS·k and dk = dSᵀ·q.
//!
//! The tangent is Ȧ·v + A·v̇ with Ȧ = P(T) and T = q̇·kᵀ + q·k̇ᵀ. For an adjoint h of it, with B = h·vᵀ, C = P(B), and the rowsums ρ of A∘T
//! and β of A∘B: the adjoint of v̇ is Aᵀ·h, that of q̇ C·k and that of k̇ Cᵀ·q; dv = Ȧᵀ·h, dS = P(h·v̇ᵀ + B∘(T − ρ) − β·T),
//! dq = dS·k + C·k̇ and dk = dSᵀ·q + Cᵀ·q̇. An adjoint of the values adds the ordinary gradient.

mod softmax;

use super::Cpu;
use super::buffer::{Buffer, Shared};
use super::gemm::{BY_COLUMNS, BY_ROWS, Multiply, Next, Onto, PANEL, Product, Single};
use super::parallel::{each, each_sample};
use super::simd::Level;
use crate::backend::{Attentions, JvpAdjoints, PixelMap, size};
use softmax::{Softmax, add_bend, softmax_grad};
use std::marker::PhantomData;
use std::ops::Range;

/// Number of rows of A at a time.
const ROWS: usize = 96;

impl Attentions for Cpu {
    fn attention(&self, map: &PixelMap, keys: usize, x: &[f32], y: &mut [f32]) {
        let all = Sizes::new(map, keys, [x], [&*y]);
        let turned = all.turned(x);
        all.each_block(y, |sample, rows, y| {
            let x = all.operands(x, &turned, sample);
            let mut attended = Buffer::any(rows.len() * all.pixels);
            let a = Matrix::new_mut(&mut attended, all.pixels);
            // SAFETY: `attended` and y have these rows, and only this task writes them.
            unsafe {
                all.attend(&x, &rows, a);
                product::<BY_ROWS>([rows.len(), all.values, all.pixels], a, x.v, y, Onto::Fresh);
            }
        });
    }

    fn attention_grad(&self, map: &PixelMap, keys: usize, x: &[f32], g: &[f32], dx: &mut [f32]) {
        let all = Sizes::new(map, keys, [x, dx], [g]);
        let turned = all.turned(x);
        let Sizes { pixels, values, .. } = all;
        let dx = Shared::new(dx);
        each(all.samples, |sample| {
            let x = all.operands(x, &turned, sample);
            let [g, dx] = [all.output(g, sample), Matrix { at: dx, pitch: all.wide }.skip(sample * pixels, 0)];
            let [dq, dk, dv] = [0, keys, 2 * keys].map(|first| dx.skip(0, first));
            let [mut attended, mut scores] = all.blocks();
            for rows in all.rows() {
                let m = rows.len();
                let onto = if rows.start == 0 { Onto::Fresh } else { Onto::Sum };
                let [a, ds] = [&mut attended, &mut scores].map(|block| Matrix::new_mut(block, pixels));
                let [q, dq, g] = [x.q, dq, g].map(|of| of.skip(rows.start, 0));
                // SAFETY: all matrices have these rows; only this task writes the blocks and this sample of dx.
                unsafe {
                    all.attend(&x, &rows, a);
                    product::<BY_ROWS>([m, pixels, values], g, x.turned_v, ds, Onto::Fresh);
                    product::<BY_COLUMNS>([pixels, values, m], a, g, dv, onto);
                }
                softmax_grad(pixels, &attended[..m * pixels], &mut scores);
                let ds = Matrix::new(&scores, pixels);
                // SAFETY: as above.
                unsafe {
                    product::<BY_ROWS>([m, keys, pixels], ds, x.k, dq, Onto::Fresh);
                    product::<BY_COLUMNS>([pixels, keys, m], ds, q, dk, onto);
                }
            }
        });
    }

    fn attention_jvp(&self, map: &PixelMap, keys: usize, [x, t]: [&[f32]; 2], y: &mut [f32]) {
        let all = Sizes::new(map, keys, [x, t], [&*y]);
        let [turned_x, turned_t] = [all.turned(x), all.turned(t)];
        let Sizes { pixels, values, .. } = all;
        all.each_block(y, |sample, rows, y| {
            let [x, t] = [all.operands(x, &turned_x, sample), all.operands(t, &turned_t, sample)];
            let [mut attended, mut moved] = all.blocks();
            let [a, da] = [&mut attended, &mut moved].map(|block| Matrix::new_mut(block, pixels));
            // SAFETY: the blocks and y have these rows, and only this task writes them.
            unsafe {
                all.attend(&x, &rows, a);
                all.move_scores([&x, &t], &rows, da);
            }
            softmax_grad(pixels, &attended[..rows.len() * pixels], &mut moved);
            let [a, da] = [&attended, &moved].map(|block| Matrix::new(block, pixels));
            // SAFETY: as above.
            unsafe {
                product::<BY_ROWS>([rows.len(), values, pixels], da, x.v, y, Onto::Fresh);
                product::<BY_ROWS>([rows.len(), values, pixels], a, t.v, y, Onto::Sum);
            }
        });
    }

    fn attention_jvp_grad(&self, map: &PixelMap, keys: usize, adjoints: &JvpAdjoints<Self>, to: [&mut [f32]; 2]) {
        let JvpAdjoints { x, tangent: t, of_values, of_tangent: h } = *adjoints;
        let all = Sizes::new(map, keys, [x, t, &*to[0], &*to[1]], [h, of_values.unwrap_or(h)]);
        let [turned_x, turned_t] = [all.turned(x), all.turned(t)];
        let Sizes { pixels, values, .. } = all;
        let to = to.map(Shared::new);
        each(all.samples, |sample| {
            let [x, t] = [all.operands(x, &turned_x, sample), all.operands(t, &turned_t, sample)];
            let h = all.output(h, sample);
            let g = of_values.map(|g| all.output(g, sample));
            let to = to.map(|at| Matrix { at, pitch: all.wide }.skip(sample * pixels, 0));
            let [[dq, dk, dv], [dqt, dkt, dvt]] = to.map(|to| [0, keys, 2 * keys].map(|first| to.skip(0, first)));
            let [mut attended, mut moved] = all.blocks();
            let [mut of_moved, mut of_attended] = all.blocks();
            for rows in all.rows() {
                let m = rows.len();
                let onto = if rows.start == 0 { Onto::Fresh } else { Onto::Sum };
                let blocks = [&mut attended, &mut moved, &mut of_moved, &mut of_attended];
                let [a, da, c, ds] = blocks.map(|block| Matrix::new_mut(block, pixels));
                let [q, qt, dq, dqt, h] = [x.q, t.q, dq, dqt, h].map(|of| of.skip(rows.start, 0));
                let g = g.map(|g| g.skip(rows.start, 0));
                // SAFETY: all matrices have these rows; only this task writes the blocks and these samples.
                unsafe {
                    all.attend(&x, &rows, a);
                    all.move_scores([&x, &t], &rows, da);
                    product::<BY_ROWS>([m, pixels, values], h, x.turned_v, c, Onto::Fresh);
                    product::<BY_ROWS>([m, pixels, values], h, t.turned_v, ds, Onto::Fresh);
                    if let Some(g) = g {
                        product::<BY_ROWS>([m, pixels, values], g, x.turned_v, ds, Onto::Sum);
                    }
                }
                let a_rows = &attended[..m * pixels];
                add_bend(pixels, [a_rows, &moved, &of_moved], &mut of_attended);
                for block in [&mut moved, &mut of_moved, &mut of_attended] {
                    softmax_grad(pixels, a_rows, block);
                }
                let blocks = [&attended, &moved, &of_moved, &of_attended];
                let [a, da, c, ds] = blocks.map(|block| Matrix::new(block, pixels));
                // SAFETY: as above.
                unsafe {
                    product::<BY_COLUMNS>([pixels, values, m], a, h, dvt, onto);
                    product::<BY_COLUMNS>([pixels, values, m], da, h, dv, onto);
                    if let Some(g) = g {
                        product::<BY_COLUMNS>([pixels, values, m], a, g, dv, Onto::Sum);
                    }
                    product::<BY_ROWS>([m, keys, pixels], c, x.k, dqt, Onto::Fresh);
                    product::<BY_ROWS>([m, keys, pixels], ds, x.k, dq, Onto::Fresh);
                    product::<BY_ROWS>([m, keys, pixels], c, t.k, dq, Onto::Sum);
                    product::<BY_COLUMNS>([pixels, keys, m], c, q, dkt, onto);
                    product::<BY_COLUMNS>([pixels, keys, m], ds, q, dk, onto);
                    product::<BY_COLUMNS>([pixels, keys, m], c, qt, dk, Onto::Sum);
                }
            }
        });
    }
}

/// Sizes of an attention.
struct Sizes {
    samples: usize,
    pixels: usize,
    /// Channels of the queries, and of the keys.
    keys: usize,
    /// Channels of the values.
    values: usize,
    /// Channels of the input.
    wide: usize,
}

/// Queries, keys and values of one sample.
struct Operands {
    q: Matrix,
    k: Matrix,
    v: Matrix,
    turned_k: Matrix,
    turned_v: Matrix,
}

impl Sizes {
    /// Returns the sizes, after checking the lengths of inputs and outputs.
    fn new<const I: usize, const O: usize>(
        map: &PixelMap,
        keys: usize,
        inputs: [&[f32]; I],
        outputs: [&[f32]; O],
    ) -> Self {
        let PixelMap { samples, input: [h, w, wide], output: [_, _, values] } = *map;
        let sizes = Self { samples, pixels: h * w, keys, values, wide };
        assert_eq!(2 * keys + values, wide, "channels of queries, keys and values");
        assert!(inputs.iter().all(|x| x.len() == samples * size(map.input)), "an attention's input");
        assert!(outputs.iter().all(|y| y.len() == samples * size(map.output)), "an attention's output");
        sizes
    }

    /// Returns the ranges of rows of A at a time.
    fn rows(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let pixels = self.pixels;
        (0..pixels).step_by(ROWS).map(move |first| first..pixels.min(first + ROWS))
    }

    /// Returns memory for the largest two blocks of rows of A.
    fn blocks(&self) -> [Buffer; 2] {
        let len = ROWS.min(self.pixels) * self.pixels;
        [Buffer::any(len), Buffer::any(len)]
    }

    /// Calls `f(sample, rows, the rows of y)` for all blocks of rows, over all threads.
    fn each_block(&self, y: &mut [f32], f: impl Fn(usize, Range<usize>, Matrix) + Sync + Send) {
        let all: Vec<Range<usize>> = self.rows().collect();
        let y = Matrix::new_mut(y, self.values);
        each(self.samples * all.len(), |task| {
            let [sample, rows] = [task / all.len(), task % all.len()];
            f(sample, all[rows].clone(), y.skip(sample * self.pixels + all[rows].start, 0));
        });
    }

    /// Returns keys and values of every sample with their channels as rows, `[samples, keys + values, pixels]`.
    fn turned(&self, x: &[f32]) -> Buffer {
        let mut to = Buffer::any(self.samples * (self.keys + self.values) * self.pixels);
        each_sample(self.samples, (self.keys + self.values) * self.pixels, &mut to, |sample, to| {
            let x = &x[sample * self.pixels * self.wide..][..self.pixels * self.wide];
            for (pixel, x) in x.chunks_exact(self.wide).enumerate() {
                x[self.keys..].iter().enumerate().for_each(|(i, x)| to[i * self.pixels + pixel] = *x);
            }
        });
        to
    }

    fn operands(&self, x: &[f32], turned: &[f32], sample: usize) -> Operands {
        let x = Matrix::new(x, self.wide).skip(sample * self.pixels, 0);
        let turned = Matrix::new(turned, self.pixels).skip(sample * (self.keys + self.values), 0);
        let [q, k, v] = [0, self.keys, 2 * self.keys].map(|first| x.skip(0, first));
        Operands { q, k, v, turned_k: turned, turned_v: turned.skip(self.keys, 0) }
    }

    fn output(&self, y: &[f32], sample: usize) -> Matrix {
        Matrix::new(y, self.values).skip(sample * self.pixels, 0)
    }

    /// Computes rows of A.
    ///
    /// # Safety
    /// `a` has these rows, and only this task uses them.
    unsafe fn attend(&self, x: &Operands, rows: &Range<usize>, a: Matrix) {
        let sizes = [rows.len(), self.pixels, self.keys];
        // SAFETY: the operands are those of a sample; the caller vouches for `a`.
        unsafe {
            product::<BY_ROWS>(sizes, x.q.skip(rows.start, 0), x.turned_k, a, Onto::Fresh);
            Level::current().run(Softmax { s: a, rows: rows.len(), width: self.pixels });
        }
    }

    /// Computes rows of T from values and tangents.
    ///
    /// # Safety
    /// `to` has these rows, and only this task uses them.
    unsafe fn move_scores(&self, [x, t]: [&Operands; 2], rows: &Range<usize>, to: Matrix) {
        let sizes = [rows.len(), self.pixels, self.keys];
        // SAFETY: the operands are those of a sample; the caller vouches for `to`.
        unsafe {
            product::<BY_ROWS>(sizes, t.q.skip(rows.start, 0), x.turned_k, to, Onto::Fresh);
            product::<BY_ROWS>(sizes, x.q.skip(rows.start, 0), t.turned_k, to, Onto::Sum);
        }
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
        next: Next::NOTHING,
    };
    // SAFETY: the caller vouches for the matrices.
    unsafe { Level::current().run(Multiply::<Single, A>(product, PhantomData)) }
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
