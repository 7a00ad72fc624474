//! Kernels for GANs: the fused engine with its CPU kernels, and the candle operations of the reference engine.
//!
//! It works on tensors: `[N, C, H, W]` images, `[N, F]` vectors. Two engines compute the same networks:
//! - [`fused`] runs a sequence of layers as one operation, over the kernels of a [`backend`]; the CPU is the first.
//! - [`ops`] are candle operations, one per layer, for any device and for f64. They check the fused engine, and are available to your own
//!   networks.
//!
//! `nn`, with the feature of that name, has convolutions and batch norm as modules with candle-nn's constructors.
//!
//!
//! Two guarantees hold on the CPU:
//! - **No gradient work for frozen inputs**: an argument that leads to no variable (a detached weight) costs nothing in the backward pass.
//! - **Same bits for any number of threads**: work is divided by shape, never by thread count.
//!
//! In reading order: `spec` (sizes of a convolution), [`ops`], [`backend`], [`fused`], `cpu`, `ranks` (batch norm over several processes),
//! [`update`] (optimizer steps). Separate from these: [`process`], which needs `unsafe`, and [`timing`].

pub mod backend;
mod cpu;
pub mod fused;
#[cfg(feature = "nn")]
pub mod nn;
pub mod ops;
pub mod process;
mod ranks;
mod resample;
mod spec;
mod storage;
#[doc(hidden)]
pub mod testing;
pub mod timing;
pub mod update;

pub use cpu::Cpu;
pub use cpu::simd::Level;
pub use ranks::{BatchStatistics, Ranks, Sums};
pub use spec::{ConvSpec, Padding, Precision, Problem};

/// The snippets of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
