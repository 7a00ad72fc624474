//! The CUDA backend of the fused engine.
//!
//! It needs NVIDIA's driver, cuDNN 9 and cuBLAS when it runs, and none of them to be built or to start: [`probe`] says what was found, and
//! what is missing. [`Cuda`] implements the kernels of [`gan_kernels::backend`]: convolutions by cuDNN, matrix products by cuBLAS, the rest by
//! own kernels. All work goes to one stream; after the first step no memory is requested, so that a whole training step can be captured
//! ([`Cuda::capture`]) and replayed without the host.
//!
//! In reading order: `libraries`, `driver` (the device), `failure`, `memory`, `staging`, `launch` (own kernels), `graph`, `layout`, `conv`, `norm`, `backend`,
//! `derivatives`, `pixels`, `classes`, a file for each of the other layers, `optimizer`, [`step`] (what whole training steps need besides).

mod attention;
mod backend;
mod classes;
mod conv;
mod derivatives;
mod driver;
mod failure;
mod glu;
mod graph;
mod image_transform;
mod launch;
mod layout;
mod learned_slope;
mod libraries;
mod memory;
mod minibatch_std;
mod norm;
mod optimizer;
mod pixel_norm;
mod pixels;
mod sample_norm;
mod spectral_norm;
mod staging;
pub mod step;

pub use conv::WeightCache;
pub use driver::{Choice, Cuda, Products, count, describe};
pub use failure::{Failure, caught};
pub use graph::{CapturedMemory, Graph, Piece};
pub(crate) use launch::Argument;
pub use libraries::{Found, Missing, look_in, probe};
pub use memory::{Buffer, Slice, SliceMut, Type};
pub use norm::Norm;
