//! What a step found, and what its parts took.

use crate::step::{DUpdate, GUpdate, Seconds};
use serde::Serialize;

/// Seconds that the parts of a step took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// Waiting for real samples.
    pub data: f64,
    /// G forward.
    pub generate: f64,
    /// D's updates.
    pub d: Seconds,
    /// G's updates: forward through D, backward through both.
    pub g: Seconds,
}

/// What a step found; a player that had no turn has no numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepReport {
    /// Steps done, this one included.
    pub step: u64,
    /// Epochs finished before it, counted by the batches that D has seen.
    pub epoch: u64,
    /// Real images seen in it.
    #[serde(skip)]
    pub images: u64,
    /// What its parts took.
    #[serde(skip)]
    pub parts: Parts,
    /// D's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_d: Option<f64>,
    /// G's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_g: Option<f64>,
    /// Mean D(x) before D's update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_real: Option<f64>,
    /// Mean D(G(z)) before D's update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_fake_before: Option<f64>,
    /// Mean D(G(z)) after it, as G sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_fake_after: Option<f64>,
    /// Share of samples that D takes for what they are, before its update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_d: Option<f64>,
    /// Norm of D's gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_norm_d: Option<f64>,
    /// The weighted sum of D's penalties.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty_d: Option<f64>,
    /// Norm of G's gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_norm_g: Option<f64>,
}

impl StepReport {
    pub(super) fn d(&mut self, update: DUpdate) {
        add(&mut self.parts.d, update.seconds);
        self.loss_d = Some(update.loss);
        (self.d_real, self.d_fake_before) = (Some(update.real), Some(update.fake));
        (self.accuracy_d, self.grad_norm_d) = (Some(update.accuracy), Some(update.grad_norm));
        self.penalty_d = update.penalty.or(self.penalty_d);
    }

    pub(super) fn g(&mut self, update: GUpdate) {
        add(&mut self.parts.g, update.seconds);
        (self.loss_g, self.d_fake_after, self.grad_norm_g) =
            (Some(update.loss), Some(update.fake), Some(update.grad_norm));
    }
}

fn add(total: &mut Seconds, more: Seconds) {
    total.forward += more.forward;
    total.backward += more.backward;
    total.together += more.together;
    total.optimizer += more.optimizer;
}
