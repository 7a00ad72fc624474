//! Winograd's minimal filtering F(m, r) in one dimension, on vectors (Winograd 1980; for networks Lavin & Gray 2015,
//! arXiv:1509.09308): m outputs of an r-tap filter from m + r − 1 products instead of m·r.
//!
//! y = Aᵀ[(G g) ⊙ (Bᵀ d)] with Bᵀ over inputs, G over taps, Aᵀ over products. The gradient of the taps is the same
//! algorithm with the outputs' gradient as an m-tap filter and r outputs. In two dimensions each is applied down, then across.

use crate::cpu::simd::Simd;

/// F(m, r): sizes, and the five linear maps. Arrays are as long as the longest algorithm needs; the rest is ignored.
pub(crate) trait Algorithm: Copy + Send + Sync + 'static {
    /// m
    const OUTPUTS: usize;
    /// r
    const TAPS: usize;
    /// m + r − 1
    const POINTS: usize;
    /// Bᵀ
    unsafe fn input<S: Simd>(d: [S::V; 5]) -> [S::V; 5];
    /// G
    unsafe fn taps<S: Simd>(g: [S::V; 3]) -> [S::V; 5];
    /// Aᵀ
    unsafe fn output<S: Simd>(p: [S::V; 5]) -> [S::V; 4];
    /// The outputs' gradient as a filter.
    unsafe fn gradient<S: Simd>(y: [S::V; 4]) -> [S::V; 5];
    /// Products to the taps' gradient.
    unsafe fn taps_gradient<S: Simd>(p: [S::V; 5]) -> [S::V; 3];
}

/// F(2, 2): points 0, 1, ∞. All coefficients are 0 and ±1.
#[derive(Clone, Copy)]
pub(crate) struct F22;
/// F(4, 2): points 0, 1, −1, 2, ∞.
#[derive(Clone, Copy)]
pub(crate) struct F42;
/// F(3, 2): points 0, 1, −1, ∞.
#[derive(Clone, Copy)]
pub(crate) struct F3x2;
/// F(2, 3): points 0, 1, −1, ∞.
#[derive(Clone, Copy)]
pub(crate) struct F23;

/// The algorithms of a tile: down, and across.
pub(crate) trait Tile: Copy + Send + Sync + 'static {
    type Down: Algorithm;
    type Across: Algorithm;
    /// Outputs down and across.
    const OUTPUTS: [usize; 2] = [Self::Down::OUTPUTS, Self::Across::OUTPUTS];
    /// Taps both ways.
    const TAPS: usize = Self::Down::TAPS;
    /// Points down and across.
    const POINTS: [usize; 2] = [Self::Down::POINTS, Self::Across::POINTS];
    /// Points in all.
    const ALL: usize = Self::Down::POINTS * Self::Across::POINTS;
}

impl<D: Algorithm, A: Algorithm> Tile for (D, A) {
    type Down = D;
    type Across = A;
}

