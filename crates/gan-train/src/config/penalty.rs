//! `[[penalties]]`: terms that are added to the losses.

use gan_core::Penalty;
use serde::{Deserialize, Serialize};

/// Kind of an entry of `[[penalties]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the first five are those of Penalty")]
pub enum PenaltyKind {
    R1,
    R2,
    Gp,
    GpZero,
    Dragan,
    /// Clips D's weights at ± weight after each of its updates (WGAN; Arjovsky et al. 2017, arXiv:1701.07875).
    Clip,
    /// Adds the distance between D's mean features of real and generated samples to G's loss (Salimans et al. 2016,
    /// arXiv:1606.03498).
    FeatureMatching,
}

impl PenaltyKind {
    /// Returns the penalty on D's gradient, if this kind is one.
    pub fn on_gradient(self) -> Option<Penalty> {
        match self {
            Self::R1 => Some(Penalty::R1),
            Self::R2 => Some(Penalty::R2),
            Self::Gp => Some(Penalty::Gp),
            Self::GpZero => Some(Penalty::GpZero),
            Self::Dragan => Some(Penalty::Dragan),
            Self::Clip | Self::FeatureMatching => None,
        }
    }

    /// Returns its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::FeatureMatching => "feature_matching",
            other => other.on_gradient().map_or("", Penalty::name),
        }
    }
}

/// A penalty that is added to a loss, or a limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PenaltyConfig {
    /// Kind of penalty.
    pub kind: PenaltyKind,
    /// Factor: γ of R1 and R2, λ of the others; the limit of "clip".
    pub weight: f64,
    /// Weight at the end of the run, which changes linearly towards it; constant by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// Applied every N updates of D and scaled by N (lazy regularization: Karras et al. 2020, arXiv:1912.04958, section 3.1).
    #[serde(default = "always")]
    pub every: u64,
    /// Fraction of each batch that it is applied to, above 0 and at most 1: as cheap as lazy penalties, and as steady as constant ones.
    #[serde(default = "all")]
    pub share: f64,
}

fn all() -> f64 {
    1.0
}

fn always() -> u64 {
    1
}

impl PenaltyConfig {
    /// Returns a penalty that is applied to every update, with the same weight all the time.
    pub fn new(kind: PenaltyKind, weight: f64) -> Self {
        Self { kind, weight, end: None, every: always(), share: all() }
    }

    /// Its weight when `progress` of the run is done, from 0 to 1.
    pub fn weight_at(&self, progress: f64) -> f64 {
        self.end.map_or(self.weight, |end| self.weight + (end - self.weight) * progress.clamp(0.0, 1.0))
    }
}
