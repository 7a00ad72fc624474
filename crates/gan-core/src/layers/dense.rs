//! The dense layer.

use super::settings::{finite_gain, is_yes, require, vector, yes};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use candle_core::Result;
use gan_kernels::fused::{Conv as FusedConv, FusedLayer, Weights};
use gan_kernels::{ConvSpec, ops};
use serde::{Deserialize, Serialize};
use std::ops::Not;

/// Dense layer x·Wᵀ + b over a vector: `[I] -> [O]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Outputs O.
    pub dense: usize,
    /// Whether to add a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Whether to divide the kernel by its largest singular value.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub spectral_norm: bool,
    /// Factor of the kernel's initial values; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

impl Dense {
    /// Returns a layer with `outputs` outputs and a bias.
    pub fn new(outputs: usize) -> Self {
        Self { dense: outputs, bias: true, spectral_norm: false, gain: None }
    }
}

impl LayerSpec for Dense {
    const NAME: &'static str = "dense";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        finite_gain(self.gain)?;
        let features = vector(input)?;
        require(self.dense > 0, "at least 1 output")?;
        let layer = Inferred::new([self.dense]).with_kernel("weight", &[self.dense, features], self.gain);
        Ok(layer.with_bias(self.dense, self.bias).with_spectral_norm(self.spectral_norm).with_products(1))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let kernel = cx.kernel("weight")?;
        let y = x.linear(|x| ops::linear(x, &kernel, None))?;
        if self.bias { y.add(&Dual::constant(cx.param("bias")?)) } else { Ok(y) }
    }

    fn fused(&self, _: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let weights = Weights { weight: place(0), bias: self.bias.then(|| place(1)) };
        let spec = ConvSpec::default();
        let outputs = self.dense;
        Some(vec![FusedLayer::Conv(FusedConv { weights, outputs, groups: 1, kernel: [1, 1], spec, transposed: None })])
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}
