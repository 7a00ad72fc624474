//! Convolutions of any kind over channels-last images, as products of unfolded windows with packed weights.

use super::im2col::Gather;
use crate::cpu::buffer::{Buffer, Shared};
use crate::cpu::gemm::Onto;
use crate::cpu::gemm::{BLOCK, Format, PANEL, Product, by_blocks, by_columns, by_rows};
use crate::cpu::parallel::each;
use crate::cpu::simd::{Job, LANES, Level, Simd};
use std::marker::PhantomData;

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
    let (words, panels) = (k.div_ceil(P::PAIR), n.div_ceil(PANEL));
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
            // SAFETY: row (panel, word) of B is this task's own.
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
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in [0, LANES] {
            // SAFETY: both rows and the target hold 32 numbers.
            unsafe {
                let (a, b) = (S::load(self.rows[0].as_ptr().add(at)), S::load(self.rows[1].as_ptr().add(at)));
                S::store(self.to.add(at), P::word::<S>(a, b));
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
    /// Returns the number of values in the destination of products of `n` columns. Fails if a window's place would lie
    /// outside.
    fn len(&self, gather: &Gather, n: usize) -> usize {
        match *self {
            Self::Rows => gather.rows() * n,
            Self::Pixels { size, offset, stride } => {
                let last = |i: usize| gather.grid[i].saturating_sub(1) * stride[i] + offset[i];
                assert!(last(0) < size[0] && last(1) < size[1], "windows go to pixels inside the image");
                gather.samples * size[0] * size[1] * n
            }
        }
    }
}

/// Multiplies windows over x by B (`[width, n]`) -> y.
pub(super) fn run<P: Format>(
    level: Level,
    gather: &Gather,
    x: &[f32],
    b: &[f32],
    n: usize,
    target: Target,
    y: &mut [f32],
) {
    let rows = gather.rows();
    assert_eq!(x.len(), gather.source_len(), "the image that windows slide over");
    assert_eq!(b.len(), packed_len::<P>(gather.width(), n), "weights packed for these windows");
    assert_eq!(y.len(), target.len(gather, n), "a place for each window's product");
    let y = Shared::new(y);
    each(rows.div_ceil(ROWS), |task| {
        let rows = task * ROWS..((task + 1) * ROWS).min(rows);
        // SAFETY: x, b and y have the lengths that windows and sides ask for, as checked above; windows go to places of their own.
        unsafe { level.run(Windows::<P> { gather, x, b, n, target, y, rows, kind: PhantomData }) }
    });
}

/// Some windows over x times B. Running it asks for an x of [`Gather::source_len`], a B of [`packed_len`], and room in y for the
/// products of `rows` at their places in the target.
pub(super) struct Windows<'a, P> {
    pub gather: &'a Gather,
    pub x: &'a [f32],
    pub b: &'a [f32],
    pub n: usize,
    pub target: Target,
    pub y: Shared,
    pub rows: std::ops::Range<usize>,
    pub kind: PhantomData<P>,
}

impl<P: Format> Job for Windows<'_, P> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (k, count) = (self.gather.width(), self.rows.len());
        let (words, in_block) = (k.div_ceil(P::PAIR), BLOCK * P::PAIR);
        if P::PLAIN && matches!(self.target, Target::Rows) && self.gather.is_plain() {
            // SAFETY: the windows are x's own rows; the rows of y are this task's own.
            return unsafe {
                by_rows::<S, P>(Product {
                    m: count,
                    n: self.n,
                    k,
                    a: self.x.as_ptr().add(self.rows.start * k),
                    a_step: k,
                    b: self.b.as_ptr(),
                    b_step: k * PANEL,
                    b_row: PANEL,
                    c: self.y.ahead(self.rows.start * self.n).get(),
                    c_step: self.n,
                    onto: Onto::Fresh,
                })
            };
        }
        let mut a = Buffer::any(words.div_ceil(BLOCK) * count * BLOCK);
        // Some windows are unfolded before the first is read again: what was just stored in pieces is slow to load whole.
        let width = k.next_multiple_of(LANES) + LANES;
        let some = (AHEAD / width).clamp(1, count.max(1));
        let mut rows = Buffer::any(some * width);
        for first in (0..count).step_by(some) {
            let some = some.min(count - first);
            for i in 0..some {
                // SAFETY: a row has room for all of a window and a vector more, which is cleared behind it.
                unsafe {
                    let row = rows.as_mut_ptr().add(i * width);
                    self.gather.unfold(self.x, self.rows.start + first + i, 0..k, row);
                    S::store(row.add(k), S::zero());
                }
            }
            for i in 0..some {
                for at in (0..k).step_by(LANES) {
                    // SAFETY: rows are padded to whole vectors; A has a block for every 32 words of every window.
                    unsafe {
                        let to = a.as_mut_ptr().add((at / in_block * count + first + i) * BLOCK);
                        P::store::<S>(to, at % in_block, S::load(rows.as_ptr().add(i * width + at)));
                    }
                }
            }
        }
        let product = |c: *mut f32| Product {
            m: count,
            n: self.n,
            k: words,
            a: a.as_ptr(),
            a_step: count * BLOCK,
            b: self.b.as_ptr(),
            b_step: words * PANEL,
            b_row: PANEL,
            c,
            c_step: self.n,
            onto: Onto::Fresh,
        };
        match self.target {
            // SAFETY: the windows' rows of y are this task's own.
            Target::Rows => unsafe { by_blocks::<S, P>(product(self.y.ahead(self.rows.start * self.n).get())) },
            Target::Pixels { size, offset, stride } => {
                let mut c = Buffer::any(count * self.n);
                // SAFETY: c has a row for every window.
                unsafe { by_blocks::<S, P>(product(c.as_mut_ptr())) };
                for (i, window) in self.rows.clone().enumerate() {
                    let [n, gy, gx] = self.gather.place(window);
                    let at = (n * size[0] + gy * stride[0] + offset[0]) * size[1] + gx * stride[1] + offset[1];
                    // SAFETY: the pixel lies inside the image and belongs to this window alone.
                    unsafe {
                        std::ptr::copy_nonoverlapping(
                            c.as_ptr().add(i * self.n),
                            self.y.get().add(at * self.n),
                            self.n,
                        );
                    }
                }
            }
        }
    }
}

