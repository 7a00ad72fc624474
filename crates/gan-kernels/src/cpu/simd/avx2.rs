//! AVX2 and FMA: a vector is two registers of eight.
#![allow(clippy::undocumented_unsafe_blocks, reason = "one reason for all, which stands below")]
// SAFETY of every block: each instruction is one of AVX2 or FMA. The processor has them where a vector exists, and elsewhere the caller
// vouches for them, as it does for the pointers.

use super::{Job, LANES, Simd, operator};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx2([__m256; 2]);

operator!(Avx2, Add, add, |a, b| unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] });
operator!(Avx2, Sub, sub, |a, b| unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] });
operator!(Avx2, Mul, mul, |a, b| unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] });
operator!(Avx2, Div, div, |a, b| unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] });

#[inline(always)]
fn rounded(v: __m256) -> __m256 {
    unsafe {
        let bits = _mm256_castps_si256(v);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let near = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
        let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(v, v));
        let all = _mm256_blendv_epi8(near, quiet, nan);
        _mm256_castsi256_ps(_mm256_and_si256(all, _mm256_set1_epi32(0xffff_0000u32 as i32)))
    }
}

impl Simd for Avx2 {
    const ROWS: usize = 3;

    #[inline(always)]
    unsafe fn call<J: Job>(job: J) {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn compiled<J: Job>(job: J) {
            // The caller vouches for the job.
            unsafe { job.run::<Avx2>() }
        }
        unsafe { compiled(job) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self(unsafe { [_mm256_set1_ps(x); 2] })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        Self(unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        unsafe {
            _mm256_storeu_ps(p, self.0[0]);
            _mm256_storeu_ps(p.add(8), self.0[1]);
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
        Self(unsafe { [_mm256_sqrt_ps(self.0[0]), _mm256_sqrt_ps(self.0[1])] })
    }
    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        let Self(a) = self;
        Self(unsafe { [_mm256_fmadd_ps(a[0], b.0[0], c.0[0]), _mm256_fmadd_ps(a[1], b.0[1], c.0[1])] })
    }
    #[inline(always)]
    fn where_positive(self, yes: Self, no: Self) -> Self {
        unsafe {
            let pick = |x, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()));
            Self([pick(self.0[0], yes.0[0], no.0[0]), pick(self.0[1], yes.0[1], no.0[1])])
        }
    }
    #[inline(always)]
    fn pow2(self) -> Self {
        unsafe {
            let pow2 = |n| {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent))
            };
            Self([pow2(self.0[0]), pow2(self.0[1])])
        }
    }
    #[inline(always)]
    fn interleave(self, other: Self) -> [Self; 2] {
        unsafe {
            let half = |a, b| {
                let low = _mm256_unpacklo_ps(a, b);
                let high = _mm256_unpackhi_ps(a, b);
                Self([_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)])
            };
            [half(self.0[0], other.0[0]), half(self.0[1], other.0[1])]
        }
    }
    #[inline(always)]
    fn round_bf16(self) -> Self {
        Self([rounded(self.0[0]), rounded(self.0[1])])
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn prefetch_far(p: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}
