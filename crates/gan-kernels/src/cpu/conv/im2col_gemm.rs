//! Convolutions of any kind over channels-last images, as products of unfolded windows with packed weights.

use super::im2col::Im2col;
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::{BLOCK, BY_BLOCKS, BY_COLUMNS, BY_ROWS, Format, Next, Onto, PANEL, Product, multiply};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use crate::spec::reach;
use std::marker::PhantomData;
use std::ops::Range;

/// Number of windows per task.
const ROWS: usize = 48;
/// Number of values that are unfolded before the first is used.
const AHEAD: usize = 2048;
/// Number of windows whose products with gradients are summed at once.
const CHUNK: usize = 256;
/// Number of rows of a weight gradient per task.
const HEIGHT: usize = 64;
/// Approximate number of tasks of a weight gradient, whatever the number of threads.
const TASKS: usize = 16;

/// Returns the number of words of the packed B `[k, n]`.
pub(super) fn packed_len<P: Format>(k: usize, n: usize) -> usize {
    n.div_ceil(PANEL) * k.div_ceil(P::PAIR) * PANEL
}

/// Packs B from numbers by index: `[panel][k words][32]`, with zeros beyond n.
pub(super) fn pack<P: Format>(level: Level, k: usize, n: usize, get: impl Fn(usize, usize) -> f32 + Sync) -> Buffer {
    let words = k.div_ceil(P::PAIR);
    let panels = n.div_ceil(PANEL);
    let mut packed = Buffer::any(packed_len::<P>(k, n));
    let to = Shared::new(&mut packed);
    each(panels, |panel| {
        let mut rows = [[0f32; PANEL]; 2];
        for word in 0..words {
            for (i, row) in rows.iter_mut().enumerate().take(P::PAIR) {
                let at = word * P::PAIR + i;
                for (j, value) in row.iter_mut().enumerate() {
                    let column = panel * PANEL + j;
                    *value = if at < k && column < n { get(at, column) } else { 0.0 };
                }
            }
            // SAFETY: only this task writes row (panel, word) of B.
            unsafe {
                let to = to.get().add((panel * words + word) * PANEL);
                level.run(PackRow::<P> { rows: &rows, to, kind: PhantomData });
            }
        }
    });
    packed
}

/// Packs B from its rows, which `row` returns.
pub(super) fn pack_rows<'a, P: Format>(
    level: Level,
    k: usize,
    n: usize,
    row: impl Fn(usize) -> &'a [f32] + Sync + Send,
) -> Buffer {
    let words = k.div_ceil(P::PAIR);
    let mut packed = Buffer::any(packed_len::<P>(k, n));
    let to = Shared::new(&mut packed);
    let zeros = [0.0; PANEL];
    each(n.div_ceil(PANEL), |panel| {
        let columns = panel * PANEL..n.min((panel + 1) * PANEL);
        for word in 0..words {
            let mut rows = [zeros; 2];
            for (i, copy) in rows.iter_mut().enumerate().take(P::PAIR.min(k - word * P::PAIR)) {
                copy[..columns.len()].copy_from_slice(&row(word * P::PAIR + i)[columns.clone()]);
            }
            // SAFETY: only this task writes row (panel, word) of B.
            unsafe {
                let to = to.get().add((panel * words + word) * PANEL);
                level.run(PackRow::<P> { rows: &rows, to, kind: PhantomData });
            }
        }
    });
    packed
}

struct PackRow<'a, P> {
    rows: &'a [[f32; PANEL]; 2],
    to: *mut f32,
    kind: PhantomData<P>,
}

impl<P: Format> Job for PackRow<'_, P> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in [0, LANES] {
            // SAFETY: both rows and the target hold 32 numbers.
            unsafe {
                let [a, b] = self.rows;
                P::word(S::load(a.as_ptr().add(at)), S::load(b.as_ptr().add(at))).store(self.to.add(at));
            }
        }
    }
}

