//! The projection discriminator's head.

use super::settings::{is_no, several_classes, vector};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use candle_core::Result;
use serde::{Deserialize, Serialize};

/// D's head ψ(h) + ⟨e(class), h⟩, with ψ a dense layer (Miyato & Koyama 2018, arXiv:1802.05637): `[F] -> [1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// Number of classes.
    pub projection: usize,
    /// Whether to divide both kernels by their largest singular values.
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
}

impl LayerSpec for Projection {
    const NAME: &'static str = "projection";

    fn infer(&self, input: &[usize]) -> InferResult {
        let features = vector(input)?;
        several_classes(self.projection)?;
        let layer = Inferred::new([1]).within(&[self.projection])?.with_kernel("weight", &[1, features], None);
        let layer = layer.with_bias(1, true).with_kernel("embed.weight", &[self.projection, features], None);
        let multiply_adds = features.saturating_mul(2);
        Ok(Inferred { multiply_adds, ..layer.with_spectral_norm(self.spectral_norm) })
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        let classes = cx.classes(self.projection, x.value.dim(0)?)?;
        let psi = cx.kernel("weight")?;
        let embed = cx.kernel("embed.weight")?;
        let direction = Dual::constant(embed.index_select(&classes, 0)?.broadcast_add(&psi)?);
        let bias = Dual::constant(cx.param("bias")?.reshape((1, 1))?);
        x.mul(&direction)?.linear(|y| y.sum_keepdim(1))?.add(&bias)
    }

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }

    fn classes(&self) -> Option<usize> {
        Some(self.projection)
    }

    fn with_spectral_norm(self) -> Self {
        Self { spectral_norm: true, ..self }
    }
}
