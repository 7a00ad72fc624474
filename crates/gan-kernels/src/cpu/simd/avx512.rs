//! AVX-512, with and without products of bf16.
#![allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, which stands below")]
// SAFETY of every block: each instruction is one of AVX-512 F, BW, DQ or VL (or BF16). The processor has them where a vector exists, and
// elsewhere the caller vouches for them, as it does for the pointers.

use super::{Job, Simd, operator};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16(__m512);

/// The lanes below `n`.
#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

/// Implements the vector of both types, and those functions of [`Simd`] that are the same.
macro_rules! avx512 {
    ($V:ident, $features:literal, { $($bf16:tt)* }) => {
        operator!($V, Add, add, |a, b| unsafe { _mm512_add_ps(a, b) });
        operator!($V, Sub, sub, |a, b| unsafe { _mm512_sub_ps(a, b) });
        operator!($V, Mul, mul, |a, b| unsafe { _mm512_mul_ps(a, b) });
        operator!($V, Div, div, |a, b| unsafe { _mm512_div_ps(a, b) });

        impl Simd for $V {
            const ROWS: usize = 12;

            #[inline(always)]
            unsafe fn call<J: Job>(job: J) {
                #[inline(never)]
                #[target_feature(enable = $features)]
                unsafe fn compiled<J: Job>(job: J) {
                    // The caller vouches for the job.
                    unsafe { job.run::<$V>() }
                }
                unsafe { compiled(job) }
            }
            #[inline(always)]
            unsafe fn splat(x: f32) -> Self {
                Self(unsafe { _mm512_set1_ps(x) })
            }
            #[inline(always)]
            unsafe fn load(p: *const f32) -> Self {
                Self(unsafe { _mm512_loadu_ps(p) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut f32) {
                unsafe { _mm512_storeu_ps(p, self.0) }
            }
            #[inline(always)]
            unsafe fn load_n(p: *const f32, n: usize) -> Self {
                Self(unsafe { _mm512_maskz_loadu_ps(mask(n), p) })
            }
            #[inline(always)]
            unsafe fn store_n(self, p: *mut f32, n: usize) {
                unsafe { _mm512_mask_storeu_ps(p, mask(n), self.0) }
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(unsafe { _mm512_sqrt_ps(self.0) })
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                Self(unsafe { _mm512_fmadd_ps(self.0, b.0, c.0) })
            }
            #[inline(always)]
            fn where_positive(self, yes: Self, no: Self) -> Self {
                unsafe {
                    let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, _mm512_setzero_ps());
                    Self(_mm512_mask_blend_ps(positive, no.0, yes.0))
                }
            }
            #[inline(always)]
            fn interleave(self, other: Self) -> [Self; 2] {
                unsafe {
                    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                    let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
                    [
                        Self(_mm512_permutex2var_ps(self.0, low, other.0)),
                        Self(_mm512_permutex2var_ps(self.0, high, other.0)),
                    ]
                }
            }
            #[inline(always)]
            fn round_bf16(self) -> Self {
                unsafe {
                    let bits = _mm512_castps_si512(self.0);
                    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                    let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
                    let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
                    let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
                    let all = _mm512_mask_blend_epi32(nan, rounded, quiet);
                    Self(_mm512_castsi512_ps(_mm512_and_si512(all, _mm512_set1_epi32(0xffff_0000u32 as i32))))
                }
            }
            #[inline(always)]
            unsafe fn prefetch(p: *const f32) {
                unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
            }
            #[inline(always)]
            unsafe fn prefetch_far(p: *const f32) {
                unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
            }
            $($bf16)*
        }
    };
}

avx512!(Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma", {});
avx512!(Avx512Bf16, "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma", {
    #[inline(always)]
    unsafe fn dot2(self, a: *const f32, b: Self) -> Self {
        // A vector of words and one of pairs of bf16 are the same bits.
        unsafe {
            let a = std::mem::transmute::<__m512, __m512bh>(_mm512_set1_ps(*a));
            Self(_mm512_dpbf16_ps(self.0, a, std::mem::transmute::<__m512, __m512bh>(b.0)))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut u16) {
        unsafe {
            let half = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(self.0));
            _mm256_storeu_si256(p.cast(), half);
        }
    }
    #[inline(always)]
    fn pair_bf16(self, high: Self) -> Self {
        unsafe {
            let wide = |v| _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v)));
            Self(_mm512_castsi512_ps(_mm512_or_si512(wide(self.0), _mm512_slli_epi32::<16>(wide(high.0)))))
        }
    }
});
