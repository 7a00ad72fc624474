//! The CPU's kernels over slices, compiled for AVX-512, AVX2 and plain Rust, with the best chosen at run time. Images are channels-last,
//! `[N, H, W, C]`. Kernels panic if lengths do not fit each other; callers check shapes before.
//!
//! In reading order: `simd` (vectors of sixteen f32), `parallel`, `buffer` (reused memory), `gemm` (the matrix kernel), `conv`,
//! `weight_cache`, `rows` (activations and batch norm over `[rows, channels]`), `norm` (batch norm's formulas), `layout` (to and from candle's
//! channels-first images), `optimizer`.

pub(crate) mod buffer;
pub(crate) mod conv;
pub(crate) mod gemm;
pub(crate) mod layout;
pub(crate) mod norm;
pub(crate) mod optimizer;
pub(crate) mod parallel;
pub(crate) mod rows;
pub(crate) mod simd;
pub(crate) mod weight_cache;
