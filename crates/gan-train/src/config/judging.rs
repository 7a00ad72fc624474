//! `[evaluate]`: evaluation during a run. (`[alarms]` is [`gan_alarms::AlarmsConfig`].)

use gan_metrics::Metric;
use serde::{Deserialize, Serialize};

/// When and how to evaluate samples during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// Interval in steps, with an evaluation before the first and after the last; 0 disables evaluation.
    pub every: u64,
    /// Number of samples per evaluation.
    pub samples: usize,
    /// Metrics to measure; by default those that fit the data.
    pub metrics: Vec<&'static Metric>,
    /// Metric that selects the best generator; by default one that fits the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<&'static Metric>,
    /// Network that computes the features: "auto", "digits", "inception", "thumbnails", or a classifier's weight file.
    pub embedder: String,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { every: 0, samples: 2000, metrics: vec![], best: None, embedder: "auto".into() }
    }
}
