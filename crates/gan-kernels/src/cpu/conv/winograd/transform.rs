//! Winograd's minimal filtering F(m, r) in one dimension, on vectors (Winograd 1980; for networks Lavin & Gray 2015,
//! arXiv:1509.09308): m outputs of an r-tap filter from m + r − 1 products instead of m·r.
//!
//! y = Aᵀ[(G g) ⊙ (Bᵀ d)], where Bᵀ transforms inputs, G transforms taps, and Aᵀ transforms products. The gradient of the taps is the same
//! algorithm with the outputs' gradient as an m-tap filter and r outputs. In two dimensions, each map is applied down, then across.

use crate::cpu::gemm::Format;
use crate::cpu::simd::Simd;

/// Points of the longest algorithm.
pub(crate) const MOST: usize = 6;

/// F(m, r): sizes, and the five linear maps. Arrays are as long as the longest algorithm needs; the rest is ignored.
pub(crate) trait Algorithm: Copy + Send + Sync + 'static {
    /// m
    const OUTPUTS: usize;
    /// r
    const TAPS: usize;
    /// m + r − 1
    const POINTS: usize = Self::OUTPUTS + Self::TAPS - 1;
    /// Bᵀ
    fn input<S: Simd>(d: [S; MOST]) -> [S; MOST];
    /// G
    fn taps<S: Simd>(g: [S; 3]) -> [S; MOST];
    /// Aᵀ
    fn output<S: Simd>(p: [S; MOST]) -> [S; 4];
    /// Transforms the outputs' gradient, as a filter.
    fn gradient<S: Simd>(y: [S; 4]) -> [S; MOST];
    /// Transforms products into the taps' gradient.
    fn taps_gradient<S: Simd>(p: [S; MOST]) -> [S; 3];
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

/// F(4, 3): points 0, 1, −1, 2, −2, ∞.
#[derive(Clone, Copy)]
pub(crate) struct F43;
/// F(3, 3): points 0, 1, −1, 2, ∞.
#[derive(Clone, Copy)]
pub(crate) struct F33;

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

/// Lengthens an array by numbers that are ignored.
#[inline(always)]
fn pad<S: Copy, const N: usize, const M: usize>(values: [S; N]) -> [S; M] {
    let mut all = [values[0]; M];
    for (to, value) in all.iter_mut().zip(values) {
        *to = value;
    }
    all
}

impl Algorithm for F22 {
    const OUTPUTS: usize = 2;
    const TAPS: usize = 2;

    #[inline(always)]
    fn input<S: Simd>(d: [S; MOST]) -> [S; MOST] {
        pad([d[0] - d[1], d[1], d[2] - d[1]])
    }
    #[inline(always)]
    fn taps<S: Simd>(g: [S; 3]) -> [S; MOST] {
        pad([g[0], g[0] + g[1], g[1]])
    }
    #[inline(always)]
    fn output<S: Simd>(p: [S; MOST]) -> [S; 4] {
        pad([p[0] + p[1], p[1] + p[2]])
    }
    #[inline(always)]
    fn gradient<S: Simd>(y: [S; 4]) -> [S; MOST] {
        pad([y[0], y[0] + y[1], y[1]])
    }
    #[inline(always)]
    fn taps_gradient<S: Simd>(p: [S; MOST]) -> [S; 3] {
        pad([p[0] + p[1], p[1] + p[2]])
    }
}

impl Algorithm for F42 {
    const OUTPUTS: usize = 4;
    const TAPS: usize = 2;

    #[inline(always)]
    fn input<S: Simd>(d: [S; MOST]) -> [S; MOST] {
        let odd = d[3] - d[1];
        let high = d[3] - d[2];
        pad([
            (d[0] - d[2]).scale_add(2.0, odd),
            d[1].scale_add(-2.0, high),
            (d[1] - d[2]).scale_add(2.0, high),
            odd,
            odd.scale_add(-2.0, d[4] - d[2]),
        ])
    }
    #[inline(always)]
    fn taps<S: Simd>(g: [S; 3]) -> [S; MOST] {
        let at_two = g[1].scale_add(2.0, g[0]);
        pad([g[0].scale(0.5), (g[0] + g[1]).scale(-0.5), (g[1] - g[0]).scale(1.0 / 6.0), at_two.scale(1.0 / 6.0), g[1]])
    }
    #[inline(always)]
    fn output<S: Simd>(p: [S; MOST]) -> [S; 4] {
        let sum = p[1] + p[2];
        let difference = p[1] - p[2];
        [
            p[0] + sum + p[3],
            p[3].scale_add(2.0, difference),
            p[3].scale_add(4.0, sum),
            p[3].scale_add(8.0, difference) + p[4],
        ]
    }
    #[inline(always)]
    fn gradient<S: Simd>(y: [S; 4]) -> [S; MOST] {
        let even = y[0] + y[2];
        let odd = y[1] + y[3];
        let at_two = y[3].scale_add(8.0, y[2].scale_add(4.0, y[1].scale_add(2.0, y[0])));
        pad([y[0].scale(0.5), (even + odd).scale(-0.5), (odd - even).scale(1.0 / 6.0), at_two.scale(1.0 / 6.0), y[3]])
    }
    #[inline(always)]
    fn taps_gradient<S: Simd>(p: [S; MOST]) -> [S; 3] {
        pad([p[0] + (p[1] + p[2]) + p[3], p[3].scale_add(2.0, p[1] - p[2]) + p[4]])
    }
}

