//! Settings of a run as they are written, unchecked. Checking them gives a [`crate::Plan`].

use gan_core::{Augment, Init, Latent, Layer, Loss};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod data;
mod judging;
mod optimizer;
mod penalty;

pub(crate) use data::KeyProblem;
pub use data::{Background, DataConfig};
pub use gan_alarms::{AlarmsConfig, Policy};
pub use judging::EvaluateConfig;
pub use optimizer::{BiasCorrection, OptimizerConfig};
pub use penalty::{PenaltyConfig, PenaltyKind};

/// All settings of a run, in the tables of a preset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the preset that these settings started from.
    #[serde(default = "custom")]
    pub preset: String,
    /// Description of the preset in one line.
    #[serde(default)]
    pub description: String,
    /// `[data]`
    pub data: DataConfig,
    /// `[latent]`
    pub latent: Latent,
    /// `[generator]`
    pub generator: NetworkConfig,
    /// `[discriminator]`
    pub discriminator: NetworkConfig,
    /// `[loss]`
    pub loss: LossConfig,
    /// `[[penalties]]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub penalties: Vec<PenaltyConfig>,
    /// `[augment]`
    #[serde(default, skip_serializing_if = "Augment::is_none")]
    pub augment: Augment,
    /// `[optimizer]`
    pub optimizer: Optimizers,
    /// `[train]`
    pub train: TrainConfig,
    /// `[checkpoint]`
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// `[samples]`
    #[serde(default)]
    pub samples: SamplesConfig,
    /// `[evaluate]`
    #[serde(default)]
    pub evaluate: EvaluateConfig,
    /// `[alarms]`
    #[serde(default)]
    pub alarms: AlarmsConfig,
}

fn custom() -> String {
    "custom".into()
}

/// One network: either a `family` with its settings, or `input` and `layers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Family that generates the layers from the data's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// "dcgan": the narrowest width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// "mlp": units of each hidden layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// "mlp": the activation after each hidden layer; leaky ReLU 0.2 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Layer>,
    /// "mlp", D: units of a last, linear hidden layer; 2 units form a plane that is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<usize>,
    /// Initialization of the parameters.
    #[serde(default)]
    pub init: Init,
    /// Whether to divide every kernel by its largest singular value (Miyato et al. 2018, arXiv:1802.05957); single layers have their own
    /// setting.
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
    /// Shape of one input, without the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Vec<usize>>,
    /// The layers.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "some_layers")]
    pub layers: Option<Vec<Layer>>,
}

fn some_layers<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Vec<Layer>>, D::Error> {
    gan_core::layers::list(d).map(Some)
}

/// The families of [`gan_core::family`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// The networks of [`gan_core::family::dcgan`].
    Dcgan,
    /// The networks of [`gan_core::family::mlp_generator`] and `mlp_discriminator`.
    Mlp,
}

/// Losses of both networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Kind of loss.
    pub kind: Loss,
    /// D's target for real samples.
    #[serde(default = "one")]
    pub real_label: f64,
    /// D's target for generated samples.
    #[serde(default)]
    pub fake_label: f64,
    /// Probability of flipping a label shown to D, from 0 to less than 0.5.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flip: f64,
    /// Weight of the losses of an auxiliary classifier in D.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub auxiliary: f64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(x: &f64) -> bool {
    *x == 0.0
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_one(x: &f64) -> bool {
    *x == 1.0
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_no(b: &bool) -> bool {
    !*b
}

fn one() -> f64 {
    1.0
}

/// `[optimizer.generator]` and `[optimizer.discriminator]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizers {
    /// Optimizer of G.
    pub generator: OptimizerConfig,
    /// Optimizer of D.
    pub discriminator: OptimizerConfig,
}

