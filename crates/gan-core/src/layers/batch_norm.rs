//! Batch normalization (Ioffe & Szegedy 2015, arXiv:1502.03167), and conditional batch normalization.
//!
//! For each channel, over the batch and all pixels: x̂ = (x − mean) / √(variance + ε), y = γ·x̂ + β; in evaluation, with running averages.

use super::settings::{require, several_classes};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{Binary, GraphContext, Op, Value};
use crate::params::{Param, Role};
use crate::pytorch::{Call, Helper, TorchModule, TorchResult};
use candle_core::{Result, Tensor, bail};
use gan_kernels::fused::{BatchNorm as FusedBatchNorm, FusedLayer, OwnFactors, SampleNorm};
use gan_kernels::{BatchStatistics, ops};
use serde::{Deserialize, Serialize};

/// Batch normalization of each channel, for any shape that starts with channels or features.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Settings of the layer.
    pub batch_norm: BatchNormSettings,
}

/// Settings of [`BatchNorm`], with PyTorch's conventions and defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormSettings {
    /// Weight of the new batch in the running averages. Keras' `momentum` is 1 − this.
    pub momentum: f64,
    /// Added to the variance. Keras' default is 1e-3.
    pub eps: f64,
    /// Variance in the running average.
    pub running_variance: RunningVariance,
}

impl Default for BatchNormSettings {
    fn default() -> Self {
        Self { momentum: momentum(), eps: eps(), running_variance: RunningVariance::Unbiased }
    }
}

impl BatchNormSettings {
    fn check(&self) -> std::result::Result<(), String> {
        require(self.eps > 0.0 && (0.0..=1.0).contains(&self.momentum), "eps above 0 and momentum in [0, 1]")
    }

    /// Returns the factor of the batch's variance in the running average.
    fn correction(&self, batch: &BatchStatistics) -> f64 {
        match self.running_variance {
            RunningVariance::Unbiased => batch.count as f64 / (batch.count as f64 - 1.0),
            RunningVariance::Biased => 1.0,
        }
    }
}

/// Variance of a batch in the running average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunningVariance {
    /// Divided by the count less one, as in PyTorch.
    Unbiased,
    /// Divided by the count, as in Keras.
    Biased,
}

impl LayerSpec for BatchNorm {
    const NAME: &'static str = "batch_norm";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        self.batch_norm.check()?;
        let c = input[0];
        Ok(Inferred::new(input).with_affine(&[c], true).with_running(c))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let along = |t: Tensor| along_channels(&t, &x.value).map(Dual::constant);
        let gamma = along(cx.param("weight")?)?;
        let beta = along(cx.param("bias")?)?;
        normalized(x, self.batch_norm, cx)?.mul(&gamma)?.add(&beta)
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let norm = FusedBatchNorm { scale: place(0), shift: place(1), eps: self.batch_norm.eps };
        Some(vec![FusedLayer::BatchNorm(norm)])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let inputs = [x, cx.param("weight")?, cx.param("bias")?, cx.param("running_mean")?, cx.param("running_var")?];
        Ok(cx.node(Op::BatchNorm { eps: self.batch_norm.eps }, &inputs))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let BatchNormSettings { momentum, eps, .. } = self.batch_norm;
        let default = BatchNormSettings::default();
        let call = Call::new(if input.len() == 3 { "nn.BatchNorm2d" } else { "nn.BatchNorm1d" }).with(input[0]);
        Ok(call.with_key("eps", eps, &default.eps).with_key("momentum", momentum, &default.momentum).module())
    }

    fn running(&self) -> Option<BatchNormSettings> {
        Some(self.batch_norm)
    }
}

/// Batch normalization whose scale and shift depend on the sample's class (de Vries et al. 2017, arXiv:1707.00683; in GANs Miyato & Koyama
/// 2018, arXiv:1802.05637).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionalBatchNorm {
    /// Number of classes.
    pub conditional_batch_norm: usize,
    /// Weight of the new batch in the running averages.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Added to the variance.
    #[serde(default = "eps")]
    pub eps: f64,
}

impl ConditionalBatchNorm {
    fn settings(&self) -> BatchNormSettings {
        BatchNormSettings { momentum: self.momentum, eps: self.eps, running_variance: RunningVariance::Unbiased }
    }
}