/// Destination of the products of windows.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// Consecutive rows.
    Rows,
    /// Every `stride`-th pixel of images of `size`, from `offset` on.
    Pixels { size: [usize; 2], offset: [usize; 2], stride: [usize; 2] },
}

impl Target {
    /// Returns the number of values in the destination of products of `n` columns, whose rows are `pitch` values apart. Fails if a window's
    /// place would lie outside.
    fn len(&self, im2col: &Im2col, [n, pitch]: [usize; 2]) -> usize {
        match *self {
            Self::Rows => reach(im2col.rows(), n, pitch),
            Self::Pixels { size, offset, stride } => {
                let last = |i: usize| im2col.grid[i].saturating_sub(1) * stride[i] + offset[i];
                assert!(last(0) < size[0] && last(1) < size[1], "windows go to pixels inside the image");
                reach(im2col.samples * size[0] * size[1], n, pitch)
            }
        }
    }
}

/// Multiplies windows over x by B (`[width, n]`) -> y, whose pixels are `pitch` values apart.
pub(super) fn run<P: Format>(
    level: Level,
    im2col: &Im2col,
    x: &[f32],
    b: &[f32],
    [n, pitch]: [usize; 2],
    target: Target,
    y: &mut [f32],
) {
    let rows = im2col.rows();
    assert!(x.len() >= im2col.source_len(), "the image that windows slide over");
    assert_eq!(b.len(), packed_len::<P>(im2col.width(), n), "weights packed for these windows");
    assert!(y.len() >= target.len(im2col, [n, pitch]), "a place for each window's product");
    let y = Shared::new(y);
    each(rows.div_ceil(ROWS), |task| {
        let rows = task * ROWS..((task + 1) * ROWS).min(rows);
        // SAFETY: x, b and y have the lengths that the windows require, as checked above; no two windows share a destination.
        unsafe { level.run(Windows::<P> { im2col, x, b, n, pitch, target, y, rows, kind: PhantomData }) }
    });
}

/// Product of some windows over x with B. Running it requires an x of [`Im2col::source_len`], a B of [`packed_len`], and room in y for the
/// products of `rows` at their places in the target.
pub(super) struct Windows<'a, P> {
    pub im2col: &'a Im2col,
    pub x: &'a [f32],
    pub b: &'a [f32],
    pub n: usize,
    /// Distance between two pixels of y.
    pub pitch: usize,
    pub target: Target,
    pub y: Shared,
    pub rows: Range<usize>,
    pub kind: PhantomData<P>,
}

