//! Sub-pixel upsampling.

use super::settings::{image, limit};
use super::{Dual, InferResult, Inferred, LayerContext, LayerSpec};
use candle_core::Result;
use serde::{Deserialize, Serialize};

/// Rearranges channels into pixels (Shi et al. 2016, arXiv:1609.05158): `[C·s², H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelShuffle {
    /// Factor s.
    pub pixel_shuffle: usize,
}

impl LayerSpec for PixelShuffle {
    const NAME: &'static str = "pixel_shuffle";

    fn infer(&self, input: &[usize]) -> InferResult {
        let s = self.pixel_shuffle;
        limit(&[s])?;
        let [c, h, w] = image(input)?;
        if s == 0 || s > 64 || !c.is_multiple_of(s * s) {
            return Err("a factor s whose square divides the channels".into());
        }
        Ok(Inferred::new([c / (s * s), h.saturating_mul(s), w.saturating_mul(s)]))
    }

    fn forward(&self, x: &Dual, _: &mut LayerContext) -> Result<Dual> {
        let s = self.pixel_shuffle;
        x.linear(|x| {
            let (n, c, h, w) = x.dims4()?;
            let c = c / (s * s);
            let spread = x.reshape(&[n, c, s, s, h, w][..])?.permute(&[0, 1, 4, 2, 5, 3][..])?;
            spread.contiguous()?.reshape((n, c, h * s, w * s))
        })
    }

    fn is_nonlinear(&self, _: bool) -> bool {
        false
    }
}
