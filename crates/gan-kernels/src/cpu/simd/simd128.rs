//! The 128-bit vectors of WebAssembly: a vector is four registers of four.
#![allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, which stands below")]
// SAFETY of every block: the caller vouches for the pointers. The instructions are there wherever this module is compiled.

use super::{Job, LANES, Simd, operator};
use std::arch::wasm32::*;

#[derive(Clone, Copy)]
pub(crate) struct Simd128([v128; 4]);

#[inline(always)]
fn zip(a: [v128; 4], b: [v128; 4], f: impl Fn(v128, v128) -> v128) -> [v128; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

operator!(Simd128, Add, add, |a, b| zip(a, b, |a, b| f32x4_add(a, b)));
operator!(Simd128, Sub, sub, |a, b| zip(a, b, |a, b| f32x4_sub(a, b)));
operator!(Simd128, Mul, mul, |a, b| zip(a, b, |a, b| f32x4_mul(a, b)));
operator!(Simd128, Div, div, |a, b| zip(a, b, |a, b| f32x4_div(a, b)));

/// Rounds to the nearest bf16, ties to even.
#[inline(always)]
fn rounded(v: v128) -> v128 {
    let odd = v128_and(u32x4_shr(v, 16), u32x4_splat(1));
    let near = i32x4_add(v, i32x4_add(odd, u32x4_splat(0x7fff)));
    let quiet = v128_or(v, u32x4_splat(0x0040_0000));
    v128_and(v128_bitselect(quiet, near, f32x4_ne(v, v)), u32x4_splat(0xffff_0000))
}

impl Simd for Simd128 {
    // A block of three rows, a vector wide, leaves room for its operands in sixteen registers.
    const ROWS: usize = 3;
    const IS_NARROW: bool = true;
    const PREFETCHES: bool = false;

    #[inline(never)]
    unsafe fn call<J: Job>(job: J) {
        unsafe { job.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([f32x4_splat(x); 4])
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        let at = |i: usize| unsafe { v128_load(p.add(4 * i).cast()) };
        Self([at(0), at(1), at(2), at(3)])
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        for (i, v) in self.0.into_iter().enumerate() {
            unsafe { v128_store(p.add(4 * i).cast(), v) }
        }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Self {
        let mut all = [0f32; LANES];
        unsafe {
            std::ptr::copy_nonoverlapping(p, all.as_mut_ptr(), n);
            Self::load(all.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, n: usize) {
        let mut all = [0f32; LANES];
        unsafe {
            self.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), p, n);
        }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(|v| f32x4_sqrt(v)))
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        // Rounded twice: the fused instruction of relaxed vectors is not in every browser.
        self * b + c
    }
    #[inline(always)]
    fn where_positive(self, yes: Self, no: Self) -> Self {
        let pick = |i: usize| v128_bitselect(yes.0[i], no.0[i], f32x4_gt(self.0[i], f32x4_splat(0.0)));
        Self([pick(0), pick(1), pick(2), pick(3)])
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        // The exponent of an f32 is stored with 127 added, above 23 bits of fraction.
        Self(self.0.map(|n| i32x4_shl(i32x4_add(i32x4_trunc_sat_f32x4(n), i32x4_splat(127)), 23)))
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        let low = |i: usize| i32x4_shuffle::<0, 4, 1, 5>(self.0[i], other.0[i]);
        let high = |i: usize| i32x4_shuffle::<2, 6, 3, 7>(self.0[i], other.0[i]);
        [Self([low(0), high(0), low(1), high(1)]), Self([low(2), high(2), low(3), high(3)])]
    }
    #[inline(always)]
    fn round_bf16(self) -> Self {
        Self(self.0.map(rounded))
    }
}
