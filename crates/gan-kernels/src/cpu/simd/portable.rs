//! Vectors as arrays: plain Rust, which the compiler turns into what the target always has (SSE2, NEON).

use super::{Job, LANES, Simd, operator};

#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

operator!(Portable, Add, add, |a, b| zip(a, b, |a, b| a + b));
operator!(Portable, Sub, sub, |a, b| zip(a, b, |a, b| a - b));
operator!(Portable, Mul, mul, |a, b| zip(a, b, |a, b| a * b));
operator!(Portable, Div, div, |a, b| zip(a, b, |a, b| a / b));

/// Rounds to the nearest bf16, ties to even.
#[inline(always)]
fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
    if x.is_nan() { f32::from_bits((bits | 0x0040_0000) & 0xffff_0000) } else { f32::from_bits(rounded) }
}

impl Simd for Portable {
    const ROWS: usize = 2;
    const PREFETCHES: bool = false;

    #[inline(never)]
    unsafe fn call<J: Job>(job: J) {
        // SAFETY: plain Rust runs everywhere; the caller vouches for the job.
        unsafe { job.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; LANES])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen numbers at `p`.
        Self(unsafe { p.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller vouches for room for sixteen numbers at `p`.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Self {
        // SAFETY: the caller vouches for `n` numbers at `p`.
        Self(std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, n: usize) {
        for (i, x) in self.0.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for room for `n` numbers at `p`.
            unsafe { *p.add(i) = x }
        }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // Rounded twice: where there is no instruction for it, a fused product is a slow function call.
        Self(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }
    #[inline(always)]
    fn where_positive(self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] > 0.0 { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        // The exponent of an f32 is stored with 127 added, above 23 bits of fraction.
        Self(self.0.map(|n| f32::from_bits(((n as i32).wrapping_add(127) << 23) as u32)))
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        let half = |first: usize| {
            Self(std::array::from_fn(|i| if i % 2 == 0 { self.0[first + i / 2] } else { other.0[first + i / 2] }))
        };
        [half(0), half(LANES / 2)]
    }
    #[inline(always)]
    fn round_bf16(self) -> Self {
        Self(std::array::from_fn(|i| round(self.0[i])))
    }
}
