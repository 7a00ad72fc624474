//! `[train]`: the training loop.

use super::{is_one, one};
use gan_kernels::Precision;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of the training loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Real samples in a batch.
    pub batch: usize,
    /// Number of steps; or give `epochs`.
    pub steps: Option<u64>,
    /// Number of passes over the data; or give `steps`. If the networks alternate by epochs, each pass of either counts.
    pub epochs: Option<u64>,
    /// Updates of D before G's turn, in units of `alternate`.
    #[serde(default = "one")]
    pub d_steps: u64,
    /// Updates of G before D's turn, in units of `alternate`.
    #[serde(default = "one")]
    pub g_steps: u64,
    /// Whether the networks take turns by steps or by whole epochs.
    #[serde(default)]
    pub alternate: Alternate,
    /// Whether D sees real and generated samples as one batch or as two.
    #[serde(default)]
    pub joint_batch: bool,
    /// Whether G learns from the samples that D has just seen, or from new ones.
    #[serde(default = "yes")]
    pub reuse_fakes: bool,
    /// Whether G generates D's samples in training mode or in inference mode (Keras' `predict`).
    #[serde(default)]
    pub fakes_mode: FakesMode,
    /// Whether a relativistic loss of G compares its samples with the real samples that D has just seen, or with new ones. With new ones, G's
    /// samples are new as well.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub reuse_reals: bool,
    /// Run folder or weight file from which both networks take their initial weights where the shapes fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// β of the average of G's weights (EMA), from 0 to less than 1, e.g. 0.999; no average by default.
    pub ema: Option<f64>,
    /// Half-life of the average in real images, instead of `ema`: independent of the batch size. While 5 % of the images seen are fewer, the
    /// half-life is that number, as in the code of Karras et al. 2020, arXiv:2006.06676.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema_half_life: Option<f64>,
    /// Fraction of the run, at its end, over which both learning rates decrease linearly to 0: 0.5 is the second half; constant by default.
    /// A longer run changes it for all steps.
    pub decay: Option<f64>,
    /// Number of steps at the start over which both learning rates increase linearly from 0.
    pub warmup: Option<u64>,
    /// Maximum norm of each network's gradient; longer gradients are clipped.
    pub clip_norm: Option<f64>,
    /// Number of micro-batches in each batch, to save memory; their gradients are averaged before the step.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Whether batch norm uses the statistics of all processes that train together, instead of its own process's.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub sync_batch_norm: bool,
    /// Number of samples that D sees together (PacGAN; Lin et al. 2018, arXiv:1712.04086).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub pacgan: usize,
    /// Noise on D's input.
    pub instance_noise: Option<InstanceNoise>,
    /// Lengths that the run had before it was extended, where its schedules depend on the length. `gan train --resume` writes them, so
    /// that the settings repeat the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<Extended>,
    /// Figures that end the run when an evaluation reaches all of them, e.g. { fd_digits = 1.0 }.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub until: BTreeMap<String, f64>,
    /// Number format of the hot path.
    #[serde(default)]
    pub precision: Precision,
    /// Seed of every random number of the run.
    pub seed: u64,
    /// Number of computation threads; 0 is one per core. The results are the same for any number.
    #[serde(default)]
    pub threads: usize,
    /// Write a metrics line every N steps.
    #[serde(default = "one")]
    pub log_every: u64,
}

impl Default for TrainConfig {
    /// 10,000 steps on batches of 64, one update of each network in turn, seed 1.
    fn default() -> Self {
        let required = "batch = 64\nsteps = 10_000\nseed = 1";
        toml::from_str(required).expect("all other settings have a default")
    }
}

impl TrainConfig {
    /// Returns whether samples come from an average of G's weights.
    pub fn has_average(&self) -> bool {
        self.ema.is_some() || self.ema_half_life.is_some()
    }
}

/// Part of a run that was scheduled for another length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extended {
    /// The last step of that part.
    pub until: u64,
    /// Length of the run at that time, in steps.
    pub steps: u64,
}

/// Normal noise on every sample that D sees, real or generated, which decreases to 0 (Sønderby et al. 2017, arXiv:1610.04490).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceNoise {
    /// Standard deviation at the start, in the data's range of −1 to 1.
    pub sigma: f64,
    /// Fraction of the run, from its start, over which the deviation decreases linearly to 0.
    #[serde(default = "one")]
    pub until: f64,
}

impl InstanceNoise {
    /// Returns the deviation after `progress` of the run, from 0 to 1.
    pub fn at(&self, progress: f64) -> f64 {
        self.sigma * (1.0 - progress / self.until).clamp(0.0, 1.0)
    }
}

fn yes() -> bool {
    true
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Unit of the networks' turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alternate {
    /// A step is `d_steps` updates of D, then `g_steps` of G.
    #[default]
    Steps,
    /// A step is one update: of D for `d_steps` epochs, then of G for `g_steps` epochs.
    Epochs,
}

/// How G generates the samples that D learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FakesMode {
    /// With the batch's statistics and dropout.
    #[default]
    Train,
    /// With running averages, as Keras' `predict` does.
    Eval,
}
