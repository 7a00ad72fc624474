//! Convolutions and batch norm as modules, with the constructors and configurations of candle-nn: replace `candle_nn::conv2d` by
//! `gan_kernels::nn::conv2d`, and so on. Weights have the same names, shapes and initial values, so that the same files load.
//!
//! f32 on the CPU uses this crate's kernels, everything else candle's own operations. A module of candle-nn becomes one of these by `into()`.

use crate::fused::{self, FusedLayer, FusedSequential, Layout, Reuse, Run, Statistics};
use crate::{ConvSpec, Padding, Precision, ops};
use candle_core::{DType, Module, ModuleT, Result, Tensor, Var, bail};
use candle_nn::{BatchNormConfig, Conv2dConfig, ConvTranspose2dConfig, VarBuilder};
use std::ops::Deref;
use std::sync::Arc;

/// A convolution: x `[N, C, H, W]` -> `[N, O, H', W']`. Dereferences to candle-nn's, which holds weight, bias and configuration.
#[derive(Clone, Debug)]
pub struct Conv2d(candle_nn::Conv2d);

/// A transposed convolution: x `[N, I, H, W]` -> `[N, O, H', W']`. Dereferences to candle-nn's.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d(candle_nn::ConvTranspose2d);

/// Batch norm over `[N, C]`, `[N, C, L]` or `[N, C, H, W]`. Dereferences to candle-nn's, whose running averages it updates.
#[derive(Clone, Debug)]
pub struct BatchNorm(candle_nn::BatchNorm);

macro_rules! constructors {
    ($($(#[doc = $doc:literal])* $name:ident($config:ident) -> $module:ident;)*) => {$(
        $(#[doc = $doc])*
        ///
        /// # Errors
        /// If a weight is missing or has another shape.
        pub fn $name(inputs: usize, outputs: usize, kernel: usize, config: $config, vb: VarBuilder) -> Result<$module> {
            candle_nn::$name(inputs, outputs, kernel, config, vb).map($module)
        }
    )*};
}

constructors! {
    /// Returns a convolution with a square kernel; groups and dilation are in the configuration.
    conv2d(Conv2dConfig) -> Conv2d;
    /// Returns a convolution with a square kernel, without bias.
    conv2d_no_bias(Conv2dConfig) -> Conv2d;
    /// Returns a transposed convolution with a square kernel.
    conv_transpose2d(ConvTranspose2dConfig) -> ConvTranspose2d;
    /// Returns a transposed convolution with a square kernel, without bias.
    conv_transpose2d_no_bias(ConvTranspose2dConfig) -> ConvTranspose2d;
}

/// Returns batch norm over `channels`.
///
/// # Errors
/// If a tensor is missing or has another shape, or ε is negative.
pub fn batch_norm(channels: usize, config: impl Into<BatchNormConfig>, vb: VarBuilder) -> Result<BatchNorm> {
    let config = config.into();
    if !config.remove_mean {
        bail!("this batch norm always removes the mean: use candle_nn::batch_norm for remove_mean = false");
    }
    candle_nn::batch_norm(channels, config, vb).map(BatchNorm)
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Conv2dConfig { padding, stride, dilation, groups, .. } = *self.config();
        ops::grouped_conv2d(x, self.weight(), self.bias(), &spec(padding, stride, dilation), groups)
    }
}

impl Module for ConvTranspose2d {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let ConvTranspose2dConfig { padding, output_padding, stride, dilation } = *self.config();
        let spec = spec(padding, stride, dilation);
        ops::conv_transpose2d(x, self.weight(), self.bias(), &spec, [output_padding, output_padding])
    }
}

impl ModuleT for BatchNorm {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        if !train || !x.device().is_cpu() || x.dtype() != DType::F32 {
            return self.0.forward_t(x, train);
        }
        let shape = match x.dims() {
            [n, c] => vec![*n, *c],
            [n, c, rest @ ..] => vec![*n, *c, rest.iter().product(), 1],
            other => bail!("batch norm works on [N, C, …], got {other:?}"),
        };
        let channels = self.running_mean().elem_count();
        if shape[1] != channels {
            bail!("this batch norm has {channels} channels, the input {:?} has {}", x.dims(), shape[1]);
        }
        let parameters = match self.weight_and_bias() {
            Some((weight, bias)) => Tensor::cat(&[weight, bias], 0)?,
            None => {
                let constant = |value: f32| Tensor::full(value, channels, x.device());
                Tensor::cat(&[constant(1.0)?, constant(0.0)?], 0)?
            }
        };
        let norm = fused::BatchNorm { scale: 0, shift: channels, eps: self.eps() };
        let layers = vec![FusedLayer::BatchNorm(norm)];
        let network = Arc::new(FusedSequential::new(&shape[1..], layers, Precision::F32, Reuse::Never)?);
        let run = Run {
            statistics: Statistics::Batch(&None),
            noise: vec![],
            classes: None,
            from: Layout::ChannelsFirst,
            to: Layout::ChannelsFirst,
        };
        let (y, statistics) = network.apply(&x.reshape(shape)?, &parameters, run)?;
        for batch in &statistics {
            // The running variance is the unbiased one, as PyTorch's.
            let unbiased = batch.count as f64 / (batch.count as f64 - 1.0);
            self.update(self.running_mean(), &batch.mean)?;
            self.update(self.running_var(), &(&batch.variance * unbiased)?)?;
        }
        y.reshape(x.dims())
    }
}

impl BatchNorm {
    /// Moves a running average towards the batch's.
    fn update(&self, average: &Tensor, batch: &Tensor) -> Result<()> {
        let kept = (average.detach() * (1.0 - self.momentum()))?;
        // A handle of the same variable.
        Var::from_tensor(average)?.set(&(kept + (batch * self.momentum())?)?)
    }
}

fn spec(padding: usize, stride: usize, dilation: usize) -> ConvSpec {
    ConvSpec {
        stride: [stride, stride],
        padding: Padding::all(padding),
        dilation: [dilation, dilation],
        ..ConvSpec::default()
    }
}

macro_rules! of_candle_nn {
    ($($name:ident)*) => {$(
        impl From<candle_nn::$name> for $name {
            fn from(module: candle_nn::$name) -> Self {
                Self(module)
            }
        }

        impl Deref for $name {
            type Target = candle_nn::$name;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
}

of_candle_nn!(Conv2d ConvTranspose2d BatchNorm);
