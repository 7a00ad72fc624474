//! Settings of a run as they are written, unchecked. Checking them gives a [`crate::Plan`].

use crate::optimizers::OptimizerConfig;
use gan_core::penalties::Penalty;
use gan_core::{Augment, Distribution, Init, Latent, Layer, Loss};
use gan_metrics::Metric;
use serde::{Deserialize, Serialize};

mod data;
pub(crate) mod schedule;
mod train;

pub use data::{Background, DataConfig};
pub use gan_alarms::{AlarmsConfig, Policy};
pub use schedule::{Curve, Schedule};
pub use train::{Alternate, Extended, FakesMode, InstanceNoise, TrainConfig};

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
    pub penalties: Vec<Penalty>,
    /// `[augment]`
    #[serde(default, skip_serializing_if = "Augment::is_none")]
    pub augment: Augment,
    /// `[schedule]`
    #[serde(default, skip_serializing_if = "Schedule::is_none")]
    pub schedule: Schedule,
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Family that generates the layers from the data's size.
    pub family: Option<Family>,
    /// "dcgan" and "plain": the narrowest width; "r3gan": the width of small images.
    pub width: Option<usize>,
    /// "dcgan", "plain" and "r3gan": number of classes that both networks know; none by default.
    pub classes: Option<usize>,
    /// "mlp": units of each hidden layer.
    pub hidden: Option<Vec<usize>>,
    /// "mlp": the activation after each hidden layer; leaky ReLU 0.2 by default.
    pub activation: Option<Layer>,
    /// "mlp", D: units of a last, linear hidden layer; 2 units form a plane that is drawn.
    pub features: Option<usize>,
    /// Initialization of the parameters.
    pub init: Init,
    /// Whether to divide every kernel by its largest singular value (Miyato et al. 2018, arXiv:1802.05957); single layers have their own
    /// setting.
    #[serde(skip_serializing_if = "is_default")]
    pub spectral_norm: bool,
    /// Number of first layers whose weights are frozen (Freeze-D: Mo et al. 2020, arXiv:2002.10964), of those that have weights. It is for runs
    /// that begin with trained weights.
    #[serde(skip_serializing_if = "is_default")]
    pub freeze: usize,
    /// Shape of one input, without the batch.
    pub input: Option<Vec<usize>>,
    /// The layers.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_layers")]
    pub layers: Option<Vec<Layer>>,
}

impl NetworkConfig {
    /// Returns a network of these layers, for inputs of the shape that the latent space or the data have.
    pub fn layers(layers: Vec<Layer>) -> Self {
        Self { layers: Some(layers), ..Self::default() }
    }
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
    /// The networks of [`gan_core::family::Mlp`].
    Mlp,
    /// The discriminator of [`gan_core::family::plain`].
    Plain,
    /// The networks of [`gan_core::family::R3gan`].
    R3gan,
}

impl Family {
    /// Returns its name in settings.
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(String::from)).unwrap_or_default()
    }

    /// Returns whether its networks are made from a width.
    pub(crate) fn has_width(self) -> bool {
        self != Self::Mlp
    }
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
    #[serde(default, skip_serializing_if = "is_default")]
    pub flip: f64,
    /// Weight of the losses of an auxiliary classifier in D.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub auxiliary: f64,
}

impl LossConfig {
    /// Returns a loss with the labels 1 and 0.
    pub fn new(kind: Loss) -> Self {
        Self { kind, real_label: 1.0, fake_label: 0.0, flip: 0.0, auxiliary: 1.0 }
    }
}

/// Whether a setting is 0 or false, and need not be written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether a setting is 1, and need not be written.
fn is_one<T: From<u8> + PartialEq>(value: &T) -> bool {
    *value == T::from(1)
}

fn one<T: From<u8>>() -> T {
    T::from(1)
}

/// `[optimizer.generator]` and `[optimizer.discriminator]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizers {
    /// Optimizer of G.
    pub generator: OptimizerConfig,
    /// Optimizer of D.
    pub discriminator: OptimizerConfig,
}

impl RunConfig {
    /// Returns settings with the defaults of everything but the data and the networks: the non-saturating loss, Adam 2e-4 with β₁ 0.5,
    /// a latent space of 100.
    pub fn new(data: DataConfig, generator: NetworkConfig, discriminator: NetworkConfig) -> Self {
        Self {
            preset: custom(),
            description: String::new(),
            data,
            latent: Latent { dim: 100, distribution: Distribution::Normal, truncation: None },
            generator,
            discriminator,
            loss: LossConfig::new(Loss::NonSaturating),
            penalties: vec![],
            augment: Augment::default(),
            schedule: Schedule::default(),
            optimizer: Optimizers::default(),
            train: TrainConfig::default(),
            checkpoint: CheckpointConfig::default(),
            samples: SamplesConfig::default(),
            evaluate: EvaluateConfig::default(),
            alarms: AlarmsConfig::default(),
        }
    }

    /// Returns the settings that refer to a part of the run, so that they mean other steps when its length changes.
    pub fn schedules(&self) -> Vec<String> {
        let decay = self.train.decay.map(|_| "train.decay".to_string());
        let noise = self.train.instance_noise.map(|_| "train.instance_noise".to_string());
        let ends = self.penalties.iter().filter(|penalty| penalty.end.is_some());
        let ends = ends.map(|penalty| format!("the end of the penalty {}", penalty.kind.name()));
        let scheduled = self.schedule.keys().map(|key| format!("schedule.{key}"));
        let by_length = ends.chain(scheduled).filter(|_| self.schedule.images.is_none());
        decay.into_iter().chain(noise).chain(by_length).collect()
    }
}

/// When to save the run's whole state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Save every N steps, and at the end.
    pub every: u64,
    /// Number of checkpoints to keep, the newest ones.
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
    /// Draw every N steps, and at the end.
    pub every: u64,
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// Draw also after a half, a quarter, … of `every` steps, down to a 64th, because samples change fastest at the start.
    #[serde(skip_serializing_if = "is_default")]
    pub early: bool,
}

impl Default for SamplesConfig {
    fn default() -> Self {
        Self { every: 500, rows: 8, columns: 8, early: false }
    }
}

impl SamplesConfig {
    /// Returns whether to draw after `step` steps.
    pub fn is_due(&self, step: u64) -> bool {
        let is_early = || (1..=6).any(|k| self.every >> k == step);
        step.is_multiple_of(self.every) || (self.early && step > 0 && is_early())
    }
}

/// `[evaluate]`: when and how to evaluate samples during training.
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
    pub best: Option<&'static Metric>,
    /// Network that computes the features: "auto", "digits", "inception", "texture", "thumbnails", or a classifier's weight file.
    pub embedder: String,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self { every: 0, samples: 2000, metrics: vec![], best: None, embedder: "auto".into() }
    }
}
