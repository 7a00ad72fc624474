//! The matrix kernel that convolutions end in: a block of rows against packed columns, in one thread.
//!
//! It computes C `[m, n]` (= or +=) A `[m, k]` · B `[k, n]`. B lies in panels of 32 columns, `[⌈n/32⌉][k][32]`. A lies by blocks of 32 along
//! k, `[⌈k/32⌉][row][32]`, which is how a transform writes channels; or by columns, `[k][row]`. k counts 32-bit words: numbers, or pairs of
//! bf16. Small products read plain rows on both sides instead, without packing. Reference: Goto & van de Geijn 2008, "Anatomy of
//! high-performance matrix multiplication", with a kernel that keeps a block of C in registers.

use crate::cpu::simd::{Job, LANES, Simd};
use std::marker::PhantomData;

/// Treatment of the previous values of a product's result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// Overwrite them.
    Fresh,
    /// Add the product to them.
    Sum,
}

/// Number of columns of a panel of B.
pub(crate) const PANEL: usize = 2 * LANES;
/// Number of words of A that are adjacent along k.
pub(crate) const BLOCK: usize = 32;
/// Offset for distances that would otherwise be multiples of 4 KiB: such addresses share a set of the L1 cache, which holds only a dozen of
/// them.
pub(crate) const APART: usize = LANES;
/// Number of words of k that pass through the kernel before C is written.
pub(crate) const DEPTH: usize = 256;

/// Format of numbers in packed operands.
pub(crate) trait Format: Copy + Send + Sync + 'static {
    /// Numbers in a 32-bit word.
    const PAIR: usize;
    /// Whether packed numbers are the numbers themselves.
    const PLAIN: bool;
    /// Whether products need the instruction for pairs of bf16.
    const PAIRED: bool = Self::PAIR > 1;

    /// Returns acc + a·b.
    /// # Safety
    /// As [`Simd`]; `a` points to a word.
    #[inline(always)]
    unsafe fn mul_add<S: Simd>(acc: S, a: *const f32, b: S) -> S {
        // SAFETY: the caller keeps the conditions above.
        unsafe { S::splat(*a).mul_add(b, acc) }
    }

    /// Stores sixteen numbers from number `index` (a multiple of 16) of `base` on.
    /// # Safety
    /// As [`Simd`]; there is room.
    #[inline(always)]
    unsafe fn store<S: Simd>(base: *mut f32, index: usize, v: S) {
        // SAFETY: the caller keeps the conditions above.
        unsafe { Self::word(v, v).store(base.add(index)) }
    }

    /// Returns one word per lane: `a`, or the pair of `a` and `b`.
    fn word<S: Simd>(a: S, b: S) -> S;
}

/// f32.
#[derive(Clone, Copy)]
pub(crate) struct Single;
/// f32 rounded to bf16: the products of [`Paired`] if the processor does not support them.
#[derive(Clone, Copy)]
pub(crate) struct Rounded;
/// Pairs of bf16, multiplied and summed in f32 by the processor.
#[derive(Clone, Copy)]
pub(crate) struct Paired;

impl Format for Single {
    const PAIR: usize = 1;
    const PLAIN: bool = true;

    #[inline(always)]
    fn word<S: Simd>(a: S, _: S) -> S {
        a
    }
}

impl Format for Rounded {
    const PAIR: usize = 1;
    const PLAIN: bool = false;

    #[inline(always)]
    fn word<S: Simd>(a: S, _: S) -> S {
        a.round_bf16()
    }
}

impl Format for Paired {
    const PAIR: usize = 2;
    const PLAIN: bool = false;

    #[inline(always)]
    unsafe fn mul_add<S: Simd>(acc: S, a: *const f32, b: S) -> S {
        // SAFETY: the caller keeps the trait's conditions.
        unsafe { acc.dot2(a, b) }
    }
    #[inline(always)]
    unsafe fn store<S: Simd>(base: *mut f32, index: usize, v: S) {
        // SAFETY: the caller keeps the trait's conditions; a word is two bf16.
        unsafe { v.store_bf16(base.cast::<u16>().add(index)) }
    }
    #[inline(always)]
    fn word<S: Simd>(a: S, b: S) -> S {
        a.pair_bf16(b)
    }
}

/// Memory layout of a packed product; sizes and distances in words.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: *const f32,
    /// Distance from a block of 32 along k to the next one (by blocks), from a column to the next one (by columns), or from a row to the
    /// next one (by rows).
    pub a_step: usize,
    pub b: *const f32,
    /// Distance from a panel to the next one.
    pub b_step: usize,
    /// Distance from a row of a panel to the next one: 32 if B is packed.
    pub b_row: usize,
    pub c: *mut f32,
    /// Distance from a row of C to the next one.
    pub c_step: usize,
    pub onto: Onto,
    /// What to prefetch meanwhile, with A by rows.
    pub next: Next,
}

