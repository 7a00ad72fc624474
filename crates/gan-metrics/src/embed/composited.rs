//! RGB networks for images with alpha: they see each image over black and over white.
//!
//! Over one background alone, a network would not see what is as dark or as light as the background. Of the features, those with even
//! numbers come from the composite over black and those with odd numbers from the one over white, so that a distance has as many
//! dimensions as for RGB images, and both colors and alpha change it. Logits are the mean of both.

use super::{Embedder, EmbedderInfo, Embedding, image_shape};
use crate::error::Result;
use candle_core::Tensor;
use std::sync::Arc;

/// What cards say about the images.
const HOW: &str = "half of the features over black, half over white";

/// An embedder of premultiplied RGB and alpha, `[N, 4, H, W]`.
pub struct Composited {
    inner: Arc<dyn Embedder>,
    info: EmbedderInfo,
}

impl Composited {
    /// Returns `inner`, a network for RGB images, for images with alpha.
    pub fn new(inner: Arc<dyn Embedder>) -> Self {
        let mut info = inner.info().clone();
        info.card.resize = Some(info.card.resize.map_or(HOW.into(), |resize| format!("{HOW}; {resize}")));
        Self { inner, info }
    }
}

/// Returns images with alpha, `[N, 4, H, W]`, over black and over white: `[N, 3, H, W]` each.
fn composites(images: &Tensor) -> Result<[Tensor; 2]> {
    let black = images.narrow(1, 0, 3)?.contiguous()?;
    // p + (1 − α) in numbers from 0 to 1. Where a generator's color exceeds its alpha, the sum would leave the range.
    let behind = images.narrow(1, 3, 1)?.affine(-1.0, 1.0)?;
    let white = black.broadcast_add(&behind)?.clamp(-1.0, 1.0)?;
    Ok([black, white])
}

impl Embedder for Composited {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        image_shape(images, &self.info.card.name, 4)?;
        let [black, white] = composites(images)?;
        let [black, white] = [self.inner.embed(&black)?, self.inner.embed(&white)?];
        let dim = self.info.card.dim;
        let is_odd: Vec<u8> = (0..dim).map(|at| (at % 2) as u8).collect();
        let is_odd = Tensor::from_vec(is_odd, (1, dim), black.features.device())?;
        let is_odd = is_odd.broadcast_as(black.features.shape())?;
        let features = is_odd.where_cond(&white.features, &black.features)?;
        let logits = black.logits.zip(white.logits).map(|(black, white)| (black + white)? / 2.0).transpose()?;
        Ok(Embedding { features, logits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::Thumbnails;
    use candle_core::Device;

    /// An image of one pixel.
    fn image(pixel: [f32; 4]) -> Tensor {
        Tensor::new(&pixel, &Device::Cpu).unwrap().reshape((1, 4, 1, 1)).unwrap()
    }

    #[test]
    fn features_tell_colors_and_alpha_apart() {
        let network = Composited::new(Arc::new(Thumbnails::new([3, 1, 1])));
        let features = |pixel| network.embed(&image(pixel)).unwrap().features.to_vec2::<f32>().unwrap().remove(0);
        let opaque_black = features([-1.0, -1.0, -1.0, 1.0]);
        let opaque_white = features([1.0, 1.0, 1.0, 1.0]);
        let transparent = features([-1.0, -1.0, -1.0, -1.0]);
        let half_white = features([0.0, 0.0, 0.0, 0.0]);
        let opaque_gray = features([0.0, 0.0, 0.0, 1.0]);
        let all = [&opaque_black, &opaque_white, &transparent, &half_white, &opaque_gray];
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{all:?}");
        }
        // Over black, transparent pixels are black; over white, they are white.
        assert_eq!((transparent[0], transparent[1]), (opaque_black[0], opaque_white[1]));
        assert_eq!((network.info().card.dim, network.info().card.name.as_str()), (3, "thumbnails"));
        assert!(network.info().card.resize.as_ref().unwrap().contains("half over white"));
    }

    #[test]
    fn other_channels_are_refused() {
        let network = Composited::new(Arc::new(Thumbnails::new([3, 1, 1])));
        let rgb = Tensor::zeros((1, 3, 1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(network.embed(&rgb).is_err());
    }
}
