//! Vectors of sixteen f32 for the processor's instruction set, selected once at run time.
//!
//! A kernel is written once, as a [`Job`] over the operations of [`Simd`]. [`Level::run`] compiles it for each instruction set and runs the
//! best one that the processor supports; no compiler flags are needed. Inside a job everything is `#[inline(always)]` and nothing is a
//! closure, because a function that is not inlined would be compiled without the instructions. The environment variable `GAN_CPU` selects
//! another level: `portable`, `avx2`, `avx512` or `avx512-bf16`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::sync::OnceLock;

/// Numbers in a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen f32 and what can be done with them.
///
/// # Safety
/// Of every function: the processor has the instructions of the implementing type, which holds inside [`Simd::call`]; pointers
/// are valid for the sixteen (or `n`) numbers from them on.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    type V: Copy;
    /// Rows of the matrix kernel's block: as many as the registers hold.
    const ROWS: usize;

    /// Runs `job` compiled for this instruction set, as a function of its own.
    unsafe fn call<J: Job>(job: J) -> J::Output;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The first `n` ≤ 16 numbers at `p`, zeros behind them.
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V;
    unsafe fn store_n(p: *mut f32, n: usize, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// a·b + c
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Lane by lane: `yes` where x > 0, else `no`.
    unsafe fn where_positive(x: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// Each number rounded to the nearest bf16, ties to even; NaN stays NaN.
    unsafe fn round_bf16(v: Self::V) -> Self::V;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        // SAFETY: the caller vouches for the processor.
        unsafe { Self::splat(0.0) }
    }

    /// The first `n` ≤ 16 numbers at `p`, by the faster way if that is all.
    #[inline(always)]
    unsafe fn load_upto(p: *const f32, n: usize) -> Self::V {
        // SAFETY: the caller vouches for `n` numbers.
        unsafe { if n == LANES { Self::load(p) } else { Self::load_n(p, n) } }
    }
    /// The first `n` ≤ 16 numbers to `p`, by the faster way if that is all.
    #[inline(always)]
    unsafe fn store_upto(p: *mut f32, n: usize, v: Self::V) {
        // SAFETY: the caller vouches for room for `n` numbers.
        unsafe { if n == LANES { Self::store(p, v) } else { Self::store_n(p, n, v) } }
    }

    /// Asks for the cache line at `p`, which may be any address.
    #[inline(always)]
    unsafe fn prefetch(_p: *const f32) {}

    /// acc + lo(a)·lo(b) + hi(a)·hi(b) over pairs of bf16 in 32-bit words; `a` is one word for all lanes.
    #[inline(always)]
    unsafe fn dot2(_acc: Self::V, _a: *const f32, _b: Self::V) -> Self::V {
        unreachable!("only run where the processor multiplies bf16")
    }
    /// Sixteen bf16, packed, at `p`.
    #[inline(always)]
    unsafe fn store_bf16(_p: *mut u16, _v: Self::V) {
        unreachable!("only run where the processor multiplies bf16")
    }
    /// Pairs (a, b) as bf16 in 32-bit words, a in the lower half.
    #[inline(always)]
    unsafe fn pair_bf16(_a: Self::V, _b: Self::V) -> Self::V {
        unreachable!("only run where the processor multiplies bf16")
    }
}

/// A kernel.
pub(crate) trait Job {
    type Output;
    /// # Safety
    /// Called by [`Simd::call`] alone; beyond that, what the job's fields ask for.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust, on every processor.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512.
    Avx512,
    /// AVX-512 with products of bf16.
    Avx512Bf16,
}

