//! What all networks for images do before and around their own work: refuse what they cannot take, and go in batches.

use super::Embedding;
use crate::error::{Error, Result};
use candle_core::Tensor;
use gan_base::messages::counted;

/// `[C, H, W]` of images `[N, C, H, W]`, for the network called `name`, which takes `channels` of them.
///
/// # Errors
/// [`Error::Mismatch`] where they are no images, none, empty, or have other channels.
pub fn shape(images: &Tensor, name: &str, channels: usize) -> Result<[usize; 3]> {
    let colours = if channels == 1 { "1 channel (grey)".into() } else { counted(channels, "channel") };
    let wrong = |advice: &str| Error::Mismatch {
        what: format!("images for {name}"),
        found: format!("a tensor {:?}", images.dims()),
        expected: format!("[N, C, H, W] with {colours}"),
        advice: advice.into(),
    };
    match *images.dims() {
        [n, c, h, w] if n * h * w > 0 && c == channels => Ok([c, h, w]),
        [n, _, h, w] if n * h * w == 0 => Err(wrong("there has to be an image, and a pixel in it")),
        [_, 3, _, _] => Err(wrong("turn the images grey, or take a network for colour images")),
        [_, 1, _, _] => Err(wrong("repeat the grey channel, or take a network for grey images")),
        [_, _, _, _] => Err(wrong("take a network for images with as many channels")),
        _ => Err(wrong("only images can be embedded")),
    }
}

/// What `run` makes of `images`, `size` at a time.
///
/// # Errors
/// Those of `run`.
pub fn in_batches(images: &Tensor, size: usize, run: impl Fn(&Tensor) -> Result<Embedding>) -> Result<Embedding> {
    let n = images.dim(0)?;
    let parts = (0..n).step_by(size).map(|at| run(&images.narrow(0, at, size.min(n - at))?));
    let parts: Vec<Embedding> = parts.collect::<Result<_>>()?;
    let features: Vec<&Tensor> = parts.iter().map(|part| &part.features).collect();
    let logits: Option<Vec<&Tensor>> = parts.iter().map(|part| part.logits.as_ref()).collect();
    let logits = logits.map(|logits| Tensor::cat(&logits, 0)).transpose()?;
    Ok(Embedding { features: Tensor::cat(&features, 0)?, logits })
}
