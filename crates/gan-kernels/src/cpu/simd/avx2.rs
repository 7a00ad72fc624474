//! AVX2 and FMA: a vector is two registers of eight.

use super::{Job, LANES, Simd};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx2;

type V = [__m256; 2];

// SAFETY of every block below: each instruction is one of AVX2 or FMA, which the caller of a `Simd` function vouches for, as
// it does for the pointers.

#[inline(always)]
unsafe fn both(a: V, b: V, f: impl Fn(__m256, __m256) -> __m256) -> V {
    [f(a[0], b[0]), f(a[1], b[1])]
}

#[inline(always)]
unsafe fn rounded(v: __m256) -> __m256 {
    // SAFETY: see above.
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
    type V = V;
    const ROWS: usize = 3;

    #[inline(always)]
    unsafe fn call<J: Job>(job: J) -> J::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn compiled<J: Job>(job: J) -> J::Output {
            // SAFETY: the features are on here; the caller vouches for the job.
            unsafe { job.run::<Avx2>() }
        }
        // SAFETY: the caller vouches for the processor.
        unsafe { compiled(job) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> V {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> V {
        let mut all = [0f32; LANES];
        // SAFETY: the caller vouches for `n` ≤ 16 numbers at `p`.
        unsafe {
            std::ptr::copy_nonoverlapping(p, all.as_mut_ptr(), n);
            Self::load(all.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: V) {
        let mut all = [0f32; LANES];
        // SAFETY: the caller vouches for room for `n` ≤ 16 numbers at `p`.
        unsafe {
            Self::store(all.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(all.as_ptr(), p, n);
        }
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        // SAFETY: see above.
        unsafe { both(a, b, |a, b| _mm256_add_ps(a, b)) }
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        // SAFETY: see above.
        unsafe { both(a, b, |a, b| _mm256_sub_ps(a, b)) }
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        // SAFETY: see above.
        unsafe { both(a, b, |a, b| _mm256_mul_ps(a, b)) }
    }
    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        // SAFETY: see above.
        unsafe { both(a, b, |a, b| _mm256_div_ps(a, b)) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: V) -> V {
        // SAFETY: see above.
        unsafe { [_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        // SAFETY: see above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn where_positive(x: V, yes: V, no: V) -> V {
        // SAFETY: see above.
        unsafe {
            let pick = |x, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()));
            [pick(x[0], yes[0], no[0]), pick(x[1], yes[1], no[1])]
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        // SAFETY: a hint; it never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn round_bf16(v: V) -> V {
        // SAFETY: see above.
        unsafe { [rounded(v[0]), rounded(v[1])] }
    }
}
