//! `[evaluate]` and `[alarms]`: what is measured while a run goes on, and what becomes of what it shows.

use gan_metrics::MetricRef;
use serde::{Deserialize, Serialize};

/// When and how samples are evaluated in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// Evaluate every N steps, before the first and after the last; 0 never.
    pub every: u64,
    /// Samples generated each time.
    pub samples: usize,
    /// What is measured; where no metric is given, what fits the data.
    pub metrics: Vec<MetricRef>,
    /// The metric that chooses the best generator; where not given, what fits the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<MetricRef>,
    /// What makes the features: "auto", "digits", "inception", "thumbnails", or a classifier's weight file.
    pub embedder: String,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { every: 0, samples: 2000, metrics: vec![], best: None, embedder: "auto".into() }
    }
}

/// What becomes of each alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmsConfig {
    /// A loss, gradient or sample that is no number.
    pub not_finite: Policy,
    /// D is always right and G learns nothing from it.
    pub d_won: Policy,
    /// D cannot tell what the judge can.
    pub g_won: Policy,
    /// The samples become alike.
    pub collapse: Policy,
    /// The players chase each other without getting better.
    pub oscillation: Policy,
    /// The samples are copies of training data.
    pub memorisation: Policy,
    /// The samples do not get better.
    pub stalled: Policy,
    /// What both rates are multiplied by at each rollback.
    pub rate_factor: f64,
    /// At most so many rollbacks in a run; after them, alarms that ask for one stop it.
    pub rollbacks: u64,
}

impl Default for AlarmsConfig {
    fn default() -> Self {
        let warn = Policy::Warn;
        Self {
            not_finite: Policy::Stop,
            d_won: warn,
            g_won: warn,
            collapse: warn,
            oscillation: warn,
            memorisation: warn,
            stalled: warn,
            rate_factor: 0.5,
            rollbacks: 3,
        }
    }
}

/// What an alarm does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing: it is not raised.
    Off,
    /// It is said and written down.
    Warn,
    /// The run goes back to its best checkpoint and on with lower rates.
    Rollback,
    /// The run saves and ends.
    Stop,
}
