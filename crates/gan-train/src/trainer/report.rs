//! What a step shows: its moments while it runs, its results, and the duration of its parts.

use super::Trainer;
use crate::error::{Error, Result};
use crate::step::{DUpdate, GUpdate, Seconds};
use serde::Serialize;

/// Moment inside a step, for observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Before D's first update.
    BeforeD,
    /// After D's last update and before G's first.
    AfterD,
    /// After G's last update.
    AfterG,
}

/// Observer of a trainer in the middle of a step.
pub(crate) type Look<'a, E = Error> = dyn FnMut(Moment, &Trainer) -> Result<(), E> + 'a;

/// Seconds that the parts of a step took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parts {
    /// Wait for real samples.
    pub data: f64,
    /// Forward pass of G.
    pub generate: f64,
    /// Updates of D.
    pub d: Seconds,
    /// Updates of G: forward through D, backward through both.
    pub g: Seconds,
}

/// Results of a step; a network that was not updated has no numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StepReport {
    /// Completed steps, including this one.
    pub step: u64,
    /// Epochs completed before it, counted by the batches that D has seen.
    pub epoch: u64,
    /// Number of real images in the step.
    #[serde(skip)]
    pub images: u64,
    /// Duration of its parts.
    #[serde(skip)]
    pub parts: Parts,
    /// Loss of D.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_d: Option<f64>,
    /// Loss of G.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss_g: Option<f64>,
    /// Mean D(x) before D's update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_real: Option<f64>,
    /// Mean D(G(z)) before D's update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_fake_before: Option<f64>,
    /// Mean D(G(z)) after D's update, as G sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub d_fake_after: Option<f64>,
    /// Fraction of samples that D classifies correctly, before its update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_d: Option<f64>,
    /// r_t = E[sign(l(x))] over D's logits of real samples, from −1 to 1, before its update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rt: Option<f64>,
    /// Probability of augmentations, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augment: Option<f64>,
    /// Norm of D's gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_norm_d: Option<f64>,
    /// Weighted sum of D's penalties.
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
        self.d_real = Some(update.real);
        self.d_fake_before = Some(update.fake);
        self.accuracy_d = Some(update.accuracy);
        self.rt = Some(update.sign);
        self.grad_norm_d = Some(update.grad_norm);
        self.penalty_d = update.penalty.or(self.penalty_d);
    }

    pub(super) fn g(&mut self, update: GUpdate) {
        add(&mut self.parts.g, update.seconds);
        self.loss_g = Some(update.loss);
        self.d_fake_after = Some(update.fake);
        self.grad_norm_g = Some(update.grad_norm);
    }
}

fn add(total: &mut Seconds, more: Seconds) {
    total.forward += more.forward;
    total.backward += more.backward;
    total.together += more.together;
    total.optimizer += more.optimizer;
}