impl Algorithm for F3x2 {
    const OUTPUTS: usize = 3;
    const TAPS: usize = 2;

    #[inline(always)]
    fn input<S: Simd>(d: [S; MOST]) -> [S; MOST] {
        pad([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[3] - d[1]])
    }
    #[inline(always)]
    fn taps<S: Simd>(g: [S; 3]) -> [S; MOST] {
        pad([g[0], (g[0] + g[1]).scale(0.5), (g[0] - g[1]).scale(0.5), g[1]])
    }
    #[inline(always)]
    fn output<S: Simd>(p: [S; MOST]) -> [S; 4] {
        let sum = p[1] + p[2];
        pad([p[0] + sum, p[1] - p[2], sum + p[3]])
    }
    #[inline(always)]
    fn gradient<S: Simd>(y: [S; 4]) -> [S; MOST] {
        let ends = (y[0] + y[2]).scale(0.5);
        let middle = y[1].scale(0.5);
        pad([y[0], ends + middle, ends - middle, y[2]])
    }
    #[inline(always)]
    fn taps_gradient<S: Simd>(p: [S; MOST]) -> [S; 3] {
        pad([p[0] + p[1] + p[2], p[1] - p[2] + p[3]])
    }
}

impl Algorithm for F23 {
    const OUTPUTS: usize = 2;
    const TAPS: usize = 3;

    #[inline(always)]
    fn input<S: Simd>(d: [S; MOST]) -> [S; MOST] {
        pad([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])
    }
    #[inline(always)]
    fn taps<S: Simd>(g: [S; 3]) -> [S; MOST] {
        let ends = (g[0] + g[2]).scale(0.5);
        let middle = g[1].scale(0.5);
        pad([g[0], ends + middle, ends - middle, g[2]])
    }
    #[inline(always)]
    fn output<S: Simd>(p: [S; MOST]) -> [S; 4] {
        pad([p[0] + p[1] + p[2], p[1] - p[2] - p[3]])
    }
    #[inline(always)]
    fn gradient<S: Simd>(y: [S; 4]) -> [S; MOST] {
        pad([y[0], y[0] + y[1], y[0] - y[1], y[1].negate()])
    }
    #[inline(always)]
    fn taps_gradient<S: Simd>(p: [S; MOST]) -> [S; 3] {
        let sum = (p[1] + p[2]).scale(0.5);
        [p[0] + sum, (p[1] - p[2]).scale(0.5), sum + p[3]]
    }
}

impl Algorithm for F43 {
    const OUTPUTS: usize = 4;
    const TAPS: usize = 3;

    #[inline(always)]
    fn input<S: Simd>(d: [S; MOST]) -> [S; MOST] {
        let even = d[2].scale_add(-4.0, d[4]);
        let odd = d[1].scale_add(-4.0, d[3]);
        let far_even = d[4] - d[2];
        let far_odd = d[3] - d[1];
        [
            d[0].scale_add(4.0, d[2].scale_add(-5.0, d[4])),
            even + odd,
            even - odd,
            far_odd.scale_add(2.0, far_even),
            far_odd.scale_add(-2.0, far_even),
            d[1].scale_add(4.0, d[3].scale_add(-5.0, d[5])),
        ]
    }
    #[inline(always)]
    fn taps<S: Simd>(g: [S; 3]) -> [S; MOST] {
        let ends = g[0] + g[2];
        let far = g[2].scale_add(4.0, g[0]);
        [
            g[0].scale(0.25),
            (ends + g[1]).scale(-1.0 / 6.0),
            (ends - g[1]).scale(-1.0 / 6.0),
            g[1].scale_add(2.0, far).scale(1.0 / 24.0),
            g[1].scale_add(-2.0, far).scale(1.0 / 24.0),
            g[2],
        ]
    }
    #[inline(always)]
    fn output<S: Simd>(p: [S; MOST]) -> [S; 4] {
        let sum = p[1] + p[2];
        let difference = p[1] - p[2];
        let far_sum = p[3] + p[4];
        let far_difference = p[3] - p[4];
        [
            p[0] + sum + far_sum,
            far_difference.scale_add(2.0, difference),
            far_sum.scale_add(4.0, sum),
            far_difference.scale_add(8.0, difference) + p[5],
        ]
    }
    #[inline(always)]
    fn gradient<S: Simd>(y: [S; 4]) -> [S; MOST] {
        let even = y[0] + y[2];
        let odd = y[1] + y[3];
        let far_even = y[2].scale_add(4.0, y[0]);
        let far_odd = y[3].scale_add(4.0, y[1]).scale(2.0);
        [
            y[0].scale(0.25),
            (even + odd).scale(-1.0 / 6.0),
            (even - odd).scale(-1.0 / 6.0),
            (far_even + far_odd).scale(1.0 / 24.0),
            (far_even - far_odd).scale(1.0 / 24.0),
            y[3],
        ]
    }
    #[inline(always)]
    fn taps_gradient<S: Simd>(p: [S; MOST]) -> [S; 3] {
        let sum = p[1] + p[2];
        let far_sum = p[3] + p[4];
        [p[0] + sum + far_sum, (p[3] - p[4]).scale_add(2.0, p[1] - p[2]), far_sum.scale_add(4.0, sum) + p[5]]
    }
}

