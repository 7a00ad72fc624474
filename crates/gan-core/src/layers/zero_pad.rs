//! Zero padding.

use super::settings::{Pad, image, limit};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use candle_core::Result;
use gan_kernels::fused::{FusedLayer, Resample};
use gan_kernels::ops;
use serde::{Deserialize, Serialize};

/// Zero padding around an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroPad {
    /// Number of rows and columns on each side.
    pub zero_pad: Pad,
}

impl LayerSpec for ZeroPad {
    const NAME: &'static str = "zero_pad";

    fn infer(&self, input: &[usize]) -> InferResult {
        limit(&self.zero_pad.numbers())?;
        if matches!(self.zero_pad, Pad::Rule(_)) {
            return Err("numbers: n, [vertical, horizontal] or [top, bottom, left, right]".into());
        }
        let [c, h, w] = image(input)?;
        let [tall, wide] = self.zero_pad.sides().total();
        Ok(Inferred::new([c, h.saturating_add(tall), w.saturating_add(wide)]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        x.linear(|x| ops::zero_pad2d(x, self.zero_pad.sides()))
    }

    fn fused(&self, _: &[usize], _: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        Some(vec![FusedLayer::Resample(Resample::ZeroPad(self.zero_pad.sides()))])
    }

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }
}
