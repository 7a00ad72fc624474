//! Dropout (Srivastava et al. 2014).

use super::settings::require;
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::graph::{GraphContext, Value};
use crate::pytorch::{Call, TorchResult};
use candle_core::Result;
use gan_kernels::fused::{self, FusedLayer};
use gan_kernels::ops;
use serde::{Deserialize, Serialize};

/// Dropout of elements in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability of dropping an element.
    pub dropout: f64,
}

impl LayerSpec for Dropout {
    const NAME: &'static str = "dropout";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        require((0.0..1.0).contains(&self.dropout), "a share in [0, 1)")?;
        Ok(Inferred::new(input))
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        match cx.uniform_like(&x.value)? {
            Some(numbers) => x.linear(|x| ops::dropout(x, &numbers, self.dropout)),
            None => Ok(x.clone()),
        }
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Dropout(fused::Dropout(self.dropout))])
    }

    fn graph(&self, x: Value, _: &mut GraphContext) -> Result<Value> {
        Ok(x)
    }

    fn pytorch(&self, _: &[usize]) -> TorchResult {
        Ok(Call::new("nn.Dropout").with(self.dropout).module())
    }
}
