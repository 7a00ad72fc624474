//! Metrics: a file for each family, and [`METRICS`], the only list of all metrics.
//!
//! To add a metric, write its file with a [`Metric`], and add its line to [`METRICS`] and its row to `docs/evaluation.md`.

use crate::embed::FeatureSpace;
use crate::error::Result;
use crate::renamed;
use gan_base::messages::choose;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, mem};

pub mod augment_leak;
pub mod diversity;
pub mod energy;
pub mod frechet;
pub(crate) mod inception_score;
pub(crate) mod inputs;
pub mod kid;
pub mod memorisation;
pub(crate) mod mind;
pub mod mode_coverage;
pub mod prdc;
pub mod swd;
pub(crate) mod swd_patches;

pub use inputs::{CopySearch, Inputs, Measured};

/// Every metric, in the order of a card.
static METRICS: [&Metric; 30] = [
    &frechet::FID,
    &frechet::FD_DIGITS,
    &frechet::FD_INCEPTION,
    &frechet::FD_THUMBNAILS,
    &frechet::FD_TEXTURE,
    &frechet::FD_CLASSIFIER,
    &frechet::FD_COORDINATES,
    &kid::KID,
    &mind::MIND,
    &inception_score::DIGIT_SCORE,
    &inception_score::INCEPTION_SCORE,
    &inception_score::CLASSIFIER_SCORE,
    &mode_coverage::MODES_REACHED,
    &mode_coverage::HIGH_QUALITY,
    &mode_coverage::REVERSE_KL,
    &energy::ENERGY_DISTANCE,
    &swd::SLICED_WASSERSTEIN,
    &swd_patches::SWD_PATCHES,
    &prdc::PRECISION,
    &prdc::RECALL,
    &prdc::DENSITY,
    &prdc::COVERAGE,
    &inception_score::CONFIDENCE,
    &inception_score::CLASS_BALANCE,
    &inception_score::CLASS_ACCURACY,
    &diversity::RELATIVE_DIVERSITY,
    &memorisation::NEAREST_DISTANCE,
    &memorisation::NEAR_COPIES,
    &augment_leak::AUGMENT_LEAK,
    &energy::TWO_SAMPLE_TEST,
];

/// A figure that compares a set of samples with real ones: its names, its source, where it is used, and how it is measured. Settings and
/// cards contain its key.
pub struct Metric {
    /// Name in settings and files, for example "kid".
    pub key: &'static str,
    /// Name for users.
    pub title: &'static str,
    /// Whether lower or higher values are better.
    pub better: Better,
    /// Source of the definition: authors, year, arXiv number or journal.
    pub paper: &'static str,
    /// What it needs besides samples.
    pub needs: Needs,
    /// Data for which it is measured during training and by `gan evaluate`, unless metrics are named.
    pub in_training: &'static [DataKind],
    /// Data for which only `gan evaluate` measures it, because it is slow or adds little.
    pub in_evaluation: &'static [DataKind],
    /// Data for which it selects the best generator, unless another metric is named.
    pub chooses_best: &'static [DataKind],
    /// Other common names, which the command line understands.
    pub aliases: &'static [&'static str],
    /// Measures it; fails if there are too few samples, or if something that it needs is missing.
    pub measure: fn(&Inputs<'_>) -> Result<Measured>,
}

impl Metric {
    /// Returns a metric of any features that is only measured if it is named.
    pub const fn new(
        key: &'static str,
        title: &'static str,
        better: Better,
        paper: &'static str,
        measure: fn(&Inputs<'_>) -> Result<Measured>,
    ) -> Self {
        Self {
            key,
            title,
            better,
            paper,
            needs: Needs::Features,
            in_training: &[],
            in_evaluation: &[],
            chooses_best: &[],
            aliases: &[],
            measure,
        }
    }

    /// Returns every metric, in the order of a card.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        METRICS.into_iter()
    }

