//! Vectors of sixteen f32 for the processor's instruction set, selected once at run time.
//!
//! A kernel is written once, as a [`Job`] over a [`Simd`] type. [`Level::run`] compiles it for each instruction set and runs the best one
//! that the processor supports; no compiler flags are needed. Inside a job everything is `#[inline(always)]` and nothing is a closure,
//! because a function that is not inlined would be compiled without the instructions. The environment variable `GAN_CPU` selects
//! another level: `portable`, `avx2`, `avx512` or `avx512-bf16`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use portable::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use simd128::Simd128 as Portable;
use std::ops::{Add, Div, Mul, Sub};
use std::sync::OnceLock;

/// Numbers in a vector.
pub(crate) const LANES: usize = 16;

/// Sixteen f32 in the registers of one instruction set.
///
/// A vector exists only where the processor has the instructions, because the functions that make one are unsafe. Arithmetic on vectors is
/// therefore safe.
///
/// # Safety
/// Of every unsafe function: the processor has the instructions of the implementing type, which holds inside [`Simd::call`]; pointers
/// are valid for the sixteen (or `n`) numbers from them on.
pub(crate) trait Simd:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    /// Number of rows of the matrix kernel's block that fit into the registers.
    const ROWS: usize;
    /// Whether the matrix kernel's block is one vector wide instead of two, because there are few registers.
    const IS_NARROW: bool = false;
    /// Whether prefetching does anything.
    const PREFETCHES: bool = true;

    /// Runs `job` compiled for this instruction set, as a function of its own.
    unsafe fn call<J: Job>(job: J);

    /// Returns x in every lane.
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn store(self, p: *mut f32);
    /// Loads the first `n` ≤ 16 numbers at `p`, followed by zeros.
    unsafe fn load_n(p: *const f32, n: usize) -> Self;
    /// Stores the first `n` ≤ 16 numbers.
    unsafe fn store_n(self, p: *mut f32, n: usize);
    fn sqrt(self) -> Self;
    /// Returns self·b + c.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Returns, for each lane, `yes` where self > 0, else `no`.
    fn where_positive(self, yes: Self, no: Self) -> Self;
    /// Returns 2ⁿ for whole numbers n from −126 to 127; any number for others.
    fn pow2(self) -> Self;
    /// Rounds each number to the nearest bf16, ties to even; NaN stays NaN.
    fn round_bf16(self) -> Self;
    /// Returns the lanes of both vectors in turn: self's first, the other's first, self's second, and so on.
    fn interleave(self, other: Self) -> [Self; 2];

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller vouches for the processor.
        unsafe { Self::splat(0.0) }
    }

    /// Returns x in every lane, on the processor that has self.
    #[inline(always)]
    fn fill(self, x: f32) -> Self {
        // SAFETY: self exists, so the processor has the instructions.
        unsafe { Self::splat(x) }
    }

    /// Returns self·x.
    #[inline(always)]
    fn scale(self, x: f32) -> Self {
        self * self.fill(x)
    }

    /// Returns self·x + c.
    #[inline(always)]
    fn scale_add(self, x: f32, c: Self) -> Self {
        self.mul_add(self.fill(x), c)
    }

    /// Returns 0 − self.
    #[inline(always)]
    fn negate(self) -> Self {
        self.fill(0.0) - self
    }

    /// Loads the first `n` ≤ 16 numbers at `p`, in the faster way if that is all.
    #[inline(always)]
    unsafe fn load_upto(p: *const f32, n: usize) -> Self {
        // SAFETY: the caller vouches for `n` numbers.
        unsafe { if n == LANES { Self::load(p) } else { Self::load_n(p, n) } }
    }

    /// Stores the first `n` ≤ 16 numbers, in the faster way if that is all.
    #[inline(always)]
    unsafe fn store_upto(self, p: *mut f32, n: usize) {
        // SAFETY: the caller vouches for room for `n` numbers.
        unsafe { if n == LANES { self.store(p) } else { self.store_n(p, n) } }
    }

    /// Prefetches the cache line at `p`, which may be any address.
    #[inline(always)]
    unsafe fn prefetch(_p: *const f32) {}

    /// Prefetches the cache line at `p`, which may be any address, into the L2 cache only.
    #[inline(always)]
    unsafe fn prefetch_far(_p: *const f32) {}

    /// Returns self + lo(a)·lo(b) + hi(a)·hi(b) over pairs of bf16 in 32-bit words; `a` is one word for all lanes.
    #[inline(always)]
    unsafe fn dot2(self, _a: *const f32, _b: Self) -> Self {
        unreachable!("only run where the processor multiplies bf16")
    }

    /// Stores sixteen bf16, packed, at `p`.
    #[inline(always)]
    unsafe fn store_bf16(self, _p: *mut u16) {
        unreachable!("only run where the processor multiplies bf16")
    }

    /// Returns pairs of bf16 in 32-bit words, self in the lower half.
    #[inline(always)]
    fn pair_bf16(self, _high: Self) -> Self {
        unreachable!("only run where the processor multiplies bf16")
    }
}

