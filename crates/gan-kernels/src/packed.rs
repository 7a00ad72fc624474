//! The matrix kernel that convolutions end in: a block of rows against packed columns, in one thread.
//!
//! C `[m, n]` (= or +=) A `[m, k]` · B `[k, n]`. B lies in panels of 32 columns, `[⌈n/32⌉][k][32]`. A lies in one of two ways:
//! by blocks of 32 along k, `[⌈k/32⌉][row][32]`, which is how a transform writes channels; or by columns, `[k][row]`. k counts
//! 32-bit words: numbers, or pairs of bf16. Reference: Goto & van de Geijn 2008, "Anatomy of high-performance matrix
//! multiplication", with a kernel that keeps a block of C in registers.

use crate::product::Onto;
use crate::simd::{Job, LANES, Simd};

/// Columns of a panel of B.
pub(crate) const PANEL: usize = 2 * LANES;
/// Words of A that lie side by side along k.
pub(crate) const BLOCK: usize = 32;
/// Added to distances that would be multiples of 4 KiB otherwise: addresses that far apart share a set of the nearest cache,
/// which holds only a dozen of them.
pub(crate) const APART: usize = LANES;
/// Words of k that pass through the kernel before C is written.
const DEPTH: usize = 256;

/// How numbers lie in packed operands.
pub(crate) trait Format: Copy + Send + Sync + 'static {
    /// Numbers in a 32-bit word.
    const PAIR: usize;
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
/// f32 rounded to what bf16 can hold: the products of [`Paired`] where the processor has none.
#[derive(Clone, Copy)]
pub(crate) struct Rounded;
/// Pairs of bf16, multiplied and summed in f32 by the processor.
#[derive(Clone, Copy)]
pub(crate) struct Paired;

impl Format for Single {
    const PAIR: usize = 1;
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

/// Where a packed product's numbers lie; sizes and distances in words.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: *const f32,
    /// From a block of 32 along k to the next one (by blocks), or from a column to the next one (by columns).
    pub a_step: usize,
    pub b: *const f32,
    /// From a panel to the next one.
    pub b_step: usize,
    pub c: *mut f32,
    /// From a row of C to the next one.
    pub c_step: usize,
    pub onto: Onto,
}

/// A by blocks: C (=|+=) A·B.
///
/// # Safety
/// As [`Simd`]; every address that the sizes reach is valid, C apart from A and B, and no number of A or B that is read is
/// uninitialised.
#[inline(always)]
pub(crate) unsafe fn by_blocks<S: Simd, P: Format>(p: Product) {
    // SAFETY: as asked above.
    unsafe { panels::<S, P, false>(p) }
}

/// A by columns: C (=|+=) A·B.
///
/// # Safety
/// As [`by_blocks`].
#[inline(always)]
pub(crate) unsafe fn by_columns<S: Simd, P: Format>(p: Product) {
    // SAFETY: as asked above.
    unsafe { panels::<S, P, true>(p) }
}