impl Level {
    const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// Returns the name in the environment variable `GAN_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// Returns all levels that this processor supports, the best last.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|level| level.is_available()).collect()
    }

    #[cfg(target_arch = "x86_64")]
    fn is_available(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match self {
            Self::Portable => true,
            Self::Avx2 => avx2,
            Self::Avx512 => avx512,
            Self::Avx512Bf16 => avx512 && is_x86_feature_detected!("avx512bf16"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// Returns the value of `GAN_CPU` if it is none of [`Level::available`] and therefore ignored.
    pub fn passed_over() -> Option<String> {
        let asked = std::env::var("GAN_CPU").ok()?;
        (!Self::available().iter().any(|level| level.name() == asked)).then_some(asked)
    }

    /// Returns the level in use: the best one, or the value of `GAN_CPU` if the processor supports it.
    pub fn current() -> Self {
        static CHOSEN: OnceLock<Level> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let all = Self::available();
            let best = all.last().copied().unwrap_or(Self::Portable);
            let Ok(asked) = std::env::var("GAN_CPU") else { return best };
            all.into_iter().find(|level| level.name() == asked).unwrap_or(best)
        })
    }

    /// Runs `job` on this level, which the processor must have.
    ///
    /// # Safety
    /// What the job's fields ask for.
    #[inline]
    pub(crate) unsafe fn run<J: Job>(self, job: J) -> J::Output {
        // Each level has all instructions of those before it.
        static BEST: OnceLock<Level> = OnceLock::new();
        let best = *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Portable));
        assert!(self <= best, "this processor has no {} kernels", self.name());
        // SAFETY: the processor has this level, and the caller vouches for the job.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Bf16 => avx512::Avx512Bf16::call(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => avx512::Avx512::call(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2::Avx2::call(job),
                _ => portable::Portable::call(job),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every operation on made numbers, against the same in scalars.
    struct Check;

    impl Job for Check {
        type Output = ();
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let a: [f32; 16] = std::array::from_fn(|i| i as f32 * 0.37 - 2.0);
            let b: [f32; 16] = std::array::from_fn(|i| 1.5 - i as f32 * 0.21);
            let is = |v: S::V, f: &dyn Fn(usize) -> f32| {
                let mut out = [0f32; 16];
                // SAFETY: `out` holds sixteen numbers.
                unsafe { S::store(out.as_mut_ptr(), v) };
                assert_eq!(out, std::array::from_fn(f));
            };
            // SAFETY: the arrays hold sixteen numbers, and `call` vouches for the processor.
            unsafe {
                let (x, y) = (S::load(a.as_ptr()), S::load(b.as_ptr()));
                is(S::splat(3.5), &|_| 3.5);
                is(S::add(x, y), &|i| a[i] + b[i]);
                is(S::sub(x, y), &|i| a[i] - b[i]);
                is(S::mul(x, y), &|i| a[i] * b[i]);
                is(S::div(x, y), &|i| a[i] / b[i]);
                is(S::sqrt(S::mul(x, x)), &|i| (a[i] * a[i]).sqrt());
                is(S::where_positive(x, y, S::zero()), &|i| if a[i] > 0.0 { b[i] } else { 0.0 });
                is(S::round_bf16(x), &|i| half::bf16::from_f32(a[i]).to_f32());
                for n in 0..=16 {
                    is(S::load_n(a.as_ptr(), n), &|i| if i < n { a[i] } else { 0.0 });
                    let mut out = [7f32; 16];
                    S::store_n(out.as_mut_ptr(), n, x);
                    assert_eq!(out, std::array::from_fn(|i| if i < n { a[i] } else { 7.0 }));
                }
                let exact = |i: usize| f64::from(a[i]) * f64::from(b[i]) + f64::from(a[i]);
                let mut out = [0f32; 16];
                S::store(out.as_mut_ptr(), S::fma(x, y, x));
                assert!(out.iter().enumerate().all(|(i, v)| (f64::from(*v) - exact(i)).abs() < 1e-6));
                let nan = S::round_bf16(S::splat(f32::from_bits(0x7fff_ffff)));
                S::store(out.as_mut_ptr(), nan);
                assert!(out[0].is_nan());
            }
        }
    }

    #[test]
    fn every_level_computes_the_same() {
        for level in Level::available() {
            // SAFETY: the level is available.
            unsafe { level.run(Check) };
        }
    }
}
