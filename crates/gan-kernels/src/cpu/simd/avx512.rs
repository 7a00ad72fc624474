//! AVX-512, with and without products of bf16.

use super::{Job, Simd};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16;

/// The lanes below `n`.
#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

// SAFETY of every block below: each instruction is one of AVX-512 F, BW, DQ or VL (or BF16), which the caller of a `Simd`
// function vouches for, as it does for the pointers.
macro_rules! shared {
    ($features:literal) => {
        type V = __m512;
        const ROWS: usize = 12;

        #[inline(always)]
        unsafe fn call<J: Job>(job: J) -> J::Output {
            #[inline(never)]
            #[target_feature(enable = $features)]
            unsafe fn compiled<J: Job, S: Simd>(job: J) -> J::Output {
                // SAFETY: the features are on here; the caller vouches for the job.
                unsafe { job.run::<S>() }
            }
            // SAFETY: the caller vouches for the processor.
            unsafe { compiled::<J, Self>(job) }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn load_n(p: *const f32, n: usize) -> __m512 {
            // SAFETY: see above; masked lanes are not read.
            unsafe { _mm512_maskz_loadu_ps(mask(n), p) }
        }
        #[inline(always)]
        unsafe fn store_n(p: *mut f32, n: usize, v: __m512) {
            // SAFETY: see above; masked lanes are not written.
            unsafe { _mm512_mask_storeu_ps(p, mask(n), v) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sqrt(a: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_sqrt_ps(a) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn where_positive(x: __m512, yes: __m512, no: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, _mm512_setzero_ps()), no, yes) }
        }
        #[inline(always)]
        unsafe fn prefetch(p: *const f32) {
            // SAFETY: a hint; it never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn round_bf16(v: __m512) -> __m512 {
            // SAFETY: see above.
            unsafe {
                let bits = _mm512_castps_si512(v);
                let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
                let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
                let all = _mm512_mask_blend_epi32(nan, rounded, quiet);
                _mm512_castsi512_ps(_mm512_and_si512(all, _mm512_set1_epi32(0xffff_0000u32 as i32)))
            }
        }
    };
}

impl Simd for Avx512 {
    shared!("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma");
}

impl Simd for Avx512Bf16 {
    shared!("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma");

    #[inline(always)]
    unsafe fn dot2(acc: __m512, a: *const f32, b: __m512) -> __m512 {
        // SAFETY: the caller vouches for one word at `a`; a vector of words and one of pairs of bf16 are the same bits.
        unsafe {
            let a = _mm512_set1_ps(*a);
            _mm512_dpbf16_ps(
                acc,
                std::mem::transmute::<__m512, __m512bh>(a),
                std::mem::transmute::<__m512, __m512bh>(b),
            )
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(p: *mut u16, v: __m512) {
        // SAFETY: the caller vouches for room for sixteen bf16, 32 bytes, at `p`.
        unsafe {
            let half = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
            _mm256_storeu_si256(p.cast(), half);
        }
    }
    #[inline(always)]
    unsafe fn pair_bf16(a: __m512, b: __m512) -> __m512 {
        // SAFETY: conversions between vectors of the same bits.
        unsafe {
            let wide = |v| _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v)));
            _mm512_castsi512_ps(_mm512_or_si512(wide(a), _mm512_slli_epi32::<16>(wide(b))))
        }
    }
}
