//! `[train]`: the loop.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Real samples in a batch.
    pub batch: usize,
    /// How many steps; or give `epochs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// How many passes over the data; or give `steps`. Where the players alternate by epochs, each pass of either counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Updates of D before it is G's turn, in units of `alternate`.
    #[serde(default = "once")]
    pub d_steps: u64,
    /// Updates of G before it is D's turn, in units of `alternate`.
    #[serde(default = "once")]
    pub g_steps: u64,
    /// Whether the players take turns by steps or by whole epochs.
    #[serde(default)]
    pub alternate: Alternate,
    /// Whether D sees real and generated samples as one batch or as two.
    #[serde(default)]
    pub joint_batch: bool,
    /// Whether G learns from the samples that D has just seen, or from new ones.
    #[serde(default = "yes")]
    pub reuse_fakes: bool,
    /// Whether G makes D's samples as in training or as in use (Keras' `predict`).
    #[serde(default)]
    pub fakes_mode: FakesMode,
    /// β of the average of G's weights ([`crate::ema`]), from 0 to less than 1, e.g. 0.999; none is kept where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// The part of the run, at its end, over which both rates fall in a straight line to 0: 0.5 is the second half; they stay as they
    /// are where it is not given. A longer run changes it for all steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// Steps at the start over which both rates rise in a straight line from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u64>,
    /// The largest norm of each player's gradient; larger ones are shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Parts that each batch is cut into, to save memory; their gradients are averaged before the step.
    #[serde(default = "single", skip_serializing_if = "is_single")]
    pub accumulate: usize,
    /// Whether batch norm takes its statistics over the batches of all processes that train together, or each over its own.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub sync_batch_norm: bool,
    /// Samples that D sees at once (PacGAN; Lin et al. 2018, arXiv:1712.04086).
    #[serde(default = "single", skip_serializing_if = "is_single")]
    pub pacgan: usize,
    /// Noise on what D sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_noise: Option<InstanceNoise>,
    /// Lengths that the run had before it was extended, where its schedules depend on the length. `gan train --resume` writes them, so
    /// that the settings repeat the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<Extended>,
    /// The run ends when an evaluation reaches all of these, e.g. { fd_digits = 1.0 }.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub until: BTreeMap<String, f64>,
    /// Number format of the hot path.
    #[serde(default)]
    pub precision: Precision,
    /// Decides every random number of the run.
    pub seed: u64,
    /// Threads of the computation; 0 is one a core. The results are the same for any number.
    #[serde(default)]
    pub threads: usize,
    /// Write a metrics line every N steps.
    #[serde(default = "once")]
    pub log_every: u64,
}

impl Default for TrainConfig {
    /// 10,000 steps on batches of 64, one update of each network in turn, seed 1.
    fn default() -> Self {
        Self {
            batch: 64,
            steps: Some(10_000),
            epochs: None,
            d_steps: 1,
            g_steps: 1,
            alternate: Alternate::default(),
            joint_batch: false,
            reuse_fakes: true,
            fakes_mode: FakesMode::default(),
            ema: None,
            decay: None,
            warmup: None,
            clip_norm: None,
            accumulate: 1,
            sync_batch_norm: true,
            pacgan: 1,
            instance_noise: None,
            extended: vec![],
            until: BTreeMap::new(),
            precision: Precision::default(),
            seed: 1,
            threads: 0,
            log_every: 1,
        }
    }
}

/// A part of a run that was scheduled as a part of a run of another length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extended {
    /// The last step of that part.
    pub until: u64,
    /// How many steps the run was to have then.
    pub steps: u64,
}

/// Normal noise on every sample that D sees, real or generated, which fades (Sønderby et al. 2017, arXiv:1610.04490).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceNoise {
    /// Its standard deviation at the start, in the data's range of −1 to 1.
    pub sigma: f64,
    /// The part of the run, from its start, over which it falls to 0 in a straight line.
    #[serde(default = "one")]
    pub until: f64,
}

impl InstanceNoise {
    /// The deviation when `progress` of the run is done, from 0 to 1.
    pub fn at(&self, progress: f64) -> f64 {
        self.sigma * (1.0 - progress / self.until).clamp(0.0, 1.0)
    }
}

fn single() -> usize {
    1
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_single(n: &usize) -> bool {
    *n == 1
}
fn once() -> u64 {
    1
}
fn yes() -> bool {
    true
}
fn is_yes(value: &bool) -> bool {
    *value
}

/// What the players' turns are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alternate {
    /// A step is `d_steps` updates of D, then `g_steps` of G.
    #[default]
    Steps,
    /// A step is one update: of D for `d_steps` epochs, then of G for `g_steps` epochs.
    Epochs,
}

/// How G makes the samples that D learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FakesMode {
    /// With the batch's statistics and dropout.
    #[default]
    Train,
    /// With running averages, as Keras' `predict` does.
    Eval,
}

/// Number format of the hot path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// f32, by the fastest algorithms: convolutions within about 2e-5 of their largest output.
    #[default]
    F32,
    /// f32, by algorithms that round less: within about 4e-6.
    F32Accurate,
    /// Convolutions' factors in bf16, sums in f32; everything else in f32.
    Bf16,
}

impl From<Precision> for gan_kernels::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::F32Accurate => Self::F32Accurate,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

fn one() -> f64 {
    1.0
}
