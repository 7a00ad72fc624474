//! Judging generators: how far the samples are from real ones, how many of the modes they reach, whether they are copies.
//!
//! Knows no trainer and no data set: samples come in as tensors, a batch at a time, and features stream, so memory does not
//! grow with the number of samples. Usable alone on any two sets of images or feature arrays.

pub mod embed;
pub mod energy;
pub mod error;
pub mod features;
pub mod modes;

pub use embed::{Embedder, Embedding};
pub use error::{Error, Result};
pub use features::Features;
pub use modes::{Coverage, Modes};
