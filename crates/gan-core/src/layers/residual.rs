//! Residual blocks.

use super::settings::require;
use super::{Dual, InferResult, Inferred, Layer, LayerContext, LayerSpec, list};
use crate::shape::infer_list;
use candle_core::Result;
use serde::{Deserialize, Serialize};

/// Maximum nesting depth of residual blocks. Networks in the literature nest two or three; every walk over a list is recursive, and this
/// bounds it.
pub(crate) const MOST_NESTED: usize = 16;

/// Sum f(x) + g(x) of two lists of layers (He et al. 2015, arXiv:1512.03385). Their parameters are `body.0.weight`, `skip.0.weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// f.
    #[serde(deserialize_with = "list")]
    pub residual: Vec<Layer>,
    /// g; the identity if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub skip: Vec<Layer>,
}

impl LayerSpec for Residual {
    const NAME: &'static str = "residual";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        require(!self.residual.is_empty(), "at least one layer in residual")?;
        let inside = |name: &str, layers: &[Layer]| {
            infer_list(name, input, layers).map_err(|error| format!("layers inside that fit ({error})"))
        };
        let branches = vec![inside("residual", &self.residual)?, inside("skip", &self.skip)?];
        let [body, skip] = [0, 1].map(|i: usize| branches[i].last().map_or(input.to_vec(), |last| last.output.clone()));
        require(body == skip, format!("both ways to make the same, but residual makes {body:?} and skip {skip:?}"))?;
        Ok(Inferred { branches, ..Inferred::new(body) })
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        // The skip branch runs first, so it draws its random numbers first.
        let skip = cx.branch(1, x)?;
        cx.branch(0, x)?.add(&skip)
    }

    fn with_spectral_norm(self) -> Self {
        let normed = |layers: &[Layer]| layers.iter().map(Layer::with_spectral_norm).collect();
        Self { residual: normed(&self.residual), skip: normed(&self.skip) }
    }

    fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        vec![("body", &self.residual), ("skip", &self.skip)]
    }
}