// SAFETY of the blocks below: arithmetic on vectors, which asks for nothing but the processor.
impl Algorithm for F22 {
    const OUTPUTS: usize = 2;
    const TAPS: usize = 2;
    const POINTS: usize = 3;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; 5]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe { [S::sub(d[0], d[1]), d[1], S::sub(d[2], d[1]), S::zero(), S::zero()] }
    }
    #[inline(always)]
    unsafe fn taps<S: Simd>(g: [S::V; 3]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe { [g[0], S::add(g[0], g[1]), g[1], S::zero(), S::zero()] }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(p: [S::V; 5]) -> [S::V; 4] {
        // SAFETY: see above.
        unsafe { [S::add(p[0], p[1]), S::add(p[1], p[2]), S::zero(), S::zero()] }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(y: [S::V; 4]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe { [y[0], S::add(y[0], y[1]), y[1], S::zero(), S::zero()] }
    }
    #[inline(always)]
    unsafe fn taps_gradient<S: Simd>(p: [S::V; 5]) -> [S::V; 3] {
        // SAFETY: see above.
        unsafe { [S::add(p[0], p[1]), S::add(p[1], p[2]), S::zero()] }
    }
}

impl Algorithm for F42 {
    const OUTPUTS: usize = 4;
    const TAPS: usize = 2;
    const POINTS: usize = 5;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; 5]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe {
            let (two, minus_two) = (S::splat(2.0), S::splat(-2.0));
            let odd = S::sub(d[3], d[1]);
            let high = S::sub(d[3], d[2]);
            [
                S::fma(two, S::sub(d[0], d[2]), odd),
                S::fma(minus_two, d[1], high),
                S::fma(two, S::sub(d[1], d[2]), high),
                odd,
                S::fma(minus_two, odd, S::sub(d[4], d[2])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn taps<S: Simd>(g: [S::V; 3]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe {
            let sixth = S::splat(1.0 / 6.0);
            [
                S::mul(S::splat(0.5), g[0]),
                S::mul(S::splat(-0.5), S::add(g[0], g[1])),
                S::mul(sixth, S::sub(g[1], g[0])),
                S::mul(sixth, S::fma(S::splat(2.0), g[1], g[0])),
                g[1],
            ]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(p: [S::V; 5]) -> [S::V; 4] {
        // SAFETY: see above.
        unsafe {
            let (sum, difference) = (S::add(p[1], p[2]), S::sub(p[1], p[2]));
            [
                S::add(S::add(p[0], sum), p[3]),
                S::fma(S::splat(2.0), p[3], difference),
                S::fma(S::splat(4.0), p[3], sum),
                S::add(S::fma(S::splat(8.0), p[3], difference), p[4]),
            ]
        }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(y: [S::V; 4]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe {
            let sixth = S::splat(1.0 / 6.0);
            let (even, odd) = (S::add(y[0], y[2]), S::add(y[1], y[3]));
            let at_two = S::fma(S::splat(2.0), y[1], y[0]);
            let at_two = S::fma(S::splat(8.0), y[3], S::fma(S::splat(4.0), y[2], at_two));
            [
                S::mul(S::splat(0.5), y[0]),
                S::mul(S::splat(-0.5), S::add(even, odd)),
                S::mul(sixth, S::sub(odd, even)),
                S::mul(sixth, at_two),
                y[3],
            ]
        }
    }
    #[inline(always)]
    unsafe fn taps_gradient<S: Simd>(p: [S::V; 5]) -> [S::V; 3] {
        // SAFETY: see above.
        unsafe {
            let (sum, difference) = (S::add(p[1], p[2]), S::sub(p[1], p[2]));
            [S::add(S::add(p[0], sum), p[3]), S::add(S::fma(S::splat(2.0), p[3], difference), p[4]), S::zero()]
        }
    }
}

impl Algorithm for F3x2 {
    const OUTPUTS: usize = 3;
    const TAPS: usize = 2;
    const POINTS: usize = 4;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; 5]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe { [S::sub(d[0], d[2]), S::add(d[1], d[2]), S::sub(d[2], d[1]), S::sub(d[3], d[1]), S::zero()] }
    }
    #[inline(always)]
    unsafe fn taps<S: Simd>(g: [S::V; 3]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe {
            let half = S::splat(0.5);
            [g[0], S::mul(half, S::add(g[0], g[1])), S::mul(half, S::sub(g[0], g[1])), g[1], S::zero()]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(p: [S::V; 5]) -> [S::V; 4] {
        // SAFETY: see above.
        unsafe {
            let sum = S::add(p[1], p[2]);
            [S::add(p[0], sum), S::sub(p[1], p[2]), S::add(sum, p[3]), S::zero()]
        }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(y: [S::V; 4]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe {
            let half = S::splat(0.5);
            let (ends, middle) = (S::mul(half, S::add(y[0], y[2])), S::mul(half, y[1]));
            [y[0], S::add(ends, middle), S::sub(ends, middle), y[2], S::zero()]
        }
    }
    #[inline(always)]
    unsafe fn taps_gradient<S: Simd>(p: [S::V; 5]) -> [S::V; 3] {
        // SAFETY: see above.
        unsafe { [S::add(S::add(p[0], p[1]), p[2]), S::add(S::sub(p[1], p[2]), p[3]), S::zero()] }
    }
}

impl Algorithm for F23 {
    const OUTPUTS: usize = 2;
    const TAPS: usize = 3;
    const POINTS: usize = 4;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; 5]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe { [S::sub(d[0], d[2]), S::add(d[1], d[2]), S::sub(d[2], d[1]), S::sub(d[1], d[3]), S::zero()] }
    }
    #[inline(always)]
    unsafe fn taps<S: Simd>(g: [S::V; 3]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe {
            let half = S::splat(0.5);
            let ends = S::mul(half, S::add(g[0], g[2]));
            let middle = S::mul(half, g[1]);
            [g[0], S::add(ends, middle), S::sub(ends, middle), g[2], S::zero()]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd>(p: [S::V; 5]) -> [S::V; 4] {
        // SAFETY: see above.
        unsafe { [S::add(S::add(p[0], p[1]), p[2]), S::sub(S::sub(p[1], p[2]), p[3]), S::zero(), S::zero()] }
    }
    #[inline(always)]
    unsafe fn gradient<S: Simd>(y: [S::V; 4]) -> [S::V; 5] {
        // SAFETY: see above.
        unsafe { [y[0], S::add(y[0], y[1]), S::sub(y[0], y[1]), S::sub(S::zero(), y[1]), S::zero()] }
    }
    #[inline(always)]
    unsafe fn taps_gradient<S: Simd>(p: [S::V; 5]) -> [S::V; 3] {
        // SAFETY: see above.
        unsafe {
            let half = S::splat(0.5);
            let sum = S::mul(half, S::add(p[1], p[2]));
            [S::add(p[0], sum), S::mul(half, S::sub(p[1], p[2])), S::add(sum, p[3])]
        }
    }
}

/// A 1-D map over the rows, then over the columns of the upper left `FROM` down × `FROM` across of a square.
macro_rules! square {
    ($name:ident, $map:ident, $from:literal => $to:literal, $FROM:ident, $TO:ident) => {
        #[inline(always)]
        pub(crate) unsafe fn $name<S: Simd, W: Tile>(d: &[[S::V; $from]; $from]) -> [[S::V; $to]; $to] {
            // SAFETY: arithmetic on vectors.
            unsafe {
                let mut across = [[S::zero(); $to]; $from];
                for (row, across) in d.iter().zip(&mut across).take(W::Down::$FROM) {
                    *across = W::Across::$map::<S>(*row);
                }
                let mut out = [[S::zero(); $to]; $to];
                for j in 0..W::Across::$TO {
                    let mut column = [S::zero(); $from];
                    for i in 0..W::Down::$FROM {
                        column[i] = across[i][j];
                    }
                    let column = W::Down::$map::<S>(column);
                    for i in 0..W::Down::$TO {
                        out[i][j] = column[i];
                    }
                }
                out
            }
        }
    };
}
square!(input2, input, 5 => 5, POINTS, POINTS);
square!(taps2, taps, 3 => 5, TAPS, POINTS);
square!(output2, output, 5 => 4, POINTS, OUTPUTS);
square!(gradient2, gradient, 4 => 5, OUTPUTS, POINTS);
square!(taps_gradient2, taps_gradient, 5 => 3, POINTS, TAPS);
