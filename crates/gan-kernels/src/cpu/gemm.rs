//! The matrix kernel that convolutions end in: a block of rows against packed columns, in one thread.
//!
//! C `[m, n]` (= or +=) A `[m, k]` · B `[k, n]`. B lies in panels of 32 columns, `[⌈n/32⌉][k][32]`. A lies in one of two ways:
//! by blocks of 32 along k, `[⌈k/32⌉][row][32]`, which is how a transform writes channels; or by columns, `[k][row]`. k counts
//! 32-bit words: numbers, or pairs of bf16. Small products read plain rows on both sides instead, without packing. Reference: Goto & van de Geijn 2008, "Anatomy of high-performance matrix
//! multiplication", with a kernel that keeps a block of C in registers.

use crate::cpu::simd::{Job, LANES, Simd};

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
const DEPTH: usize = 256;

/// Format of numbers in packed operands.
pub(crate) trait Format: Copy + Send + Sync + 'static {
    /// Numbers in a 32-bit word.
    const PAIR: usize;
    /// Whether packed numbers are the numbers themselves.
    const PLAIN: bool;
    /// # Safety
    /// As [`Simd`]; `a` points to a word.
    unsafe fn fma<S: Simd>(acc: S::V, a: *const f32, b: S::V) -> S::V;
    /// Sixteen numbers at number `index` (a multiple of 16) from `base` on.
    /// # Safety
    /// As [`Simd`]; there is room.
    unsafe fn store<S: Simd>(base: *mut f32, index: usize, v: S::V);
    /// One word a lane: `a`, or the pair of `a` and `b`.
    /// # Safety
    /// As [`Simd`].
    unsafe fn word<S: Simd>(a: S::V, b: S::V) -> S::V;
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
    unsafe fn fma<S: Simd>(acc: S::V, a: *const f32, b: S::V) -> S::V {
        // SAFETY: as the trait asks.
        unsafe { S::fma(S::splat(*a), b, acc) }
    }
    #[inline(always)]
    unsafe fn store<S: Simd>(base: *mut f32, index: usize, v: S::V) {
        // SAFETY: as the trait asks.
        unsafe { S::store(base.add(index), v) }
    }
    #[inline(always)]
    unsafe fn word<S: Simd>(a: S::V, _: S::V) -> S::V {
        a
    }
}

impl Format for Rounded {
    const PAIR: usize = 1;
    const PLAIN: bool = false;
    #[inline(always)]
    unsafe fn fma<S: Simd>(acc: S::V, a: *const f32, b: S::V) -> S::V {
        // SAFETY: as the trait asks.
        unsafe { S::fma(S::splat(*a), b, acc) }
    }
    #[inline(always)]
    unsafe fn store<S: Simd>(base: *mut f32, index: usize, v: S::V) {
        // SAFETY: as the trait asks.
        unsafe { S::store(base.add(index), S::round_bf16(v)) }
    }
    #[inline(always)]
    unsafe fn word<S: Simd>(a: S::V, _: S::V) -> S::V {
        // SAFETY: as the trait asks.
        unsafe { S::round_bf16(a) }
    }
}