impl Algorithm for F33 {
    const OUTPUTS: usize = 3;
    const TAPS: usize = 3;

    #[inline(always)]
    fn input<S: Simd>(d: [S; MOST]) -> [S; MOST] {
        F42::input(d)
    }
    #[inline(always)]
    fn taps<S: Simd>(g: [S; 3]) -> [S; MOST] {
        let ends = g[0] + g[2];
        let at_two = g[2].scale_add(4.0, g[1].scale_add(2.0, g[0]));
        let near = [(ends + g[1]).scale(-0.5), (ends - g[1]).scale(-1.0 / 6.0)];
        pad([g[0].scale(0.5), near[0], near[1], at_two.scale(1.0 / 6.0), g[2]])
    }
    #[inline(always)]
    fn output<S: Simd>(p: [S; MOST]) -> [S; 4] {
        let [a, b, c] = Self::taps_gradient(p);
        pad([a, b, c])
    }
    #[inline(always)]
    fn gradient<S: Simd>(y: [S; 4]) -> [S; MOST] {
        Self::taps([y[0], y[1], y[2]])
    }
    #[inline(always)]
    fn taps_gradient<S: Simd>(p: [S; MOST]) -> [S; 3] {
        let sum = p[1] + p[2];
        [p[0] + sum + p[3], p[3].scale_add(2.0, p[1] - p[2]), p[3].scale_add(4.0, sum) + p[4]]
    }
}

/// Defines a map in two dimensions: a 1-D map over the rows, then over the columns, of the upper left `FROM` down × `FROM` across of a
/// square.
macro_rules! square {
    ($name:ident, $map:ident, $from:expr => $to:expr, $FROM:ident, $TO:ident) => {
        #[inline(always)]
        pub(crate) fn $name<S: Simd, W: Tile>(d: &[[S; $from]; $from]) -> [[S; $to]; $to] {
            let mut across = [[d[0][0]; $to]; $from];
            for (row, across) in d.iter().zip(&mut across).take(W::Down::$FROM) {
                *across = W::Across::$map(*row);
            }
            let mut out = [[d[0][0]; $to]; $to];
            for j in 0..W::Across::$TO {
                let mut column = [d[0][0]; $from];
                for i in 0..W::Down::$FROM {
                    column[i] = across[i][j];
                }
                let column = W::Down::$map(column);
                for i in 0..W::Down::$TO {
                    out[i][j] = column[i];
                }
            }
            out
        }
    };
}
square!(input2, input, MOST => MOST, POINTS, POINTS);
square!(taps2, taps, 3 => MOST, TAPS, POINTS);
square!(output2, output, MOST => 4, POINTS, OUTPUTS);
square!(gradient2, gradient, 4 => MOST, OUTPUTS, POINTS);
square!(taps_gradient2, taps_gradient, MOST => 3, POINTS, TAPS);

/// Loads the vectors of a tile's points, which are `step` numbers apart.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(crate) unsafe fn load_points<S: Simd, W: Tile>(from: *const f32, step: usize) -> [[S; MOST]; MOST] {
    // SAFETY: the caller vouches for a vector at every point.
    unsafe {
        let mut d = [[S::zero(); MOST]; MOST];
        for i in 0..W::POINTS[0] {
            for j in 0..W::POINTS[1] {
                d[i][j] = S::load(from.add((i * W::POINTS[1] + j) * step));
            }
        }
        d
    }
}

/// Stores one word per lane, of `a` or of `a` and `b`, for each of a tile's points, which are `step` words apart.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(crate) unsafe fn store_words<S: Simd, P: Format, W: Tile>(
    a: &[[S; MOST]; MOST],
    b: &[[S; MOST]; MOST],
    to: *mut f32,
    step: usize,
) {
    for i in 0..W::POINTS[0] {
        for j in 0..W::POINTS[1] {
            // SAFETY: the caller vouches for room at every point.
            unsafe { P::word(a[i][j], b[i][j]).store(to.add((i * W::POINTS[1] + j) * step)) };
        }
    }
}
