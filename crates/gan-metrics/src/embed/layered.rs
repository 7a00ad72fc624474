//! Classifiers of gan-core's layers in a weight file, and the digit classifier that is shipped.

use super::resize::{Filter, resize};
use super::{Embedder, EmbedderInfo, Embedding, FeatureSpace, hex, image_shape, in_batches};
use crate::error::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use gan_base::regular_file;
use gan_core::weights::{Classifier, Resize};
use gan_core::{ForwardContext, Network};
use sha2::{Digest, Sha256};
use std::path::Path;

/// `cargo xtask experiments train-judge` creates it; this crate's README states its accuracy.
const DIGITS: &[u8] = include_bytes!("digits.safetensors");

/// Name of the digit classifier on cards.
pub(super) const DIGITS_NAME: &str = "digits";
/// Name on cards of the digit classifier on each of three channels.
pub(super) const STACKED_NAME: &str = "digits on each channel";

/// Number of images at a time: activations of more would take memory and save no time.
const BATCH: usize = 128;

/// A classifier of gan-core's layers. Its features are the input of its last layer with weights, unless its file names
/// another layer.
#[derive(Clone, Debug)]
pub struct Layered {
    info: EmbedderInfo,
    description: Classifier,
    network: Network,
}

impl Layered {
    /// Reads the weight file at `path`; the network gets the name of the file.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read; [`Error::Core`] if it is not a classifier's weight file, or its weights do not fit its
    /// layer list; [`Error::Mismatch`] if it takes no images.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = regular_file::read(path, super::MOST_BYTES).map_err(|e| {
            Error::file(path, format!("cannot be read ({e}): name the weight file of a classifier, or leave it out"))
        })?;
        Self::from_bytes(&bytes, path, FeatureSpace::Classifier)
    }

    /// Returns the digit classifier that is shipped: 96 features, ten classes, images `[1, 28, 28]`.
    ///
    /// # Errors
    /// None; the tests read the same file.
    pub fn digits() -> Result<Self> {
        Self::from_bytes(DIGITS, &Path::new(DIGITS_NAME).with_extension("safetensors"), FeatureSpace::Digits)
    }

    fn from_bytes(bytes: &[u8], path: &Path, features: FeatureSpace) -> Result<Self> {
        let (description, network) = Classifier::from_bytes(bytes, path, &Device::Cpu)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if network.input().len() != 3 {
            let found = format!("{:?}", network.input());
            let advice = "let its layer list begin with images";
            return Err(Error::mismatch(format!("input of {name}"), found, "an image [C, H, W]", advice));
        }
        let hash = hex(Sha256::new_with_prefix(bytes));
        let mut info = EmbedderInfo::new(&name, &hash, features, network.features().iter().product());
        info.classes = description.classes.clone();
        if description.resize == Resize::Bilinear {
            info.takes_any_size = true;
            info.card.resize = Some("anti-aliased bilinear, as Pillow's".into());
        }
        Ok(Self { info, description, network })
    }

    /// Returns the description in its file.
    pub fn description(&self) -> &Classifier {
        &self.description
    }
}

impl Embedder for Layered {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        let name = &self.info.card.name;
        let [channels, h, w] = [0, 1, 2].map(|axis| self.network.input()[axis]);
        let [_, height, width] = image_shape(images, name, channels)?;
        if !self.info.takes_any_size && [height, width] != [h, w] {
            let expected = format!("{h}×{w}, it resizes none");
            let advice = format!("bring the images to {h}×{w}, or take a network for their size");
            return Err(Error::mismatch(format!("images for {name}"), format!("{height}×{width}"), expected, advice));
        }
        in_batches(images, BATCH, |batch| {
            let batch = batch.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            let batch = resize(&batch, [h, w], Filter::Triangle)?.contiguous()?;
            let (logits, features) = self.network.forward_with_features(&batch, &mut ForwardContext::eval())?;
            Ok(Embedding { features: features.contiguous()?.flatten(1, D::Minus1)?, logits: Some(logits) })
        })
    }
}

/// The digit classifier on each of three channels, for images that consist of three grey ones (Stacked-MNIST): the features of all three, and
/// a class for each combination of their classes.
pub struct Stacked {
    info: EmbedderInfo,
    grey: Layered,
}

impl Stacked {
    /// Returns the classifier of digits on each channel: 1,000 classes, "000" to "999", red first.
    ///
    /// # Errors
    /// As [`Layered::digits`].
    pub fn digits() -> Result<Self> {
        let grey = Layered::digits()?;
        let mut info = grey.info.clone();
        info.card.name = STACKED_NAME.into();
        info.card.dim *= 3;
        let append = |names: Vec<String>| -> Vec<String> {
            names.iter().flat_map(|a| grey.info.classes.iter().map(move |b| format!("{a}{b}"))).collect()
        };
        info.classes = append(append(grey.info.classes.clone()));
        Ok(Self { info, grey })
    }
}

impl Embedder for Stacked {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    /// Computes features `[N, 3·D]` and log-probabilities `[N, K³]` of images `[N, 3, H, W]`.
    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        if images.rank() != 4 || images.dim(1)? != 3 {
            let advice = "three grey images stacked as red, green and blue are needed";
            return Err(Error::mismatch("images", format!("{:?}", images.dims()), "[N, 3, H, W]", advice));
        }
        let channel = |c| self.grey.embed(&images.narrow(1, c, 1)?.contiguous()?);
        let [red, green, blue] = [channel(0)?, channel(1)?, channel(2)?];
        let features = Tensor::cat(&[&red.features, &green.features, &blue.features], 1)?;
        let [a, b, c] = [log_softmax(red)?, log_softmax(green)?, log_softmax(blue)?];
        let (n, k) = a.dims2()?;
        let [a, b, c] = [a.reshape((n, k, 1, 1))?, b.reshape((n, 1, k, 1))?, c.reshape((n, 1, 1, k))?];
        let joint = a.broadcast_add(&b)?.broadcast_add(&c)?.reshape((n, k * k * k))?;
        Ok(Embedding { features, logits: Some(joint) })
    }
}

/// Returns the logarithms of the probabilities `[N, K]`.
fn log_softmax(embedding: Embedding) -> Result<Tensor> {
    let Some(logits) = embedding.logits else {
        return Err(Error::mismatch("network", "no classes", "a classifier", "name another network"));
    };
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?)?;
    Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}

#[cfg(test)]
mod tests;