/// Multiplies transposed windows over x by dy `[windows, n]` -> `[width, n]`.
pub(super) fn weight_grad<P: Format>(level: Level, gather: &Gather, x: &[f32], dy: &[f32], n: usize, dw: &mut [f32]) {
    let (width, rows) = (gather.width(), gather.rows());
    assert_eq!(x.len(), gather.source_len(), "the image that windows slide over");
    assert_eq!(dy.len(), rows * n, "a gradient for each window");
    assert_eq!(dw.len(), width * n, "a gradient for each weight");
    let heights = width.div_ceil(HEIGHT);
    // Few rows of weights leave tasks to be cut along the windows.
    let groups = TASKS.div_ceil(heights).min(rows.div_ceil(CHUNK)).max(1);
    let group = rows.div_ceil(groups).next_multiple_of(P::PAIR);
    let groups = rows.div_ceil(group.max(1)).max(1);
    let mut aside = Buffer::any((groups - 1) * width * n);
    let (first, others) = (Shared::new(dw), Shared::new(&mut aside));
    each(groups * heights, |task| {
        let (g, height) = (task / heights, task % heights);
        let part = height * HEIGHT..width.min((height + 1) * HEIGHT);
        let sums = if g == 0 { first } else { others.ahead((g - 1) * width * n) };
        let to = sums.ahead(part.start * n).get();
        let windows = g * group..rows.min((g + 1) * group);
        // SAFETY: x, dy and dw have the lengths that the windows ask for, as checked above; each group sums into a gradient of its
        // own, each task into rows of its own.
        unsafe { level.run(Sum::<P> { gather, x, dy, n, part, windows, to, kind: PhantomData }) }
    });
    for other in aside.chunks_exact((width * n).max(1)) {
        dw.iter_mut().zip(other).for_each(|(a, b)| *a += b);
    }
}

struct Sum<'a, P> {
    gather: &'a Gather,
    x: &'a [f32],
    dy: &'a [f32],
    n: usize,
    part: std::ops::Range<usize>,
    windows: std::ops::Range<usize>,
    to: *mut f32,
    kind: PhantomData<P>,
}

impl<P: Format> Sum<'_, P> {
    /// Windows by columns, `[words][height]`.
    #[inline(always)]
    unsafe fn windows<S: Simd>(&self, windows: &std::ops::Range<usize>, height: usize, a: &mut [f32]) {
        const SOME: usize = 16;
        let mut rows = [[0f32; HEIGHT + LANES]; SOME];
        for first in windows.clone().step_by(SOME) {
            for (i, row) in rows.iter_mut().enumerate() {
                match first + i {
                    // SAFETY: a part has at most HEIGHT numbers.
                    w if w < windows.end => unsafe {
                        self.gather.unfold(self.x, w, self.part.clone(), row.as_mut_ptr())
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
                        S::store(a.as_mut_ptr().add(word * height + at), P::word::<S>(one, two));
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn gradient<S: Simd>(&self, window: usize, end: usize, column: usize, lanes: usize) -> S::V {
        // SAFETY: the window's row of dy has `lanes` numbers from `column` on.
        unsafe {
            if lanes == 0 || window >= end {
                return S::zero();
            }
            S::load_upto(self.dy.as_ptr().add(window * self.n + column), lanes)
        }
    }

    /// Gradients as B, `[panel][words][32]`.
    #[inline(always)]
    unsafe fn gradients<S: Simd>(&self, windows: &std::ops::Range<usize>, words: usize, b: &mut [f32]) {
        for column in (0..self.n.next_multiple_of(PANEL)).step_by(LANES) {
            let lanes = LANES.min(self.n.saturating_sub(column));
            for (word, window) in windows.clone().step_by(P::PAIR).enumerate() {
                // SAFETY: loads stay inside a row of dy, stores inside a row of B.
                unsafe {
                    let one = self.gradient::<S>(window, windows.end, column, lanes);
                    let two =
                        if P::PAIR == 2 { self.gradient::<S>(window + 1, windows.end, column, lanes) } else { one };
                    let to = (column / PANEL * words + word) * PANEL + column % PANEL;
                    S::store(b.as_mut_ptr().add(to), P::word::<S>(one, two));
                }
            }
        }
    }
}

impl<P: Format> Job for Sum<'_, P> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let height = self.part.len().next_multiple_of(LANES);
        let most = CHUNK.div_ceil(P::PAIR);
        let mut a = Buffer::any(most * height);
        let mut b = Buffer::any(most * self.n.next_multiple_of(PANEL));
        for first in self.windows.clone().step_by(CHUNK) {
            let windows = first..self.windows.end.min(first + CHUNK);
            let words = windows.len().div_ceil(P::PAIR);
            // SAFETY: A and B were just packed with these sizes; the rows of the gradient are this task's own.
            unsafe {
                self.windows::<S>(&windows, height, &mut a);
                self.gradients::<S>(&windows, words, &mut b);
                by_columns::<S, P>(Product {
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
                });
            }
        }
    }
}
