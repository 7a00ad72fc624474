//! The auxiliary classifier's head.

use super::settings::{is_no, several_classes, vector};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use candle_core::Result;
use gan_kernels::ops;
use serde::{Deserialize, Serialize};

/// D's head of an auxiliary classifier: one dense layer to the logit and to one logit per class (Odena et al. 2016,
/// arXiv:1610.09585): `[F] -> [1 + classes]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auxiliary {
    /// Number of classes.
    pub auxiliary: usize,
    /// Whether to divide the kernel by its largest singular value.
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
}

impl LayerSpec for Auxiliary {
    const NAME: &'static str = "auxiliary";

    fn infer(&self, input: &[usize]) -> InferResult {
        let features = vector(input)?;
        several_classes(self.auxiliary)?;
        let outputs = self.auxiliary.saturating_add(1);
        let layer = Inferred::new([outputs]).within(&[self.auxiliary])?;
        let layer = layer.with_kernel("weight", &[outputs, features], None).with_bias(outputs, true);
        Ok(layer.with_spectral_norm(self.spectral_norm).with_products(1))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let kernel = cx.kernel("weight")?;
        let bias = Dual::constant(cx.param("bias")?.unsqueeze(0)?);
        x.linear(|x| ops::linear(x, &kernel, None))?.add(&bias)
    }

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }

    fn classes(&self) -> Option<usize> {
        Some(self.auxiliary)
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}