impl<P: Format> Job for Windows<'_, P> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let k = self.im2col.width();
        let count = self.rows.len();
        let words = k.div_ceil(P::PAIR);
        let in_block = BLOCK * P::PAIR;
        let product = |a: *const f32, a_step: usize, c: *mut f32| Product {
            m: count,
            n: self.n,
            k: words,
            a,
            a_step,
            b: self.b.as_ptr(),
            b_step: words * PANEL,
            b_row: PANEL,
            c,
            c_step: self.pitch,
            onto: Onto::Fresh,
            next: Next::NOTHING,
        };
        let rows_of_y = self.y.ahead(self.rows.start * self.pitch).get();
        if P::PLAIN && matches!(self.target, Target::Rows) && self.im2col.is_plain() {
            // SAFETY: the windows are x's own rows; only this task writes its rows of y.
            return unsafe {
                let rows_of_x = self.x.as_ptr().add(self.rows.start * k);
                multiply::<S, P, BY_ROWS>(product(rows_of_x, k, rows_of_y))
            };
        }
        let mut a = Buffer::any(words.div_ceil(BLOCK) * count * BLOCK);
        // Several windows are unfolded before the first is read again, because loading a vector that was just stored in pieces is slow.
        let width = k.next_multiple_of(LANES) + LANES;
        let some = (AHEAD / width).clamp(1, count.max(1));
        let mut rows = Buffer::any(some * width);
        for first in (0..count).step_by(some) {
            let some = some.min(count - first);
            for i in 0..some {
                // SAFETY: a row has room for a window and one more vector, which is set to zero.
                unsafe {
                    let row = rows.as_mut_ptr().add(i * width);
                    self.im2col.unfold(self.x, self.rows.start + first + i, 0..k, row);
                    S::zero().store(row.add(k));
                }
            }
            for i in 0..some {
                for at in (0..k).step_by(LANES) {
                    // SAFETY: rows are padded to whole vectors; A has a block for every 32 words of every window.
                    unsafe {
                        let to = a.as_mut_ptr().add((at / in_block * count + first + i) * BLOCK);
                        P::store(to, at % in_block, S::load(rows.as_ptr().add(i * width + at)));
                    }
                }
            }
        }
        let a_step = count * BLOCK;
        match self.target {
            // SAFETY: only this task writes the windows' rows of y.
            Target::Rows => unsafe { multiply::<S, P, BY_BLOCKS>(product(a.as_ptr(), a_step, rows_of_y)) },
            Target::Pixels { size, offset, stride } => {
                let mut c = Buffer::any(count * self.n);
                // SAFETY: c has a row for every window.
                unsafe {
                    multiply::<S, P, BY_BLOCKS>(Product {
                        c_step: self.n,
                        ..product(a.as_ptr(), a_step, c.as_mut_ptr())
                    })
                };
                for (i, window) in self.rows.clone().enumerate() {
                    let [n, gy, gx] = self.im2col.place(window);
                    let at = (n * size[0] + gy * stride[0] + offset[0]) * size[1] + gx * stride[1] + offset[1];
                    // SAFETY: the pixel lies inside the image, and no other window writes it.
                    unsafe {
                        let to = self.y.get().add(at * self.pitch);
                        to.copy_from_nonoverlapping(c.as_ptr().add(i * self.n), self.n);
                    };
                }
            }
        }
    }
}

/// Multiplies transposed windows over x by dy `[windows, n]`, whose rows are `pitch` values apart, -> `[width, n]`.
pub(super) fn weight_grad<P: Format>(
    level: Level,
    im2col: &Im2col,
    x: &[f32],
    dy: &[f32],
    [n, pitch]: [usize; 2],
    dw: &mut [f32],
) {
    let width = im2col.width();
    let rows = im2col.rows();
    assert!(x.len() >= im2col.source_len(), "the image that windows slide over");
    assert!(dy.len() >= reach(rows, n, pitch), "a gradient for each window");
    assert_eq!(dw.len(), width * n, "a gradient for each weight");
    let heights = width.div_ceil(HEIGHT);
    // If there are few rows of weights, tasks are also divided along the windows.
    let groups = TASKS.div_ceil(heights).min(rows.div_ceil(CHUNK)).max(1);
    let group = rows.div_ceil(groups).next_multiple_of(P::PAIR);
    let groups = rows.div_ceil(group.max(1)).max(1);
    let mut aside = Buffer::any((groups - 1) * width * n);
    let first = Shared::new(dw);
    let others = Shared::new(&mut aside);
    each(groups * heights, |task| {
        let g = task / heights;
        let height = task % heights;
        let part = height * HEIGHT..width.min((height + 1) * HEIGHT);
        let sums = if g == 0 { first } else { others.ahead((g - 1) * width * n) };
        let to = sums.ahead(part.start * n).get();
        let windows = g * group..rows.min((g + 1) * group);
        // SAFETY: x, dy and dw have the lengths that the windows require, as checked above; each group sums into a gradient of its
        // own, each task into rows of its own.
        unsafe { level.run(Sum::<P> { im2col, x, dy, n, pitch, part, windows, to, kind: PhantomData }) }
    });
    for other in aside.chunks_exact((width * n).max(1)) {
        dw.iter_mut().zip(other).for_each(|(a, b)| *a += b);
    }
}

