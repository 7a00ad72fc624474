//! `[evaluate]`: what is measured while a run goes on. (`[alarms]` is [`gan_alarms::AlarmsConfig`].)

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
