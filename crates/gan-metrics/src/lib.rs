//! Judging generators: how far the samples are from real ones, how many of the modes they reach, whether they are copies.
//!
//! Knows no trainer and no data set: samples come in as tensors, a batch at a time, and features stream, so memory does not
//! grow with the number of samples. Usable alone on any two sets of images or feature arrays.
//!
//! In reading order: [`features`] (numbers a sample) and [`embed`] (the networks that make them); [`moments`] and [`frechet`], [`kid`],
//! [`prdc`], [`score`], [`sliced`], [`neighbours`], [`diversity`] (sets of features compared); [`modes`] and [`energy`] (points); [`metric`]
//! (all by name), [`judge`] (all together) and [`card`] (figures with what is needed to believe them).

pub mod card;
pub mod diversity;
pub mod embed;
pub mod energy;
pub mod error;
pub mod features;
pub mod frechet;
pub mod judge;
pub mod kid;
mod linalg;
pub mod metric;
pub mod modes;
pub mod moments;
pub mod neighbours;
mod pairs;
pub mod prdc;
pub mod score;
pub mod sliced;

pub use card::{Card, ImageSizes};
pub use embed::{Embedder, Embedding, Sizes};
pub use error::{Error, Result};
pub use features::Features;
pub use judge::{Embedded, Gathered, Judge, ModesOf, RealSet};
pub use metric::Metric;
pub use modes::{Coverage, Modes};
