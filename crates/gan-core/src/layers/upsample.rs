//! Nearest-neighbor upsampling.

use super::settings::{Pair, image, limit};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use candle_core::Result;
use gan_kernels::fused::{FusedLayer, Resample};
use gan_kernels::ops;
use serde::{Deserialize, Serialize};

/// Nearest-neighbor upsampling: `[C, H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// Number of repetitions of each pixel.
    pub upsample: Pair,
}

impl LayerSpec for Upsample {
    const NAME: &'static str = "upsample";

    fn infer(&self, input: &[usize]) -> InferResult {
        Ok(Inferred::new(enlarged(input, self.upsample)?))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| ops::upsample_nearest2d(x, self.upsample.get()))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::Upsample(self.upsample.get()))])
    }

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }
}

/// Returns an image's shape enlarged by `factors`.
pub(super) fn enlarged(input: &[usize], factors: Pair) -> std::result::Result<Vec<usize>, String> {
    let [down, across] = factors.get();
    limit(&[down, across])?;
    let [c, h, w] = image(input)?;
    if down == 0 || across == 0 {
        return Err("factors of at least 1".into());
    }
    Ok(vec![c, h.saturating_mul(down), w.saturating_mul(across)])
}
