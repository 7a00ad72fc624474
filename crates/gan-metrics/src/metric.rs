//! The metrics by name: what each says, and which way is better.

use serde::{Deserialize, Serialize};

/// A metric that [`crate::Judge`] can measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Fréchet distance of features ([`crate::frechet`]).
    Fid,
    /// Kernel distance of features ([`crate::kid`]).
    Kid,
    /// Share of generated samples near real ones ([`crate::prdc`]).
    Precision,
    /// Share of real samples near generated ones.
    Recall,
    /// How many real neighbourhoods a generated sample lies in, over k.
    Density,
    /// Share of real samples with a generated one in their neighbourhood.
    Coverage,
    /// Classifier score ([`crate::score`]).
    Score,
    /// Share of samples that the classifier gives over 0.9 to one class.
    Confident,
    /// Smallest and largest class share against an even one: the largest relative departure.
    ClassBalance,
    /// Share of samples that the classifier takes for the class that they were made as; for generators that know classes.
    AsAsked,
    /// Sliced Wasserstein distance of features ([`crate::sliced`]).
    Sliced,
    /// Distance to the nearest training sample, relative to that of real samples ([`crate::neighbours`]).
    Memorisation,
    /// Share of samples closer to a training sample than almost any real one is.
    NearCopies,
    /// Mean pairwise distance relative to real samples' ([`crate::diversity`]).
    Diversity,
    /// Modes reached ([`crate::modes`]).
    Modes,
    /// Share of samples within 3σ of a mode.
    HighQuality,
    /// KL divergence of the modes' shares from the real ones.
    ReverseKl,
    /// Energy distance of points ([`crate::energy`]).
    Energy,
    /// The p-value of the permutation test on it: small where real and generated points are told apart.
    TwoSample,
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
    /// Whether `a` is better than `b`. What is not a number is never better.
    pub fn prefers(self, a: f64, b: f64) -> bool {
        match self {
            Self::Lower => a < b || (b.is_nan() && !a.is_nan()),
            Self::Higher => a > b || (b.is_nan() && !a.is_nan()),
        }
    }
}

/// A metric's names and meaning.
struct About {
    metric: Metric,
    name: &'static str,
    title: &'static str,
    better: Better,
}

const fn about(metric: Metric, name: &'static str, title: &'static str, better: Better) -> About {
    About { metric, name, title, better }
}

const ALL: [About; 19] = [
    about(Metric::Fid, "fid", "Fréchet distance (FID)", Better::Lower),
    about(Metric::Kid, "kid", "Kernel distance (KID)", Better::Lower),
    about(Metric::Precision, "precision", "Precision", Better::Higher),
    about(Metric::Recall, "recall", "Recall", Better::Higher),
    about(Metric::Density, "density", "Density", Better::Higher),
    about(Metric::Coverage, "coverage", "Coverage", Better::Higher),
    about(Metric::Score, "score", "Classifier score", Better::Higher),
    about(Metric::Confident, "confident", "Classified with over 0.9 confidence", Better::Higher),
    about(Metric::ClassBalance, "class_balance", "Largest departure of a class from its share", Better::Lower),
    about(Metric::AsAsked, "as_asked", "Classified as the class asked for", Better::Higher),
    about(Metric::Sliced, "sliced", "Sliced Wasserstein distance", Better::Lower),
    about(Metric::Memorisation, "memorisation", "Distance to the nearest training sample, real = 1", Better::Higher),
    about(Metric::NearCopies, "near_copies", "Near copies of training samples", Better::Lower),
    about(Metric::Diversity, "diversity", "Diversity, real = 1", Better::Higher),
    about(Metric::Modes, "modes", "Modes reached", Better::Higher),
    about(Metric::HighQuality, "high_quality", "Samples within 3σ of a mode", Better::Higher),
    about(Metric::ReverseKl, "reverse_kl", "Reverse KL over the modes", Better::Lower),
    about(Metric::Energy, "energy", "Energy distance", Better::Lower),
    about(Metric::TwoSample, "two_sample", "Two-sample test: p-value", Better::Higher),
];

/// Other names in use, each with ours.
const ALIASES: [(&str, &str); 9] = [
    ("is", "score"),
    ("inception_score", "score"),
    ("isc", "score"),
    ("frechet", "fid"),
    ("mmd", "kid"),
    ("swd", "sliced"),
    ("memorization", "memorisation"),
    ("mode_coverage", "modes"),
    ("kl", "reverse_kl"),
];

impl Metric {
    /// Every metric.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|about| about.metric)
    }

    /// Its name in settings and files, as in "fid".
    pub fn name(self) -> &'static str {
        self.about().name
    }

    /// What users read.
    pub fn title(self) -> &'static str {
        self.about().title
    }

    /// Which way is better.
    pub fn better(self) -> Better {
        self.about().better
    }

    /// The metric called `name`.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|about| about.name == name).map(|about| about.metric)
    }

    /// The metric that a user means by `name`: its name in any case, with dashes for underscores, or one of the literature's.
    pub fn meant_by(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase().replace(['-', ' '], "_");
        let usual = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, usual)| *usual);
        Self::named(usual)
    }

    /// Whether it takes a network that classifies.
    pub fn needs_classes(self) -> bool {
        matches!(self, Self::Score | Self::Confident | Self::ClassBalance | Self::AsAsked)
    }

    fn about(self) -> &'static About {
        ALL.iter().find(|about| about.metric == self).unwrap_or(&ALL[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_files() {
        for metric in Metric::all() {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert_eq!(Metric::named(metric.name()), Some(metric));
        }
        assert_eq!(Metric::named("none"), None);
    }

    #[test]
    fn users_may_write_names_in_any_case_and_the_usual_ones() {
        for (name, metric) in [
            ("FID", Metric::Fid),
            (" Kid ", Metric::Kid),
            ("Near-Copies", Metric::NearCopies),
            ("IS", Metric::Score),
            ("inception-score", Metric::Score),
            ("SWD", Metric::Sliced),
        ] {
            assert_eq!(Metric::meant_by(name), Some(metric), "{name}");
        }
        assert_eq!(Metric::meant_by("fud"), None);
        assert!(ALIASES.iter().all(|(alias, usual)| Metric::named(alias).is_none() && Metric::named(usual).is_some()));
    }

    #[test]
    fn what_is_not_a_number_is_never_better() {
        for better in [Better::Lower, Better::Higher] {
            assert!(better.prefers(1.0, f64::NAN) && !better.prefers(f64::NAN, 1.0));
            assert!(!better.prefers(1.0, 1.0));
        }
        assert!(Better::Lower.prefers(1.0, 2.0) && Better::Higher.prefers(2.0, 1.0));
    }
}
