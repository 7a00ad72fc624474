//! Metrics for generators: how far the samples are from real ones, how many of the modes they reach, whether they are copies.
//!
//! Knows no trainer and no data set: samples come in as tensors, a batch at a time, and features stream, so memory does not
//! grow with the number of samples. Usable alone on any two sets of images or feature arrays.
//!
//! In reading order: [`features`] (numbers a sample) and [`embed`] (the networks that make them); [`moments`] (their mean and covariance);
//! [`metrics`] (a file for each family, and the list of all); [`suite`] (several metrics of one set of samples), [`protocol`] (published
//! ways to measure) and [`card`] (figures with what is needed to believe them); [`renamed`] (names in files of earlier versions).

pub mod card;
pub mod embed;
pub mod error;
pub mod features;
mod linalg;
pub mod metrics;
pub mod moments;
mod pairs;
pub mod protocol;
pub mod renamed;
pub mod suite;
mod zip;

pub use card::{Card, ImageSizes};
pub use embed::{Embedder, Embedding, FeatureSpace, Sizes};
pub use error::{Error, Result};
pub use features::Features;
pub use metrics::{Metric, MetricRef};
pub use protocol::Protocol;
pub use suite::{EmbeddedSamples, MetricSuite, RealSet, SampleSet};