#[inline(always)]
unsafe fn panels<S: Simd, P: Format, const COLUMNS: bool>(p: Product) {
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
                // SAFETY: the offsets stay inside the matrices that the caller vouches for.
                unsafe {
                    let a_row = if COLUMNS { row } else { row * BLOCK };
                    let a_k = if COLUMNS { k0 * p.a_step } else { k0 / BLOCK * p.a_step };
                    let tile = Tile {
                        k,
                        a: p.a.add(a_row + a_k),
                        a_step: p.a_step,
                        b: p.b.add(j * p.b_step + k0 * PANEL),
                        c: p.c.add(row * p.c_step + j * PANEL),
                        c_step: p.c_step,
                        onto,
                    };
                    if width == PANEL { of_rows::<S, P, COLUMNS>(rows, tile) } else { narrow::<S, P, COLUMNS>(rows, width, tile) }
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

/// A panel narrower than 32 columns: computed aside, so that no number beyond C's rows is touched.
#[inline(always)]
unsafe fn narrow<S: Simd, P: Format, const COLUMNS: bool>(rows: usize, width: usize, tile: Tile) {
    let mut aside = [0f32; 12 * PANEL];
    for row in 0..rows {
        // SAFETY: `width` numbers of each row belong to C; `aside` has room for twelve rows, the most there are.
        unsafe {
            let c = tile.c.add(row * tile.c_step);
            if tile.onto == Onto::Sum {
                std::ptr::copy_nonoverlapping(c, aside.as_mut_ptr().add(row * PANEL), width);
            }
        }
    }
    let inner = Tile { c: aside.as_mut_ptr(), c_step: PANEL, ..tile };
    // SAFETY: as the caller vouches, with `aside` for C.
    unsafe { of_rows::<S, P, COLUMNS>(rows, inner) };
    for row in 0..rows {
        // SAFETY: as above.
        unsafe {
            std::ptr::copy_nonoverlapping(aside.as_ptr().add(row * PANEL), tile.c.add(row * tile.c_step), width);
        }
    }
}

#[derive(Clone, Copy)]
struct Tile {
    k: usize,
    a: *const f32,
    a_step: usize,
    b: *const f32,
    c: *mut f32,
    c_step: usize,
    onto: Onto,
}

#[inline(always)]
unsafe fn of_rows<S: Simd, P: Format, const COLUMNS: bool>(rows: usize, tile: Tile) {
    macro_rules! by_rows {
        ($($n:literal)*) => {
            match rows {
                // SAFETY: the caller vouches for the tile.
                $($n if $n <= S::ROWS => unsafe { S::call(Kernel::<P, $n, COLUMNS> { tile, format: std::marker::PhantomData }) },)*
                _ => unreachable!("a block has 1 to ROWS rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// The kernel itself: R rows of 32 columns of C in registers.
struct Kernel<P, const R: usize, const COLUMNS: bool> {
    tile: Tile,
    format: std::marker::PhantomData<P>,
}

impl<P: Format, const R: usize, const COLUMNS: bool> Job for Kernel<P, R, COLUMNS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Tile { k, a, a_step, b, c, c_step, onto } = self.tile;
        // SAFETY: whoever makes the tile vouches for k words of each of R rows of A, k rows of the panel of B, and R rows of 32
        // numbers of C.
        unsafe {
            let mut acc = [[S::zero(); 2]; R];
            if onto == Onto::Sum {
                for (r, acc) in acc.iter_mut().enumerate() {
                    *acc = [S::load(c.add(r * c_step)), S::load(c.add(r * c_step + LANES))];
                }
            }
            let mut b = b;
            if COLUMNS {
                let mut a = a;
                for _ in 0..k {
                    let (b0, b1) = (S::load(b), S::load(b.add(LANES)));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        acc[0] = P::fma::<S>(acc[0], a.add(r), b0);
                        acc[1] = P::fma::<S>(acc[1], a.add(r), b1);
                    }
                    a = a.add(a_step);
                    b = b.add(PANEL);
                }
            } else {
                let (mut block, mut left) = (a, k);
                while left > 0 {
                    let mut a = block;
                    let end = b.add(left.min(BLOCK) * PANEL);
                    while b < end {
                        let (b0, b1) = (S::load(b), S::load(b.add(LANES)));
                        for (r, acc) in acc.iter_mut().enumerate() {
                            acc[0] = P::fma::<S>(acc[0], a.add(r * BLOCK), b0);
                            acc[1] = P::fma::<S>(acc[1], a.add(r * BLOCK), b1);
                        }
                        a = a.add(1);
                        b = b.add(PANEL);
                    }
                    left -= left.min(BLOCK);
                    block = block.add(a_step);
                }
            }
            for (r, acc) in acc.iter().enumerate() {
                S::store(c.add(r * c_step), acc[0]);
                S::store(c.add(r * c_step + LANES), acc[1]);
            }
        }
    }
}
