//! Normalisations.

use super::{is_yes, yes};
use serde::{Deserialize, Serialize};

/// Batch normalisation of each channel: any shape that starts with channels or features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Its settings.
    pub batch_norm: BatchNormSettings,
}

/// Settings of [`BatchNorm`], PyTorch's conventions and defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormSettings {
    /// Weight of the new batch in the running averages. Keras' `momentum` is 1 − this.
    pub momentum: f64,
    /// Added to the variance. Keras' default is 1e-3.
    pub eps: f64,
    /// Which variance the running average takes.
    pub running_variance: RunningVariance,
}

impl Default for BatchNormSettings {
    fn default() -> Self {
        Self { momentum: 0.1, eps: 1e-5, running_variance: RunningVariance::Unbiased }
    }
}

/// Which variance of a batch enters the running average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunningVariance {
    /// Divided by the count less one, as PyTorch does.
    Unbiased,
    /// Divided by the count, as Keras does.
    Biased,
}

/// Batch normalisation whose scale and shift depend on the sample's class (de Vries et al. 2017, arXiv:1707.00683; in GANs
/// Miyato & Koyama 2018, arXiv:1802.05637).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionalBatchNorm {
    /// Classes.
    pub conditional_batch_norm: usize,
    /// Weight of the new batch in the running averages.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Added to the variance.
    #[serde(default = "eps")]
    pub eps: f64,
}

/// Each sample's each channel by its own mean and variance (Ulyanov et al. 2016, arXiv:1607.08022): `[C, H, W]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceNorm {
    /// Its settings.
    pub instance_norm: NormSettings,
}

/// Each sample by its mean and variance over everything, then scaled by channel (Ba et al. 2016, arXiv:1607.06450; what WGAN-GP
/// puts in batch norm's place in D).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Its settings.
    pub layer_norm: NormSettings,
}

/// Each sample's channels in groups (Wu & He 2018, arXiv:1803.08494).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Groups, which divide the channels.
    pub group_norm: usize,
    /// Added to the variance.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Whether each channel has a scale and a shift.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub affine: bool,
}

/// Settings of [`InstanceNorm`] and [`LayerNorm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormSettings {
    /// Added to the variance.
    pub eps: f64,
    /// Whether each channel has a scale and a shift.
    pub affine: bool,
}

impl Default for NormSettings {
    fn default() -> Self {
        Self { eps: eps(), affine: true }
    }
}

fn eps() -> f64 {
    1e-5
}
fn momentum() -> f64 {
    0.1
}
