//! Attention of each pixel to all pixels of its sample: y = A·v with A = softmax(S) and S = q·kᵀ. All of A is in memory, once for the forward
//! pass and twice for its gradient; the scores and their derivatives are f32 until they are factors of a product.
//!
//! With P(U) = A∘(U − rowsums of A∘U) and a gradient g: dv = Aᵀ·g, dS = P(g·vᵀ), dq = dS·k and dk = dSᵀ·q.
//!
//! The tangent is Ȧ·v + A·v̇ with Ȧ = P(T) and T = q̇·kᵀ + q·k̇ᵀ. For an adjoint h of it, with B = h·vᵀ, C = P(B), and the rowsums ρ of A∘T
//! and β of A∘B: the adjoint of v̇ is Aᵀ·h, that of q̇ C·k and that of k̇ Cᵀ·q; dv = Ȧᵀ·h, dS = P(h·v̇ᵀ + B∘(T − ρ) − β·T),
//! dq = dS·k + C·k̇ and dk = dSᵀ·q + Cᵀ·q̇. An adjoint of the values adds the ordinary gradient.

use crate::Cuda;
use crate::conv::{BatchedProduct, Matrices};
use crate::derivatives::assert_adjoints;
use crate::launch::{Argument, Shape};
use crate::memory::{Buffer, Slice, SliceMut, Type};
use gan_kernels::backend::{Attentions, JvpAdjoints, Memory, PixelMap, size};

/// Sizes of an attention.
#[derive(Clone, Copy)]
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

/// Whether a product replaces a result or is added to it.
#[derive(Clone, Copy, PartialEq)]
enum Onto {
    Fresh,
    Sum,
}

impl Sizes {
    #[track_caller]
    fn new(map: &PixelMap, keys: usize, x: Slice<'_>, y: Slice<'_>) -> Self {
        let PixelMap { samples, input: [h, w, wide], output: [_, _, values] } = *map;
        assert_eq!(2 * keys + values, wide, "channels of queries, keys and values");
        assert!(x.len == samples * size(map.input) && y.len == samples * size(map.output), "{map:?}: {x:?}, {y:?}");
        assert_eq!(x.of, y.of, "an attention has one number format");
        Self { samples, pixels: h * w, keys, values, wide }
    }

    /// Returns the queries, keys and values of all samples.
    fn operands<'a>(&self, x: Slice<'a>) -> [Matrices<'a>; 3] {
        [0, self.keys, 2 * self.keys].map(|first| {
            let of = x.advanced(first.min(x.len)..x.len);
            Matrices { of, ld: self.wide, stride: self.pixels * self.wide }
        })
    }

    /// Returns outputs, or their gradients.
    fn outputs<'a>(&self, y: Slice<'a>) -> Matrices<'a> {
        Matrices { of: y, ld: self.values, stride: self.pixels * self.values }
    }

    fn scores<'a>(&self, of: Slice<'a>) -> Matrices<'a> {
        Matrices { of, ld: self.pixels, stride: self.pixels * self.pixels }
    }
}