/// Settings of the training loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of real samples in a batch.
    pub batch: usize,
    /// Number of steps, unless `epochs` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Number of passes over the data, unless `steps` is given. If the networks alternate by epochs, each pass of either counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Updates of D before G's turn, in units of `alternate`.
    #[serde(default = "once")]
    pub d_steps: u64,
    /// Updates of G before D's turn, in units of `alternate`.
    #[serde(default = "once")]
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
    /// Whether D's samples are generated in training or in evaluation mode (Keras' `predict`).
    #[serde(default)]
    pub fakes_mode: FakesMode,
    /// Decay β of the exponential moving average of G's weights ([`crate::ema`]), from 0 to less than 1, e.g. 0.999; no average by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Final fraction of the run over which both learning rates decrease linearly to 0: 0.5 is the second half; constant by default.
    /// Extending a run changes this for all steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// Initial steps over which both learning rates increase linearly from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u64>,
    /// Maximum norm of each network's gradient; longer gradients are clipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Number of micro-batches per batch, to save memory; their gradients are averaged before the step.
    #[serde(default = "single", skip_serializing_if = "is_single")]
    pub accumulate: usize,
    /// Whether batch norm takes its statistics over the batches of all processes that train together, or over each process's own.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub sync_batch_norm: bool,
    /// Number of samples that D sees together (PacGAN; Lin et al. 2018, arXiv:1712.04086).
    #[serde(default = "single", skip_serializing_if = "is_single")]
    pub pacgan: usize,
    /// Noise on D's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_noise: Option<InstanceNoise>,
    /// Lengths of the run before it was extended, if its schedules depend on the length. `gan train --resume` writes them, so that the
    /// settings repeat the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended: Vec<Extended>,
    /// Figures that end the run once an evaluation reaches all of them, e.g. { fd_digits = 1.0 }.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub until: BTreeMap<String, f64>,
    /// Number format of the convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// Seed of every random number of the run.
    pub seed: u64,
    /// Number of computation threads; 0 means one per core. The results are the same for any number.
    #[serde(default)]
    pub threads: usize,
    /// Interval of metrics lines, in steps.
    #[serde(default = "once")]
    pub log_every: u64,
}

/// Part of a run whose schedule belongs to another length of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extended {
    /// Last step of that part.
    pub until: u64,
    /// Planned number of steps at that time.
    pub steps: u64,
}

/// Normal noise on every sample that D sees, real or generated, which decreases to 0 (Sønderby et al. 2017,
/// arXiv:1610.04490).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceNoise {
    /// Initial standard deviation, in the data's range of −1 to 1.
    pub sigma: f64,
    /// Fraction of the run, from its start, over which the noise decreases linearly to 0.
    #[serde(default = "one")]
    pub until: f64,
}

impl InstanceNoise {
    /// Returns the standard deviation at `progress` of the run, from 0 to 1.
    pub fn at(&self, progress: f64) -> f64 {
        self.sigma * (1.0 - progress / self.until).clamp(0.0, 1.0)
    }
}

impl RunConfig {
    /// Returns the settings that are fractions of the run, and so change with its length.
    pub fn schedules(&self) -> Vec<String> {
        let decay = self.train.decay.map(|_| "train.decay".to_string());
        let noise = self.train.instance_noise.map(|_| "train.instance_noise".to_string());
        let ends = self.penalties.iter().filter(|penalty| penalty.end.is_some());
        let ends = ends.map(|penalty| format!("the end of the penalty {}", penalty.kind.name()));
        decay.into_iter().chain(noise).chain(ends).collect()
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

/// Unit of the networks' turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alternate {
    /// One step is `d_steps` updates of D, then `g_steps` of G.
    #[default]
    Steps,
    /// One step is one update: of D for `d_steps` epochs, then of G for `g_steps` epochs.
    Epochs,
}

/// Mode in which G generates D's samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FakesMode {
    /// Training mode: the batch's statistics and dropout.
    #[default]
    Train,
    /// Evaluation mode: running averages, as in Keras' `predict`.
    Eval,
}

/// Number format of the convolutions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// f32 with the fastest algorithms: convolutions within about 2e-5 of their largest output.
    #[default]
    F32,
    /// f32 with algorithms that round less: within about 4e-6.
    F32Accurate,
    /// The factors of convolutions in bf16, sums and everything else in f32.
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

/// When to save the run's whole state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Interval in steps; the end is saved too.
    pub every: u64,
    /// Number of checkpoints to keep.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 500, keep: 3 }
    }
}

/// When to draw a grid of samples, always from the same noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplesConfig {
    /// Interval in steps; the end is drawn too.
    pub every: u64,
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
}

impl Default for SamplesConfig {
    fn default() -> Self {
        Self { every: 500, rows: 8, columns: 8 }
    }
}
