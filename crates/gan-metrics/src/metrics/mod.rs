//! The metrics: one file for each family, and [`METRICS`], the only list of them.
//!
//! In reading order: this file (the trait [`Metric`] and the registry), `info` (what a metric says about itself), [`inputs`] (what it measures), then a
//! file for each family. To add a metric, write its file, add its line to [`METRICS`] and its row to `docs/evaluation.md`.

use crate::embed::FeatureSpace;
use crate::error::Result;
use crate::renamed;
use gan_base::messages::choose;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, mem};

pub mod diversity;
pub mod energy;
pub mod frechet;
pub mod inception_score;
mod info;
pub mod inputs;
pub mod kid;
pub mod memorisation;
pub mod mode_coverage;
pub mod prdc;
pub mod swd;

pub use info::{Better, DataKind, MetricInfo, Needs, Occasion};
pub use inputs::{Inputs, Measured};

/// A figure that compares a set of samples with real ones.
pub trait Metric: Sync {
    /// Returns its names, its source, and where it is used.
    fn info(&self) -> MetricInfo;

    /// Measures it.
    ///
    /// # Errors
    /// If there are too few samples, or what the metric needs is missing.
    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured>;
}

/// Every metric, in the order of a card.
pub const METRICS: &[&dyn Metric] = &[
    &frechet::Fid,
    &frechet::FD_DIGITS,
    &frechet::FD_INCEPTION,
    &frechet::FD_THUMBNAILS,
    &frechet::FD_CLASSIFIER,
    &frechet::FD_COORDINATES,
    &kid::Kid,
    &inception_score::DIGIT_SCORE,
    &inception_score::INCEPTION_SCORE,
    &inception_score::CLASSIFIER_SCORE,
    &mode_coverage::ModesReached,
    &mode_coverage::HighQuality,
    &mode_coverage::ReverseKl,
    &energy::EnergyDistance,
    &swd::SlicedWasserstein,
    &prdc::Precision,
    &prdc::Recall,
    &prdc::Density,
    &prdc::Coverage,
    &inception_score::Confidence,
    &inception_score::ClassBalance,
    &inception_score::ClassAccuracy,
    &diversity::RelativeDiversity,
    &memorisation::NearestDistance,
    &memorisation::NearCopies,
    &energy::TwoSampleTest,
];

/// A metric by reference: what settings and cards hold, written as its key.
#[derive(Clone, Copy)]
pub struct MetricRef(&'static dyn Metric);

impl MetricRef {
    /// Returns every metric, in the order of a card.
    pub fn all() -> impl Iterator<Item = Self> {
        METRICS.iter().map(|metric| Self(*metric))
    }

    /// Returns the metric with this key.
    pub fn find(key: &str) -> Option<Self> {
        Self::all().find(|metric| metric.key() == key)
    }

    /// Returns the metric that settings name by `key`.
    ///
    /// # Errors
    /// The problem in words: the nearest known key, the new name of a renamed metric, or which distance to write for "fid".
    pub fn from_setting(key: &str) -> std::result::Result<Self, String> {
        let found = Self::find(key).filter(|metric| metric.info().needs != Needs::Protocol);
        found
            .ok_or_else(|| renamed::advice(key).unwrap_or_else(|| format!("unknown metric{}", choose(key, &choices()))))
    }

    /// Returns the metric that a user means by `name`: a key in any case, with dashes for underscores, or another name in use.
    ///
    /// # Errors
    /// As [`MetricRef::from_setting`].
    pub fn from_user(name: &str) -> std::result::Result<Self, String> {
        let name = name.trim().to_lowercase().replace(['-', ' '], "_");
        let alias = Self::all().find(|metric| metric.info().aliases.contains(&name.as_str()));
        alias.map_or_else(|| Self::from_setting(&name), Ok)
    }

    /// Returns what is measured of this kind of data by these features unless metrics are named.
    pub fn defaults(kind: DataKind, features: FeatureSpace, occasion: Occasion) -> Vec<Self> {
        let fitting = || Self::all().filter(|metric| metric.info().needs.fits(features));
        let in_training = fitting().filter(|metric| metric.info().in_training.contains(&kind));
        let more = fitting().filter(|metric| metric.info().in_evaluation.contains(&kind));
        match occasion {
            Occasion::Training => in_training.collect(),
            Occasion::Evaluation => in_training.chain(more).collect(),
        }
    }

    /// Returns the metric that chooses the best generator of this kind of data unless one is named.
    pub fn best(kind: DataKind, features: FeatureSpace) -> Option<Self> {
        let chooses = |info: MetricInfo| info.needs.fits(features) && info.chooses_best.contains(&kind);
        Self::all().find(|metric| chooses(metric.info()))
    }

    /// Returns what it says about itself.
    pub fn info(self) -> MetricInfo {
        self.0.info()
    }

    /// Returns its name in settings and files, as in "kid".
    pub fn key(self) -> &'static str {
        self.info().key
    }

    /// Returns what users read.
    pub fn title(self) -> &'static str {
        self.info().title
    }

    /// Returns which values are the better ones.
    pub fn better(self) -> Better {
        self.info().better
    }

    /// Measures it.
    ///
    /// # Errors
    /// Those of [`Metric::measure`].
    pub fn measure(self, inputs: &Inputs<'_>) -> Result<Measured> {
        self.0.measure(inputs)
    }

    /// Returns the member of its family for `features`.
    pub(crate) fn for_features(self, features: FeatureSpace) -> Option<Self> {
        let family = |metric: &Self| mem::discriminant(&metric.info().needs) == mem::discriminant(&self.info().needs);
        Self::all().filter(family).find(|metric| metric.info().needs.fits(features))
    }
}

/// The keys that settings may hold.
fn choices() -> Vec<&'static str> {
    MetricRef::all().map(MetricRef::info).filter(|info| info.needs != Needs::Protocol).map(|info| info.key).collect()
}

impl<M: Metric> From<&'static M> for MetricRef {
    fn from(metric: &'static M) -> Self {
        Self(metric)
    }
}

impl PartialEq for MetricRef {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for MetricRef {}

impl fmt::Debug for MetricRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl Serialize for MetricRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}

/// As settings name it; see [`MetricRef::from_setting`].
impl<'de> Deserialize<'de> for MetricRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Self::from_setting(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
