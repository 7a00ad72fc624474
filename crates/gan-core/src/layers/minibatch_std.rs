//! Minibatch standard deviation.

use super::settings::require;
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use candle_core::Result;
use gan_kernels::fused::{self, FusedLayer};
use serde::{Deserialize, Serialize};

/// Adds one channel (or feature): the standard deviation over the samples of a group, averaged over everything (Karras
/// et al. 2018, arXiv:1710.10196, in StyleGAN2's form).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinibatchStd {
    /// Number of samples in a group; if it does not divide the batch, the next smaller number that does.
    pub minibatch_std: usize,
}

impl LayerSpec for MinibatchStd {
    const NAME: &'static str = "minibatch_std";
    const IS_NONLINEAR: bool = true;

    fn infer(&self, input: &[usize]) -> InferResult {
        require(self.minibatch_std >= 2, "groups of at least 2 samples")?;
        Ok(Inferred::new([&[input[0].saturating_add(1)], &input[1..]].concat()))
    }

    /// Computes the layer, with sample i in group i mod (N / size).
    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let shape = x.value.dims().to_vec();
        let n = shape[0];
        let size = (1..=self.minibatch_std.min(n)).rev().find(|size| n.is_multiple_of(*size)).unwrap_or(1);
        let grouped = x.linear(|x| x.reshape((size, n / size, ())))?;
        let centred = grouped.sub(&grouped.mean(&[0])?)?;
        let deviation = centred.sqr()?.mean(&[0])?.affine(1.0, 1e-8)?.sqrt()?.mean(&[2])?;
        let mut wide = shape.clone();
        wide[1] = 1;
        let spread = deviation.linear(|d| {
            let mut one = vec![1; shape.len()];
            one[0] = n;
            let d = d.reshape((1, n / size))?.broadcast_as((size, n / size))?.contiguous()?;
            d.reshape(one)?.broadcast_as(&wide[..])
        })?;
        x.join(&spread.linear(|s| s.contiguous())?, 1)
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::MinibatchStd(fused::MinibatchStd { group: self.minibatch_std })])
    }
}