struct Sum<'a, P> {
    im2col: &'a Im2col,
    x: &'a [f32],
    dy: &'a [f32],
    n: usize,
    pitch: usize,
    part: Range<usize>,
    windows: Range<usize>,
    to: *mut f32,
    kind: PhantomData<P>,
}

impl<P: Format> Sum<'_, P> {
    /// Writes windows by columns, `[words][height]`.
    #[inline(always)]
    unsafe fn windows<S: Simd>(&self, windows: &Range<usize>, height: usize, a: &mut [f32]) {
        const SOME: usize = 16;
        let mut rows = [[0f32; HEIGHT + LANES]; SOME];
        for first in windows.clone().step_by(SOME) {
            for (i, row) in rows.iter_mut().enumerate() {
                match first + i {
                    // SAFETY: a part has at most HEIGHT numbers.
                    w if w < windows.end => unsafe {
                        self.im2col.unfold(self.x, w, self.part.clone(), row.as_mut_ptr())
                    },
                    _ => row.fill(0.0),
                }
            }
            for i in (0..SOME.min(windows.end - first)).step_by(P::PAIR) {
                for at in (0..height).step_by(LANES) {
                    // SAFETY: rows hold HEIGHT ≥ height numbers, A a row of `height` for every word.
                    unsafe {
                        let one = S::load(rows[i].as_ptr().add(at));
                        let two = S::load(rows[(i + 1) % SOME].as_ptr().add(at));
                        let word = (first - windows.start + i) / P::PAIR;
                        P::word(one, two).store(a.as_mut_ptr().add(word * height + at));
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn gradient<S: Simd>(&self, window: usize, end: usize, column: usize, lanes: usize) -> S {
        // SAFETY: the window's row of dy has `lanes` numbers from `column` on.
        unsafe {
            if lanes == 0 || window >= end {
                return S::zero();
            }
            S::load_upto(self.dy.as_ptr().add(window * self.pitch + column), lanes)
        }
    }

    /// Writes gradients as B, `[panel][words][32]`.
    #[inline(always)]
    unsafe fn gradients<S: Simd>(&self, windows: &Range<usize>, words: usize, b: &mut [f32]) {
        for column in (0..self.n.next_multiple_of(PANEL)).step_by(LANES) {
            let lanes = LANES.min(self.n.saturating_sub(column));
            for (word, window) in windows.clone().step_by(P::PAIR).enumerate() {
                // SAFETY: loads stay inside a row of dy, stores inside a row of B.
                unsafe {
                    let one = self.gradient::<S>(window, windows.end, column, lanes);
                    let two =
                        if P::PAIR == 2 { self.gradient::<S>(window + 1, windows.end, column, lanes) } else { one };
                    let to = (column / PANEL * words + word) * PANEL + column % PANEL;
                    P::word(one, two).store(b.as_mut_ptr().add(to));
                }
            }
        }
    }
}

impl<P: Format> Job for Sum<'_, P> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let height = self.part.len().next_multiple_of(LANES);
        let most = CHUNK.div_ceil(P::PAIR);
        let mut a = Buffer::any(most * height);
        let mut b = Buffer::any(most * self.n.next_multiple_of(PANEL));
        for first in self.windows.clone().step_by(CHUNK) {
            let windows = first..self.windows.end.min(first + CHUNK);
            let words = windows.len().div_ceil(P::PAIR);
            // SAFETY: A and B were just packed with these sizes; only this task writes its rows of the gradient.
            unsafe {
                self.windows::<S>(&windows, height, &mut a);
                self.gradients::<S>(&windows, words, &mut b);
                multiply::<S, P, BY_COLUMNS>(Product {
                    m: self.part.len(),
                    n: self.n,
                    k: words,
                    a: a.as_ptr(),
                    a_step: height,
                    b: b.as_ptr(),
                    b_step: words * PANEL,
                    b_row: PANEL,
                    c: self.to,
                    c_step: self.n,
                    onto: if first == self.windows.start { Onto::Fresh } else { Onto::Sum },
                    next: Next::NOTHING,
                });
            }
        }
    }
}
