//! The dense layer.

use super::settings::{finite_gain, is_yes, require, vector, yes};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{GraphContext, Op, Value};
use crate::pytorch::{Call, Helper, TorchModule, TorchResult};
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

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let inputs = cx.kernel_and_bias(x, self.bias)?;
        Ok(cx.node(Op::Linear, &inputs))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        Ok(linear(vector(input)?, self.dense, self.bias, self.spectral_norm))
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}

/// Returns a dense layer as a PyTorch module.
pub(super) fn linear(inputs: usize, outputs: usize, bias: bool, spectral_norm: bool) -> TorchModule {
    let call = Call::new(if spectral_norm { "SpectralLinear" } else { "nn.Linear" });
    let module = call.with(inputs).with(outputs).with_key("bias", bias, &true).module();
    if spectral_norm { module.with_helpers(&[SPECTRAL, SPECTRAL_LINEAR]) } else { module }
}

/// Kernels divided by their largest singular value.
pub(super) const SPECTRAL: Helper = Helper(
    r#"def spectrally_normalized(weight, u, axis=0):
    """Returns a kernel divided by its largest singular value, which u, the left singular vector from training, gives."""
    matrix = weight.transpose(0, axis).flatten(1)
    u = F.normalize(u, dim=0)
    v = F.normalize(matrix.t() @ u, dim=0)
    sigma = u @ (matrix @ v)
    return weight / torch.where(sigma == 0, torch.ones_like(sigma), sigma)
"#,
);

pub(super) const SPECTRAL_LINEAR: Helper = Helper(
    r#"class SpectralLinear(nn.Linear):
    """nn.Linear with spectral norm."""

    def __init__(self, inputs, outputs, bias=True):
        super().__init__(inputs, outputs, bias)
        self.register_buffer("weight_u", torch.ones(outputs))

    def forward(self, x):
        return F.linear(x, spectrally_normalized(self.weight, self.weight_u), self.bias)
"#,
);
