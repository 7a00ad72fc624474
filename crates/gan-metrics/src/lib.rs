//! Metrics for generators: how far the samples are from real ones, how many of the modes they reach, whether they are copies.
//!
//! Independent of trainers and data sets: samples are tensors, added in batches, so memory does not
//! grow with the number of samples. It can be used alone on any two sets of images or feature arrays.
//!
//! In reading order: `features` (numbers per sample) and [`embed`] (the networks that compute them); `moments` (mean and covariance); `metrics` (a
//! file for each family, and the list of all); `suite` and `sample_set` (several metrics of one set of samples), `protocol` (published
//! ways to measure) and `card` (figures with what is needed to trust them); [`renamed`] (names in files of earlier versions).

mod card;
pub mod embed;
mod error;
mod features;
mod linalg;
mod metrics;
mod moments;
mod pairs;
mod protocol;
pub mod renamed;
mod sample_set;
mod suite;

pub use card::{Card, EmbedderCard, Figure, ImageSizes, Reference, ResizedTo, format_value};
pub use error::{Error, Result};
pub use features::Features;
pub use metrics::{Better, CopySearch, DataKind, Inputs, Measured, Metric, Needs, Occasion};
pub use metrics::{augment_leak, diversity, energy, frechet, kid, memorisation, mode_coverage, prdc, swd};
pub use moments::Moments;
pub use protocol::Protocol;
pub use sample_set::{EmbeddedSamples, SampleSet};
pub use suite::MetricSuite;