/// Memory that the caller reads after a product: rows of 32 numbers. One row is prefetched after every `every` words of each block of rows.
#[derive(Clone, Copy)]
pub(crate) struct Next {
    /// Any address.
    pub at: *const f32,
    /// Distance from a row to the next one.
    pub step: usize,
    pub every: usize,
}

impl Next {
    pub(crate) const NOTHING: Self = Self { at: std::ptr::null(), step: 0, every: usize::MAX };
}

/// Layouts of A: by blocks of 32 along k, by columns, or by rows as in plain matrices.
pub(crate) const BY_BLOCKS: u8 = 0;
pub(crate) const BY_COLUMNS: u8 = 1;
pub(crate) const BY_ROWS: u8 = 2;

/// A product by itself, with A in the layout `A`. Running it requires what [`multiply`] requires.
pub(crate) struct Multiply<P, const A: u8>(pub Product, pub PhantomData<P>);

impl<P: Format, const A: u8> Job for Multiply<P, A> {
    const PAIRED: bool = P::PAIRED;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller keeps the conditions of `multiply`.
        unsafe { multiply::<S, P, A>(self.0) }
    }
}

/// Computes C (=|+=) A·B with A in the layout `A`.
///
/// # Safety
/// As [`Simd`]; every address that the sizes reach is valid, C does not overlap A or B, and no number of A or B that is read is
/// uninitialized.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd, P: Format, const A: u8>(p: Product) {
    let groups = p.m.div_ceil(S::ROWS).max(1);
    let base = p.m / groups;
    let extra = p.m % groups;
    let mut k0 = 0;
    let mut next = p.next;
    while k0 < p.k {
        let k = DEPTH.min(p.k - k0);
        let onto = if k0 > 0 { Onto::Sum } else { p.onto };
        for j in 0..p.n.div_ceil(PANEL) {
            let width = PANEL.min(p.n - j * PANEL);
            let mut row = 0;
            for group in 0..groups {
                let rows = base + usize::from(group < extra);
                let offset = match A {
                    BY_COLUMNS => row + k0 * p.a_step,
                    BY_ROWS => row * p.a_step + k0,
                    _ => row * BLOCK + k0 / BLOCK * p.a_step,
                };
                // SAFETY: the offsets stay inside the matrices that the caller vouches for.
                unsafe {
                    let tile = Product {
                        n: width,
                        k,
                        a: p.a.add(offset),
                        b: p.b.add(j * p.b_step + k0 * p.b_row),
                        // Distance ahead at which to prefetch the next panel, while the last rows use this one.
                        b_step: if group + 1 == groups { p.b_step } else { 0 },
                        c: p.c.add(row * p.c_step + j * PANEL),
                        onto,
                        next,
                        ..p
                    };
                    match width {
                        _ if const { S::IS_NARROW } => {
                            for from in (0..width).step_by(LANES) {
                                let n = LANES.min(width - from);
                                let tile = Product { n, b: tile.b.add(from), c: tile.c.add(from), ..tile };
                                match n {
                                    LANES => of_rows::<S, P, A, 1, true>(rows, tile),
                                    _ => of_rows::<S, P, A, 1, false>(rows, tile),
                                }
                            }
                        }
                        PANEL => of_rows::<S, P, A, 2, true>(rows, tile),
                        LANES => of_rows::<S, P, A, 1, true>(rows, tile),
                        _ if width > LANES => of_rows::<S, P, A, 2, false>(rows, tile),
                        _ => of_rows::<S, P, A, 1, false>(rows, tile),
                    }
                }
                row += rows;
                next.at = next.at.wrapping_add(k / next.every * next.step);
            }
        }
        k0 += k;
    }
    if p.k == 0 && p.onto == Onto::Fresh {
        for row in 0..p.m {
            // SAFETY: the caller vouches for n numbers in each row of C.
            unsafe { std::slice::from_raw_parts_mut(p.c.add(row * p.c_step), p.n).fill(0.0) };
        }
    }
}