    /// Returns the metric with this key.
    pub fn find(key: &str) -> Option<&'static Self> {
        Self::all().find(|metric| metric.key == key)
    }

    /// Returns the metric that settings name by `key`.
    ///
    /// # Errors
    /// The problem in words: the nearest known key, the new name of a renamed metric, or which distance to write for "fid".
    pub fn from_setting(key: &str) -> std::result::Result<&'static Self, String> {
        let allowed = || Self::all().filter(|metric| metric.needs != Needs::Protocol);
        let unknown = || {
            let keys: Vec<&str> = allowed().map(|metric| metric.key).collect();
            renamed::advice(key).unwrap_or_else(|| format!("unknown metric{}", choose(key, &keys)))
        };
        allowed().find(|metric| metric.key == key).ok_or_else(unknown)
    }

    /// Returns the metric that a user means by `name`: a key in any case, with dashes for underscores, or another common name.
    ///
    /// # Errors
    /// As [`Metric::from_setting`].
    pub fn from_user(name: &str) -> std::result::Result<&'static Self, String> {
        let name = name.trim().to_lowercase().replace(['-', ' '], "_");
        let alias = Self::all().find(|metric| metric.aliases.contains(&name.as_str()));
        alias.map_or_else(|| Self::from_setting(&name), Ok)
    }

    /// Returns the metrics of this kind of data with these features, unless metrics are named.
    pub fn defaults(kind: DataKind, features: FeatureSpace, occasion: Occasion) -> Vec<&'static Self> {
        let fitting = || Self::all().filter(|metric| metric.needs.fits(features));
        let in_training = fitting().filter(|metric| metric.in_training.contains(&kind));
        let more = fitting().filter(|metric| metric.in_evaluation.contains(&kind));
        match occasion {
            Occasion::Training => in_training.collect(),
            Occasion::Evaluation => in_training.chain(more).collect(),
        }
    }

    /// Returns the metric that selects the best generator of this kind of data, unless one is named.
    pub fn best(kind: DataKind, features: FeatureSpace) -> Option<&'static Self> {
        Self::all().find(|metric| metric.needs.fits(features) && metric.chooses_best.contains(&kind))
    }

    /// Returns the metric of the same family for `features`.
    pub(crate) fn for_features(&self, features: FeatureSpace) -> Option<&'static Self> {
        let family = mem::discriminant(&self.needs);
        Self::all().find(|metric| mem::discriminant(&metric.needs) == family && metric.needs.fits(features))
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key)
    }
}

/// Reads a setting; see [`Metric::from_setting`].
impl<'de> Deserialize<'de> for &'static Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Metric::from_setting(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Which values of a metric are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Lower values.
    Lower,
    /// Higher values.
    Higher,
}

impl Better {
    /// Returns whether `a` is better than `b`. NaN is never better.
    pub fn prefers(self, a: f64, b: f64) -> bool {
        let is_better = match self {
            Self::Lower => a < b,
            Self::Higher => a > b,
        };
        is_better || (b.is_nan() && !a.is_nan())
    }
}

/// What a metric needs besides samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Features of any network.
    Features,
    /// Features of this network.
    FeaturesOf(FeatureSpace),
    /// The images themselves.
    Images,
    /// Predictions of any classifier.
    Classes,
    /// Predictions of this classifier.
    ClassesOf(FeatureSpace),
    /// Predictions of a classifier, and the class that each sample was generated for.
    Labels,
    /// The generator's training samples.
    TrainingSamples,
    /// The modes of the data.
    Modes,
    /// A published protocol ([`crate::Protocol`]).
    Protocol,
}

impl Needs {
    /// Returns whether a network with these features can provide it.
    pub fn fits(self, features: FeatureSpace) -> bool {
        match self {
            Self::FeaturesOf(space) | Self::ClassesOf(space) => space == features,
            Self::Protocol => features == FeatureSpace::Inception,
            Self::Images => features != FeatureSpace::Coordinates,
            Self::Features | Self::Classes | Self::Labels | Self::TrainingSamples | Self::Modes => true,
        }
    }

    /// Returns whether the network has to be a classifier.
    pub fn classes(self) -> bool {
        match self {
            Self::Classes | Self::ClassesOf(_) | Self::Labels => true,
            Self::Features | Self::FeaturesOf(_) | Self::Images => false,
            Self::TrainingSamples | Self::Modes | Self::Protocol => false,
        }
    }

    /// Returns whether real samples can be measured as if they were generated. Training samples are copies of themselves, and real samples
    /// were not generated for a class.
    pub fn has_floor(self) -> bool {
        !matches!(self, Self::TrainingSamples | Self::Labels)
    }
}

/// Kind of data, which determines the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// Images that a classifier knows.
    Classes,
    /// Images of a classifier whose classes are modes to count.
    ManyClasses,
    /// Images without classes.
    Images,
    /// Points around modes.
    PointsAroundModes,
    /// Points.
    Points,
}

impl DataKind {
    /// Every kind of data.
    pub const ALL: &[Self] = &[Self::Classes, Self::ManyClasses, Self::Images, Self::PointsAroundModes, Self::Points];
}

/// Occasion of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Between training steps.
    Training,
    /// By `gan evaluate`.
    Evaluation,
}

#[cfg(test)]
mod tests;
