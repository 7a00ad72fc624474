//! A grey classifier applied to red, green and blue, for images that are stacked from grey ones (Stacked-MNIST).

use super::{Embedder, Embedding, FeatureSpace, Layered, Sizes};
use crate::error::{Error, Result};
use candle_core::{D, Tensor};

/// What cards call it.
pub(super) const NAME: &str = "digits on each channel";

/// One classifier for each of three channels: features side by side, a class for each combination of theirs.
pub struct Stacked {
    grey: Layered,
    classes: Vec<String>,
}

impl Stacked {
    /// The classifier of digits on each channel: 1,000 classes, "000" to "999", red first.
    ///
    /// # Errors
    /// From candle.
    pub fn digits() -> Result<Self> {
        let grey = Layered::digits()?;
        let names = grey.classes().to_vec();
        let all = |a: &String| {
            names
                .iter()
                .flat_map(|b| names.iter().map(move |c| (b, c)))
                .map(|(b, c)| format!("{a}{b}{c}"))
                .collect::<Vec<_>>()
        };
        let classes = names.iter().flat_map(all).collect();
        Ok(Self { grey, classes })
    }
}

impl Embedder for Stacked {
    fn name(&self) -> &str {
        NAME
    }
    fn feature_space(&self) -> FeatureSpace {
        FeatureSpace::Digits
    }
    fn hash(&self) -> &str {
        self.grey.hash()
    }
    fn resizing(&self) -> Option<&str> {
        self.grey.resizing()
    }
    fn sizes(&self) -> Sizes {
        self.grey.sizes()
    }
    fn dim(&self) -> usize {
        3 * self.grey.dim()
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }

    /// images `[N, 3, H, W]` -> features `[N, 3·D]` and log-probabilities `[N, K³]`.
    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        if images.rank() != 4 || images.dim(1)? != 3 {
            let (found, expected) = (format!("{:?}", images.dims()), "[N, 3, H, W]".into());
            let advice = "three grey images stacked as red, green and blue are needed".into();
            return Err(Error::Mismatch { what: "images".into(), found, expected, advice });
        }
        let channels =
            (0..3).map(|c| self.grey.embed(&images.narrow(1, c, 1)?.contiguous()?)).collect::<Result<Vec<_>>>()?;
        let features: Vec<&Tensor> = channels.iter().map(|channel| &channel.features).collect();
        let logits = channels.iter().map(|channel| log_softmax(channel.logits.as_ref())).collect::<Result<Vec<_>>>()?;
        let (n, k) = logits[0].dims2()?;
        let shapes = [(n, k, 1, 1), (n, 1, k, 1), (n, 1, 1, k)];
        let [a, b, c] = [0, 1, 2].map(|i| logits[i].reshape(shapes[i]));
        let joint = a?.broadcast_add(&b?)?.broadcast_add(&c?)?.reshape((n, k * k * k))?;
        Ok(Embedding { features: Tensor::cat(&features, 1)?, logits: Some(joint) })
    }
}

/// `[N, K]` -> log of the probabilities.
fn log_softmax(logits: Option<&Tensor>) -> Result<Tensor> {
    let Some(logits) = logits else {
        let (what, found, expected) = ("network".into(), "no classes".into(), "a classifier".into());
        return Err(Error::Mismatch { what, found, expected, advice: "name another network".into() });
    };
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}
