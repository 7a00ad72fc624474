//! `[[penalties]]`: what D's gradient costs it.

use gan_core::Penalty;
use serde::{Deserialize, Serialize};

/// A penalty that joins D's loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PenaltyConfig {
    /// Which.
    pub kind: Penalty,
    /// What it is multiplied by: γ of R1 and R2, λ of the others.
    pub weight: f64,
    /// At every so many updates of D, then so many times as strong (lazy regularisation: Karras et al. 2020, arXiv:1912.04958,
    /// section 3.1).
    #[serde(default = "always")]
    pub every: u64,
    /// The part of each batch that it is taken at, above 0 and at most 1: as cheap as seldom penalties, and as steady as constant ones.
    #[serde(default = "all")]
    pub share: f64,
}

fn all() -> f64 {
    1.0
}

fn always() -> u64 {
    1
}
