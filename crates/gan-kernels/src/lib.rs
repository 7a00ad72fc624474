//! The functions that networks are made of, as candle operations with exact gradients.
//!
//! Tensors in, tensors out: `[N, C, H, W]` images, `[N, F]` vectors. On the CPU the hot ones are custom operations of this
//! crate; on CUDA and Metal the same functions call candle's own. Where candle's gradients are wrong or missing
//! (pooling, nearest upsampling, ties at zero) this crate computes its own. Any candle user can depend on it alone.
//!
//! Three promises hold on the CPU:
//! - **No gradient work for frozen inputs**: an argument that leads to no variable (a detached weight) costs nothing in the
//!   backward pass.
//! - **Second order**: with `CANDLE_GRAD_DO_NOT_DETACH=1` set before a thread's first `backward()`, gradients are
//!   differentiable themselves. Unset, they carry no graph.
//! - **Same bits for any number of threads**: work is cut into pieces by shape, never by thread count.
//!
//! In reading order: [`reference`](mod@reference) (each function once more, in plain loops), [`conv`], [`linear`](mod@linear),
//! [`norm`], [`activation`], [`pool`], [`resample`], [`dropout`](mod@dropout), [`chain`] (a whole network
//! as one operation), [`ranks`] (batch norm over several processes), [`update`] (optimiser steps). Apart from these,
//! because they need `unsafe`: [`mapped`] (files as slices), [`process`], [`timing`]; and [`regular_file`], through which every
//! crate opens the files that a user names.

pub mod reference;

pub mod activation;
#[cfg(feature = "allocator")]
pub mod allocator;
pub mod chain;
pub mod conv;
pub mod dropout;
pub mod linear;
pub mod norm;
pub mod pool;
pub mod process;
pub mod ranks;
pub mod resample;
#[doc(hidden)]
pub mod testing;
pub mod timing;
pub mod update;

mod layout;
mod packed;
mod parallel;
mod precision;
mod product;
mod rows;
mod scratch;
mod simd;
mod storage;

pub use activation::{leaky_relu, relu, sigmoid, softplus, tanh};
pub use conv::{ConvSpec, Padding, conv_transpose2d, conv2d};
pub use dropout::dropout;
pub use linear::linear;
pub use norm::{BatchStatistics, batch_norm_eval, batch_norm_train};
pub use pool::{avg_pool2d, global_avg_pool2d, global_max_pool2d};
pub use precision::Precision;
pub use ranks::{Ranks, Sums};
pub use resample::{upsample_nearest2d, zero_pad2d};
pub use simd::Level;
pub use storage::keeps_graph;