#[inline(always)]
unsafe fn of_rows<S: Simd, P: Format, const A: u8, const H: usize, const FULL: bool>(rows: usize, tile: Product) {
    // Blocks that are too large for a level's registers are not compiled for it.
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the caller vouches for the tile.
                $($n if const { $n <= S::ROWS } => unsafe { S::call(Kernel::<P, $n, A, H, FULL> { tile, format: PhantomData }) },)*
                _ => unreachable!("a block has 1 to ROWS rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// The kernel itself: R rows of H vectors of C in registers; `FULL` if all 32 columns belong to C.
struct Kernel<P, const R: usize, const A: u8, const H: usize, const FULL: bool> {
    tile: Product,
    format: PhantomData<P>,
}

impl<P: Format, const R: usize, const A: u8, const H: usize, const FULL: bool> Kernel<P, R, A, H, FULL> {
    /// Adds one word of k: a number (or pair) of each row, `step` apart, times a row of B.
    #[inline(always)]
    unsafe fn word<S: Simd>(acc: &mut [[S; H]; R], a: *const f32, step: usize, b: *const f32, width: usize) {
        // SAFETY: the tile vouches for R words of A and `width` of B.
        unsafe {
            let mut row = [S::zero(); H];
            for (h, row) in row.iter_mut().enumerate() {
                *row = vector::<S, FULL>(b.add(h * LANES), width - h * LANES);
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                for (acc, row) in acc.iter_mut().zip(&row) {
                    *acc = P::mul_add(*acc, a.add(r * step), *row);
                }
            }
        }
    }
}

/// Loads a vector of a row with `left` numbers to its end.
#[inline(always)]
unsafe fn vector<S: Simd, const FULL: bool>(p: *const f32, left: usize) -> S {
    // SAFETY: the caller vouches for the row.
    unsafe { if FULL { S::load(p) } else { S::load_n(p, LANES.min(left)) } }
}

impl<P: Format, const R: usize, const A: u8, const H: usize, const FULL: bool> Job for Kernel<P, R, A, H, FULL> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Product { n: width, k, mut a, a_step, mut b, b_step: ahead, b_row, c, c_step, onto, mut next, .. } =
            self.tile;
        let b_row = if A == BY_BLOCKS { PANEL } else { b_row };
        // SAFETY: the creator of the tile vouches for k words of each of R rows of A, k rows of B, and R rows of C, `width` wide.
        unsafe {
            let mut acc = [[S::zero(); H]; R];
            if A != BY_BLOCKS {
                // The result's cache lines arrive while the products are computed.
                for r in 0..R {
                    for h in 0..H {
                        S::prefetch(c.wrapping_add(r * c_step + h * LANES));
                    }
                }
            }
            if onto == Onto::Sum {
                for (r, acc) in acc.iter_mut().enumerate() {
                    for (h, acc) in acc.iter_mut().enumerate() {
                        *acc = vector::<S, FULL>(c.add(r * c_step + h * LANES), width - h * LANES);
                    }
                }
            }
            match A {
                BY_COLUMNS => {
                    for _ in 0..k {
                        S::prefetch(b.wrapping_add(ahead));
                        S::prefetch(b.wrapping_add(ahead + LANES));
                        Self::word::<S>(&mut acc, a, 1, b, width);
                        // After the last word they may point beyond the end, where nothing is read.
                        a = a.wrapping_add(a_step);
                        b = b.wrapping_add(b_row);
                    }
                }
                BY_ROWS => {
                    // Rows of an unpacked B are far apart, so that the processor does not expect them; those of a packed one follow each
                    // other.
                    let ahead = b_row * 8;
                    let mut left = k;
                    while left > 0 {
                        // Plain Rust's registers are too few for a second loop.
                        let words = if const { S::PREFETCHES } { left.min(next.every) } else { left };
                        for _ in 0..words {
                            S::prefetch(b.wrapping_add(ahead));
                            S::prefetch(b.wrapping_add(ahead + LANES));
                            Self::word::<S>(&mut acc, a, a_step, b, width);
                            a = a.wrapping_add(1);
                            b = b.wrapping_add(b_row);
                        }
                        if words == next.every {
                            S::prefetch_far(next.at);
                            S::prefetch_far(next.at.wrapping_add(LANES));
                            next.at = next.at.wrapping_add(next.step);
                        }
                        left -= words;
                    }
                }
                _ => {
                    let mut block = a;
                    let mut left = k;
                    while left > 0 {
                        let mut a = block;
                        let end = b.add(left.min(BLOCK) * b_row);
                        while b < end {
                            S::prefetch(b.wrapping_add(ahead));
                            S::prefetch(b.wrapping_add(ahead + LANES));
                            Self::word::<S>(&mut acc, a, BLOCK, b, width);
                            a = a.wrapping_add(1);
                            b = b.wrapping_add(b_row);
                        }
                        left -= left.min(BLOCK);
                        block = block.wrapping_add(a_step);
                    }
                }
            }
            for (r, acc) in acc.iter().enumerate() {
                for (h, acc) in acc.iter().enumerate() {
                    let p = c.add(r * c_step + h * LANES);
                    if FULL { acc.store(p) } else { acc.store_n(p, LANES.min(width - h * LANES)) }
                }
            }
        }
    }
}
