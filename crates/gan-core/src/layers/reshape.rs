//! Reshaping.

use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use crate::shape::{is_shape, product};
use candle_core::Result;
use gan_kernels::fused::{self, FusedLayer};
use serde::{Deserialize, Serialize};

/// Reshapes each sample: `[…] -> [this]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// New shape without the batch.
    pub reshape: Vec<usize>,
}

impl LayerSpec for Reshape {
    const NAME: &'static str = "reshape";

    fn infer(&self, input: &[usize]) -> InferResult {
        let have: usize = input.iter().product();
        let want = product(&self.reshape);
        if want != Some(have) {
            let want = want.map_or("more than all".to_string(), |n| n.to_string());
            return Err(format!("{want} numbers, {have} reach it"));
        }
        if !is_shape(&self.reshape) {
            return Err("a shape [features] or [channels, height, width]".into());
        }
        Ok(Inferred::new(&self.reshape[..]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| x.reshape([&[x.dim(0)?], self.reshape.as_slice()].concat()))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Reshape(fused::Reshape(self.reshape.clone()))])
    }

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }
}

/// Flattens each sample into a vector: `[…] -> [F]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flatten;

impl LayerSpec for Flatten {
    const NAME: &'static str = "flatten";

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new([input.iter().product()]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| x.flatten_from(1))
    }

    fn fused(&self, input: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Reshape(fused::Reshape(vec![input.iter().product()]))])
    }

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }
}
