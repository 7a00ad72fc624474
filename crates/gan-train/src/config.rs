//! Settings of a run as they are written, unchecked. Checking them gives a [`crate::Plan`].

use gan_core::penalties::Penalty;
use gan_core::{Augment, Distribution, Init, Latent, Layer, Loss};
use serde::{Deserialize, Serialize};

mod data;
mod judging;
mod optimizer;
mod train;

pub(crate) use data::KeyProblem;
pub use data::{Background, DataConfig};
pub use gan_alarms::{AlarmsConfig, Policy};
pub use judging::EvaluateConfig;
pub use optimizer::{BiasCorrection, OptimizerConfig};
pub use train::{Alternate, Extended, FakesMode, InstanceNoise, Precision, TrainConfig};

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

impl LossConfig {
    /// Returns a loss with the labels 1 and 0.
    pub fn new(kind: Loss) -> Self {
        Self { kind, real_label: 1.0, fake_label: 0.0, flip: 0.0, auxiliary: 1.0 }
    }
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
            optimizer: Optimizers::default(),
            train: TrainConfig::default(),
            checkpoint: CheckpointConfig::default(),
            samples: SamplesConfig::default(),
            evaluate: EvaluateConfig::default(),
            alarms: AlarmsConfig::default(),
        }
    }

    /// The settings that stand for a part of the run, and so mean other steps when its length changes.
    pub fn schedules(&self) -> Vec<String> {
        let decay = self.train.decay.map(|_| "train.decay".to_string());
        let noise = self.train.instance_noise.map(|_| "train.instance_noise".to_string());
        let ends = self.penalties.iter().filter(|penalty| penalty.end.is_some());
        let ends = ends.map(|penalty| format!("the end of the penalty {}", penalty.kind.name()));
        decay.into_iter().chain(noise).chain(ends).collect()
    }
}

/// When the run's whole state is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Save every N steps, and at the end.
    pub every: u64,
    /// How many of the newest are kept.
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
}

impl Default for SamplesConfig {
    fn default() -> Self {
        Self { every: 500, rows: 8, columns: 8 }
    }
}