/// Implements an operator of a vector type.
macro_rules! operator {
    ($V:ident, $Op:ident, $op:ident, |$a:ident, $b:ident| $value:expr) => {
        impl std::ops::$Op for $V {
            type Output = Self;
            #[inline(always)]
            fn $op(self, other: Self) -> Self {
                let Self($a) = self;
                let Self($b) = other;
                Self($value)
            }
        }
    };
}
use operator;

/// A kernel.
pub(crate) trait Job {
    /// Whether it multiplies pairs of bf16, and runs only on the level that does. Other jobs are not compiled for that level: they are the same
    /// on the one before it.
    const PAIRED: bool = false;

    /// # Safety
    /// Only [`Simd::call`] may call it, and what the job's fields require must hold.
    unsafe fn run<S: Simd>(self);
}

/// An instruction set that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust, on every processor; in WebAssembly its 128-bit vectors, if the program is compiled for them.
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

    /// Returns the value of `GAN_CPU` if it names no level of [`Level::available`] and is therefore ignored.
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
    /// What the job's fields require must hold.
    #[inline]
    pub(crate) unsafe fn run<J: Job>(self, job: J) {
        // Each level has all instructions of those before it.
        static BEST: OnceLock<Level> = OnceLock::new();
        let best = *BEST.get_or_init(|| Self::available().last().copied().unwrap_or(Self::Portable));
        assert!(self <= best, "this processor has no {} kernels", self.name());
        if const { J::PAIRED } {
            assert_eq!(self, Self::Avx512Bf16, "only that level multiplies pairs of bf16");
            // SAFETY: the processor has this level, and the caller vouches for the job.
            #[cfg(target_arch = "x86_64")]
            return unsafe { avx512::Avx512Bf16::call(job) };
        }
        // SAFETY: the processor has this level, and the caller vouches for the job.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512Bf16 | Self::Avx512 => avx512::Avx512::call(job),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2::Avx2::call(job),
                _ => Portable::call(job),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares every operation on synthetic numbers with the same in scalars.
    struct Check<const PAIRED: bool>;

    impl<const PAIRED: bool> Job for Check<PAIRED> {
        const PAIRED: bool = PAIRED;

        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let a: [f32; 16] = std::array::from_fn(|i| i as f32 * 0.37 - 2.0);
            let b: [f32; 16] = std::array::from_fn(|i| 1.5 - i as f32 * 0.21);
            let is = |v: S, f: &dyn Fn(usize) -> f32| {
                let mut out = [0f32; 16];
                // SAFETY: `out` holds sixteen numbers.
                unsafe { v.store(out.as_mut_ptr()) };
                assert_eq!(out, std::array::from_fn(f));
            };
            // SAFETY: the arrays hold sixteen numbers, and `call` vouches for the processor.
            unsafe {
                let x = S::load(a.as_ptr());
                let y = S::load(b.as_ptr());
                is(S::splat(3.5), &|_| 3.5);
                is(x + y, &|i| a[i] + b[i]);
                is(x - y, &|i| a[i] - b[i]);
                is(x * y, &|i| a[i] * b[i]);
                is(x / y, &|i| a[i] / b[i]);
                is((x * x).sqrt(), &|i| (a[i] * a[i]).sqrt());
                is(x.where_positive(y, S::zero()), &|i| if a[i] > 0.0 { b[i] } else { 0.0 });
                let whole: [f32; 16] = std::array::from_fn(|i| i as f32 * 16.0 - 126.0);
                is(S::load(whole.as_ptr()).pow2(), &|i| whole[i].exp2());
                let [first, second] = x.interleave(y);
                let both = |i: usize| if i.is_multiple_of(2) { a[i / 2] } else { b[i / 2] };
                is(first, &both);
                is(second, &|i| both(i + 16));
                is(x.round_bf16(), &|i| half::bf16::from_f32(a[i]).to_f32());
                for n in 0..=16 {
                    is(S::load_n(a.as_ptr(), n), &|i| if i < n { a[i] } else { 0.0 });
                    let mut out = [7f32; 16];
                    x.store_n(out.as_mut_ptr(), n);
                    assert_eq!(out, std::array::from_fn(|i| if i < n { a[i] } else { 7.0 }));
                }
                let exact = |i: usize| f64::from(a[i]) * f64::from(b[i]) + f64::from(a[i]);
                let mut out = [0f32; 16];
                x.mul_add(y, x).store(out.as_mut_ptr());
                assert!(out.iter().enumerate().all(|(i, v)| (f64::from(*v) - exact(i)).abs() < 1e-6));
                let nan = S::splat(f32::from_bits(0x7fff_ffff)).round_bf16();
                nan.store(out.as_mut_ptr());
                assert!(out[0].is_nan());
            }
        }
    }

    #[test]
    fn every_level_computes_the_same() {
        for level in Level::available() {
            // SAFETY: the level is available.
            unsafe {
                level.run(Check::<false>);
                if level == Level::Avx512Bf16 {
                    level.run(Check::<true>);
                }
            }
        }
    }
}
