//! What a metric says about itself: names, source, what it takes and where it is used.

use crate::embed::FeatureSpace;

/// A metric's names, its source, and where it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricInfo {
    /// Its name in settings and files, as in "kid".
    pub key: &'static str,
    /// What users read.
    pub title: &'static str,
    /// Which values are the better ones.
    pub better: Better,
    /// Who defined it: authors, year, arXiv number or journal.
    pub paper: &'static str,
    /// What it takes besides samples.
    pub needs: Needs,
    /// The data for which it is measured in training and by `gan evaluate`, unless metrics are named.
    pub in_training: &'static [DataKind],
    /// The data for which `gan evaluate` alone measures it, because it is slow or adds little.
    pub in_evaluation: &'static [DataKind],
    /// The data for which it chooses the best generator, unless another metric is named.
    pub chooses_best: &'static [DataKind],
    /// Other names in use, which the command line understands.
    pub aliases: &'static [&'static str],
}

impl MetricInfo {
    /// A metric of any features that is measured only where it is named.
    pub const fn new(key: &'static str, title: &'static str, better: Better, paper: &'static str) -> Self {
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
        }
    }
}

/// Which values of a metric are the better ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Lower ones.
    Lower,
    /// Higher ones.
    Higher,
}

impl Better {
    /// Returns whether `a` is better than `b`. What is not a number is never better.
    pub fn prefers(self, a: f64, b: f64) -> bool {
        match self {
            Self::Lower => a < b || (b.is_nan() && !a.is_nan()),
            Self::Higher => a > b || (b.is_nan() && !a.is_nan()),
        }
    }
}

/// What a metric takes besides samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Features of any network.
    Features,
    /// Features of this network.
    FeaturesOf(FeatureSpace),
    /// The predictions of any classifier.
    Classes,
    /// The predictions of this classifier.
    ClassesOf(FeatureSpace),
    /// The predictions of a classifier, and the classes that the samples were generated as.
    Labels,
    /// The samples that the generator was trained on.
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
            Self::Features | Self::Classes | Self::Labels | Self::TrainingSamples | Self::Modes => true,
        }
    }

    /// Returns whether the network has to classify.
    pub fn classes(self) -> bool {
        match self {
            Self::Classes | Self::ClassesOf(_) | Self::Labels => true,
            Self::Features | Self::FeaturesOf(_) | Self::TrainingSamples | Self::Modes | Self::Protocol => false,
        }
    }

    /// Returns whether real samples can be measured as if they were generated: training samples are copies of themselves, and nobody
    /// generated real samples as a class.
    pub fn has_floor(self) -> bool {
        !matches!(self, Self::TrainingSamples | Self::Labels)
    }
}

/// Kinds of data, which decide what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// Images that a classifier knows.
    Classes,
    /// Images of a classifier whose classes are modes to be counted.
    ManyClasses,
    /// Images without classes.
    Images,
    /// Points around modes.
    PointsAroundModes,
    /// Points.
    Points,
}

/// When samples are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Between training steps.
    Training,
    /// By `gan evaluate`.
    Evaluation,
}