impl LayerSpec for ConditionalBatchNorm {
    const NAME: &'static str = "conditional_batch_norm";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        self.settings().check()?;
        several_classes(self.conditional_batch_norm)?;
        let c = input[0];
        let layer = Inferred::new(input).with_param("weight", &[self.conditional_batch_norm, c], Role::Scale);
        Ok(layer.with_param("bias", &[self.conditional_batch_norm, c], Role::Shift).with_running(c))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let classes = cx.classes(self.conditional_batch_norm, x.value.dim(0)?)?;
        let normal = normalized(x, self.settings(), cx)?;
        let of_sample = |name: &str| -> Result<Dual> {
            let rows = cx.param(name)?.index_select(&classes, 0)?;
            let mut shape = rows.dims().to_vec();
            shape.resize(x.value.rank(), 1);
            Ok(Dual::constant(rows.reshape(shape)?))
        };
        normal.mul(&of_sample("weight")?)?.add(&of_sample("bias")?)
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let of = OwnFactors::Affine { classes: self.conditional_batch_norm };
        Some(vec![FusedLayer::SampleNorm(SampleNorm { of, affine: Some([place(0), place(1)]), eps: self.eps })])
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let mut along = vec![1; cx.input().len()];
        along[0] = cx.input()[0];
        let channels = along[0];
        let known = self.conditional_batch_norm;
        let one = cx.constant(Tensor::ones(channels, candle_core::DType::F32, &candle_core::Device::Cpu)?);
        let zero = cx.constant(Tensor::zeros(channels, candle_core::DType::F32, &candle_core::Device::Cpu)?);
        let inputs = [x, one, zero, cx.param("running_mean")?, cx.param("running_var")?];
        let normal = cx.node(Op::BatchNorm { eps: self.eps }, &inputs);
        let class = cx.class(known);
        let mut of_sample = |name: &str| {
            let table = cx.param(name)?;
            let rows = cx.node(Op::Gather, &[table, class]);
            Ok::<Value, candle_core::Error>(cx.reshape(rows, &along))
        };
        let scale = of_sample("weight")?;
        let shift = of_sample("bias")?;
        let scaled = cx.binary(Binary::Mul, normal, scale);
        Ok(cx.binary(Binary::Add, scaled, shift))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let call = Call::new("ConditionalBatchNorm").with(self.conditional_batch_norm).with(input[0]);
        let module: TorchModule = call.with_key("eps", self.eps, &eps()).module();
        Ok(module.with_helpers(&[CONDITIONAL]).with_class())
    }

    fn classes(&self) -> Option<usize> {
        Some(self.conditional_batch_norm)
    }

    fn running(&self) -> Option<BatchNormSettings> {
        Some(self.settings())
    }
}

const CONDITIONAL: Helper = Helper(
    r#"class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale and shift depend on the sample's class, with running averages."""

    takes_class = True

    def __init__(self, classes, channels, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(classes, channels))
        self.bias = nn.Parameter(torch.zeros(classes, channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x, classes):
        x = F.batch_norm(x, self.running_mean, self.running_var, eps=self.eps)
        along = (len(x), -1) + (1,) * (x.dim() - 2)
        return x * self.weight[classes].view(along) + self.bias[classes].view(along)
"#,
);

/// Returns x̂ with the batch's statistics, which the running averages follow, or in evaluation mode with the running averages.
fn normalized(x: &Dual, settings: BatchNormSettings, cx: &LayerContext) -> Result<Dual> {
    if !cx.is_training() {
        let [mean, variance] = running(cx.params)?;
        let like = &x.value;
        let mean = Dual::constant(along_channels(&mean.to_dtype(like.dtype())?, like)?);
        let scale = (variance.to_dtype(like.dtype())? + settings.eps)?.sqrt()?.recip()?;
        return x.sub(&mean)?.mul(&Dual::constant(along_channels(&scale, like)?));
    }
    let channels = x.value.dim(1)?;
    let own = x.value.elem_count() / channels.max(1);
    let ranks = &cx.pass.ranks;
    if own < 2 && ranks.is_none() {
        bail!("batch norm needs more than one number a channel, got input {:?}: use a larger batch", x.value.dims());
    }
    let mut count = [own as f64];
    if let Some(ranks) = ranks {
        ranks.sum(&mut count);
    }
    let others: Vec<usize> = (0..x.value.rank()).filter(|axis| *axis != 1).collect();
    // Each rank adds its part of the mean over all of them.
    let part = own as f64 / count[0];
    let mean = |x: &Dual| x.mean(&others)?.linear(|mean| ops::sum_over_ranks(&(mean * part)?, ranks));
    let centre = mean(x)?;
    let centred = x.sub(&centre)?;
    let variance = mean(&centred.sqr()?)?;
    let flat = |t: &Dual| t.value.detach().flatten_all();
    let batch = BatchStatistics { mean: flat(&centre)?, variance: flat(&variance)?, count: count[0] as usize };
    follow(cx.params, settings, &batch)?;
    centred.mul(&variance.affine(1.0, settings.eps)?.rsqrt()?)
}

/// Reshapes a vector `[C]` so that it can be broadcast over `like` `[N, C, …]`.
pub(super) fn along_channels(vector: &Tensor, like: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; like.rank()];
    shape[1] = vector.elem_count();
    vector.reshape(shape)
}

/// Returns the running mean and variance among a layer's parameters, `[C]` each.
pub(crate) fn running(params: &[Param]) -> Result<[Tensor; 2]> {
    let of = |role: Role| match params.iter().find(|param| param.role == role) {
        Some(param) => param.tensor(),
        None => bail!("there are no running averages"),
    };
    Ok([of(Role::RunningMean)?, of(Role::RunningVariance)?])
}

/// Updates the running averages among a layer's parameters with a batch.
pub(crate) fn follow(params: &[Param], settings: BatchNormSettings, batch: &BatchStatistics) -> Result<()> {
    for param in params {
        let new = match param.role {
            Role::RunningMean => batch.mean.clone(),
            Role::RunningVariance => (&batch.variance * settings.correction(batch))?,
            _ => continue,
        };
        // average ← (1 − momentum)·average + momentum·new
        param.set(&((param.tensor()? * (1.0 - settings.momentum))? + (new * settings.momentum)?)?)?;
    }
    Ok(())
}

pub(super) fn eps() -> f64 {
    1e-5
}
fn momentum() -> f64 {
    0.1
}