impl Cuda {
    /// Computes rows `[pixels, columns]` (=|+=) a·b from a `[pixels, pixels]`, or its transpose.
    fn weigh(&self, all: &Sizes, [a, b, c]: [Matrices<'_>; 3], columns: usize, turned: bool, onto: Onto) {
        let sizes = [all.pixels, columns, all.pixels];
        let by = BatchedProduct {
            what: "attended values",
            count: all.samples,
            sizes,
            transposed: [turned, false],
            adds: onto == Onto::Sum,
        };
        self.batched(by, a, b, c);
    }

    /// Computes scores (=|+=) a·bᵀ from rows of `inner` channels.
    fn score(&self, all: &Sizes, a: Matrices<'_>, b: Matrices<'_>, inner: usize, to: &Buffer, onto: Onto) {
        let sizes = [all.pixels, all.pixels, inner];
        let by = BatchedProduct {
            what: "attention scores",
            count: all.samples,
            sizes,
            transposed: [false, true],
            adds: onto == Onto::Sum,
        };
        self.batched(by, a, b, all.scores(self.slice(to)));
    }

    /// Returns memory for scores, which are zero without keys: such a product writes nothing.
    fn new_scores(&self, all: &Sizes) -> Buffer {
        let len = all.samples * all.pixels * all.pixels;
        if all.keys == 0 { self.zeros(len, Type::F32) } else { self.buffer(len, Type::F32) }
    }

    /// Returns memory for factors of a product in the activations' format that are computed from f32 scores: their own, if it is f32.
    fn factors(&self, of: Type, scores: &Buffer) -> Option<Buffer> {
        (of != Type::F32).then(|| self.buffer(scores.len, of))
    }

    /// Launches a kernel over the rows of A.
    fn by_rows(&self, name: &str, all: &Sizes, of: Type, arrays: &[Slice<'_>]) {
        let rows = all.samples * all.pixels;
        let arrays: Vec<Argument> = arrays.iter().map(|array| (*array).into()).collect();
        let sizes = [(rows as u64).into(), all.pixels.into()];
        let mut arguments = [&arrays[..], &sizes].concat();
        self.launch(&format!("{name}_{}", of.name()), Shape::thread_rows(rows, all.pixels), &mut arguments);
    }

    /// Returns A.
    fn attend(&self, all: &Sizes, [q, k, _]: [Matrices<'_>; 3]) -> Buffer {
        let scores = self.new_scores(all);
        self.score(all, q, k, all.keys, &scores, Onto::Fresh);
        let factors = self.factors(q.of.of, &scores);
        let to = self.slice(factors.as_ref().unwrap_or(&scores));
        self.by_rows("softmax", all, q.of.of, &[self.slice(&scores), to]);
        factors.unwrap_or(scores)
    }

    /// Returns P(u).
    fn project_scores(&self, all: &Sizes, a: &Buffer, u: Buffer) -> Buffer {
        let factors = self.factors(a.of, &u);
        let to = self.slice(factors.as_ref().unwrap_or(&u));
        self.by_rows("softmax_grad", all, a.of, &[self.slice(a), self.slice(&u), to]);
        factors.unwrap_or(u)
    }

    /// Returns T.
    fn move_scores(&self, all: &Sizes, [q, k, _]: [Matrices<'_>; 3], [qt, kt, _]: [Matrices<'_>; 3]) -> Buffer {
        let moved = self.new_scores(all);
        self.score(all, qt, k, all.keys, &moved, Onto::Fresh);
        self.score(all, q, kt, all.keys, &moved, Onto::Sum);
        moved
    }
}

impl Attentions for Cuda {
    fn attention(&self, map: &PixelMap, keys: usize, x: Slice<'_>, y: SliceMut<'_>) {
        let all = Sizes::new(map, keys, x, y.read());
        let x = all.operands(x);
        let a = self.attend(&all, x);
        let a = all.scores(self.slice(&a));
        self.weigh(&all, [a, x[2], all.outputs(y.read())], all.values, false, Onto::Fresh);
    }

    fn attention_grad(&self, map: &PixelMap, keys: usize, x: Slice<'_>, g: Slice<'_>, dx: SliceMut<'_>) {
        let all = Sizes::new(map, keys, x, g);
        assert!(dx.len == x.len && dx.of == x.of, "a gradient has the size of its values");
        let [q, k, v] = all.operands(x);
        let [dq, dk, dv] = all.operands(dx.read());
        let g = all.outputs(g);
        let a = self.attend(&all, [q, k, v]);
        let scores = self.new_scores(&all);
        self.score(&all, g, v, all.values, &scores, Onto::Fresh);
        let scores = self.project_scores(&all, &a, scores);
        let [a, ds] = [&a, &scores].map(|buffer| all.scores(self.slice(buffer)));
        self.weigh(&all, [a, g, dv], all.values, true, Onto::Fresh);
        self.weigh(&all, [ds, k, dq], keys, false, Onto::Fresh);
        self.weigh(&all, [ds, q, dk], keys, true, Onto::Fresh);
    }

    fn attention_jvp(&self, map: &PixelMap, keys: usize, [x, t]: [Slice<'_>; 2], y: SliceMut<'_>) {
        let all = Sizes::new(map, keys, x, y.read());
        assert!(t.len == x.len && t.of == x.of, "a tangent for each value");
        let [x, t] = [x, t].map(|of| all.operands(of));
        let a = self.attend(&all, x);
        let moved = self.move_scores(&all, x, t);
        let moved = self.project_scores(&all, &a, moved);
        let [a, da] = [&a, &moved].map(|buffer| all.scores(self.slice(buffer)));
        let y = all.outputs(y.read());
        self.weigh(&all, [da, x[2], y], all.values, false, Onto::Fresh);
        self.weigh(&all, [a, t[2], y], all.values, false, Onto::Sum);
    }

    fn attention_jvp_grad(&self, map: &PixelMap, keys: usize, adjoints: &JvpAdjoints<Self>, to: [SliceMut<'_>; 2]) {
        let JvpAdjoints { x, tangent, of_values, of_tangent } = *adjoints;
        let all = Sizes::new(map, keys, x, of_tangent);
        assert_adjoints(adjoints, &to, of_tangent.len);
        let of = x.of;
        let [x, t] = [x, tangent].map(|of| all.operands(of));
        let [[dq, dk, dv], [dqt, dkt, dvt]] = to.each_ref().map(|to| all.operands(to.read()));
        let [q, k, v] = x;
        let [qt, kt, vt] = t;
        let h = all.outputs(of_tangent);
        let g = of_values.map(|g| all.outputs(g));
        let a = self.attend(&all, x);
        let moved = self.move_scores(&all, x, t);
        let of_moved = self.new_scores(&all);
        self.score(&all, h, v, all.values, &of_moved, Onto::Fresh);
        let of_attended = self.new_scores(&all);
        self.score(&all, h, vt, all.values, &of_attended, Onto::Fresh);
        if let Some(g) = g {
            self.score(&all, g, v, all.values, &of_attended, Onto::Sum);
        }
        let scores = [moved, of_moved, of_attended];
        let factors = scores.each_ref().map(|scores| self.factors(of, scores));
        let from = scores.each_ref().map(|scores| self.slice(scores));
        let to: [Slice<'_>; 3] = std::array::from_fn(|i| factors[i].as_ref().map_or(from[i], |to| self.slice(to)));
        let a = self.slice(&a);
        self.by_rows("softmax_bend", &all, of, &[a, from[0], from[1], from[2], to[0], to[1], to[2]]);
        let a = all.scores(a);
        let [da, c, ds] = to.map(|to| all.scores(to));
        self.weigh(&all, [a, h, dvt], all.values, true, Onto::Fresh);
        self.weigh(&all, [da, h, dv], all.values, true, Onto::Fresh);
        if let Some(g) = g {
            self.weigh(&all, [a, g, dv], all.values, true, Onto::Sum);
        }
        self.weigh(&all, [c, k, dqt], keys, false, Onto::Fresh);
        self.weigh(&all, [ds, k, dq], keys, false, Onto::Fresh);
        self.weigh(&all, [c, kt, dq], keys, false, Onto::Sum);
        self.weigh(&all, [c, q, dkt], keys, true, Onto::Fresh);
        self.weigh(&all, [ds, q, dk], keys, true, Onto::Fresh);
        self.weigh(&all, [c, qt, dk], keys, true, Onto::Sum);
    }
}