impl Format for Paired {
    const PAIR: usize = 2;
    const PLAIN: bool = false;
    #[inline(always)]
    unsafe fn fma<S: Simd>(acc: S::V, a: *const f32, b: S::V) -> S::V {
        // SAFETY: as the trait asks.
        unsafe { S::dot2(acc, a, b) }
    }
    #[inline(always)]
    unsafe fn store<S: Simd>(base: *mut f32, index: usize, v: S::V) {
        // SAFETY: as the trait asks; a word is two bf16.
        unsafe { S::store_bf16(base.cast::<u16>().add(index), v) }
    }
    #[inline(always)]
    unsafe fn word<S: Simd>(a: S::V, b: S::V) -> S::V {
        // SAFETY: as the trait asks.
        unsafe { S::pair_bf16(a, b) }
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
}

/// Layout of A.
const BY_BLOCKS: u8 = 0;
const BY_COLUMNS: u8 = 1;
const BY_ROWS: u8 = 2;

/// Computes C (=|+=) A·B with A by blocks.
///
/// # Safety
/// As [`Simd`]; every address that the sizes reach is valid, C does not overlap A or B, and no number of A or B that is read is
/// uninitialized.
#[inline(always)]
pub(crate) unsafe fn by_blocks<S: Simd, P: Format>(p: Product) {
    // SAFETY: as asked above.
    unsafe { panels::<S, P, BY_BLOCKS>(p) }
}

/// Computes C (=|+=) A·B with A by columns.
///
/// # Safety
/// As [`by_blocks`].
#[inline(always)]
pub(crate) unsafe fn by_columns<S: Simd, P: Format>(p: Product) {
    // SAFETY: as asked above.
    unsafe { panels::<S, P, BY_COLUMNS>(p) }
}

/// Computes C (=|+=) A·B with A by rows, as in plain matrices.
///
/// # Safety
/// As [`by_blocks`].
#[inline(always)]
pub(crate) unsafe fn by_rows<S: Simd, P: Format>(p: Product) {
    // SAFETY: as asked above.
    unsafe { panels::<S, P, BY_ROWS>(p) }
}

#[inline(always)]
unsafe fn panels<S: Simd, P: Format, const A: u8>(p: Product) {
    let groups = p.m.div_ceil(S::ROWS).max(1);
    let (base, extra) = (p.m / groups, p.m % groups);
    let mut k0 = 0;
    while k0 < p.k {
        let k = DEPTH.min(p.k - k0);
        let onto = if k0 > 0 { Onto::Sum } else { p.onto };
        for j in 0..p.n.div_ceil(PANEL) {
            let width = PANEL.min(p.n - j * PANEL);
            let mut row = 0;
            for group in 0..groups {
                let rows = base + usize::from(group < extra);
                let (a_row, a_k) = match A {
                    BY_COLUMNS => (row, k0 * p.a_step),
                    BY_ROWS => (row * p.a_step, k0),
                    _ => (row * BLOCK, k0 / BLOCK * p.a_step),
                };
                // SAFETY: the offsets stay inside the matrices that the caller vouches for.
                unsafe {
                    let tile = Tile {
                        k,
                        a: p.a.add(a_row + a_k),
                        a_step: p.a_step,
                        b: p.b.add(j * p.b_step + k0 * p.b_row),
                        b_row: p.b_row,
                        ahead: if group + 1 == groups { p.b_step } else { 0 },
                        c: p.c.add(row * p.c_step + j * PANEL),
                        c_step: p.c_step,
                        width,
                        onto,
                    };
                    match width {
                        PANEL => of_rows::<S, P, A, 2, true>(rows, tile),
                        _ if width > LANES => of_rows::<S, P, A, 2, false>(rows, tile),
                        _ => of_rows::<S, P, A, 1, false>(rows, tile),
                    }
                }
                row += rows;
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

#[derive(Clone, Copy)]
struct Tile {
    k: usize,
    a: *const f32,
    a_step: usize,
    b: *const f32,
    b_row: usize,
    /// Distance ahead of B at which to prefetch the next panel, while the last rows use this one.
    ahead: usize,
    c: *mut f32,
    c_step: usize,
    /// Number of columns, at most 32.
    width: usize,
    onto: Onto,
}

#[inline(always)]
unsafe fn of_rows<S: Simd, P: Format, const A: u8, const H: usize, const FULL: bool>(rows: usize, tile: Tile) {
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the caller vouches for the tile.
                $($n if $n <= S::ROWS => unsafe {
                    S::call(Kernel::<P, $n, A, H, FULL> { tile, format: std::marker::PhantomData })
                },)*
                _ => unreachable!("a block has 1 to ROWS rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// The kernel itself: R rows of H vectors of C in registers; `FULL` if all 32 columns are C's.
struct Kernel<P, const R: usize, const A: u8, const H: usize, const FULL: bool> {
    tile: Tile,
    format: std::marker::PhantomData<P>,
}

impl<P: Format, const R: usize, const A: u8, const H: usize, const FULL: bool> Kernel<P, R, A, H, FULL> {
    /// One word of k: a number (or pair) of each row, `step` apart, times a row of B.
    #[inline(always)]
    unsafe fn word<S: Simd>(acc: &mut [[S::V; H]; R], a: *const f32, step: usize, b: *const f32, width: usize) {
        // SAFETY: the tile vouches for R words of A and `width` of B.
        unsafe {
            let mut row = [S::zero(); H];
            for (h, row) in row.iter_mut().enumerate() {
                *row = vector::<S, FULL>(b.add(h * LANES), width - h * LANES);
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                for (acc, row) in acc.iter_mut().zip(&row) {
                    *acc = P::fma::<S>(*acc, a.add(r * step), *row);
                }
            }
        }
    }
}

/// A vector of a row with `left` numbers to its end.
#[inline(always)]
unsafe fn vector<S: Simd, const FULL: bool>(p: *const f32, left: usize) -> S::V {
    // SAFETY: the caller vouches for the row.
    unsafe { if FULL { S::load(p) } else { S::load_n(p, LANES.min(left)) } }
}

impl<P: Format, const R: usize, const A: u8, const H: usize, const FULL: bool> Job for Kernel<P, R, A, H, FULL> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Tile { k, a, a_step, b, b_row, ahead, c, c_step, width, onto } = self.tile;
        let b_row = if A == BY_BLOCKS { PANEL } else { b_row };
        // SAFETY: whoever makes the tile vouches for k words of each of R rows of A, k rows of B, and R rows of C, `width` wide.
        unsafe {
            let mut acc = [[S::zero(); H]; R];
            if onto == Onto::Sum {
                for (r, acc) in acc.iter_mut().enumerate() {
                    for (h, acc) in acc.iter_mut().enumerate() {
                        *acc = vector::<S, FULL>(c.add(r * c_step + h * LANES), width - h * LANES);
                    }
                }
            }
            let (mut a, mut b) = (a, b);
            match A {
                BY_COLUMNS => {
                    for _ in 0..k {
                        S::prefetch(b.wrapping_add(ahead));
                        S::prefetch(b.wrapping_add(ahead + LANES));
                        Self::word::<S>(&mut acc, a, 1, b, width);
                        // After the last word these may lie beyond the end, where nothing is read.
                        a = a.wrapping_add(a_step);
                        b = b.wrapping_add(b_row);
                    }
                }
                BY_ROWS => {
                    for _ in 0..k {
                        Self::word::<S>(&mut acc, a, a_step, b, width);
                        a = a.wrapping_add(1);
                        b = b.wrapping_add(b_row);
                    }
                }
                _ => {
                    let (mut block, mut left) = (a, k);
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
                    if FULL { S::store(p, *acc) } else { S::store_n(p, LANES.min(width - h * LANES), *acc) }
                }
            }
        }
    }
}
