//! Own networks: a layer list with its weights in one file, and the digit classifier that is shipped as one.

use super::resize::{self, Filter};
use super::{Embedder, Embedding, FeatureSpace, Sizes, images};
use crate::error::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use gan_base::regular_file;
use gan_core::weights::{Classifier, Resize};
use gan_core::{ForwardContext, Network};
use std::path::Path;

/// `cargo xtask experiments train-judge` makes it; `data/README.md` says how well it does.
const DIGITS: &[u8] = include_bytes!("../../../../data/judge/digits.safetensors");

/// What cards call it.
pub(super) const DIGITS_NAME: &str = "digits";

/// Images at a time: activations of more would take memory and save no time.
const BATCH: usize = 128;

/// A classifier that gan-core's layers make up: features are what reaches its last layer with weights, unless its file names
/// another layer.
#[derive(Clone, Debug)]
pub struct Layered {
    name: String,
    features: FeatureSpace,
    hash: String,
    description: Classifier,
    network: Network,
}

impl Layered {
    /// The network in the weight file at `path`, called like the file.
    ///
    /// # Errors
    /// [`Error::File`] where it cannot be read; [`Error::Core`] where it is no classifier's weight file, or none that fits its own
    /// layer list; [`Error::Mismatch`] where it takes no images.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = regular_file::read(path, super::MOST_BYTES).map_err(|e| {
            Error::file(path, format!("cannot be read ({e}): name the weight file of a classifier, or leave it out"))
        })?;
        Self::from_bytes(&bytes, path, FeatureSpace::Classifier)
    }

    /// The digit classifier that is shipped: 96 features, ten classes, images `[1, 28, 28]`.
    ///
    /// # Errors
    /// None, as long as the tests pass.
    pub fn digits() -> Result<Self> {
        Self::from_bytes(DIGITS, &Path::new(DIGITS_NAME).with_extension("safetensors"), FeatureSpace::Digits)
    }

    fn from_bytes(bytes: &[u8], path: &Path, features: FeatureSpace) -> Result<Self> {
        let (description, network) = Classifier::from_bytes(bytes, path, &Device::Cpu)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if network.input().len() != 3 {
            return Err(Error::Mismatch {
                what: format!("input of {name}"),
                found: format!("{:?}", network.input()),
                expected: "an image [C, H, W]".into(),
                advice: "let its layer list begin with images".into(),
            });
        }
        Ok(Self { name, features, hash: super::hash::of_bytes(bytes), description, network })
    }

    /// What its file says about it.
    pub fn description(&self) -> &Classifier {
        &self.description
    }

    fn size(&self) -> [usize; 2] {
        [self.network.input()[1], self.network.input()[2]]
    }

    /// `[N, C, H, W]` -> what the network takes.
    fn prepared(&self, batch: &Tensor) -> Result<Tensor> {
        let batch = batch.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        Ok(resize::resize(&batch, self.size(), Filter::Triangle)?.contiguous()?)
    }

    /// Refuses what the network cannot take.
    fn check(&self, given: &Tensor) -> Result<()> {
        let [_, height, width] = images::shape(given, &self.name, self.network.input()[0])?;
        let [h, w] = self.size();
        if self.description.resize == Resize::Refuse && [height, width] != [h, w] {
            return Err(Error::Mismatch {
                what: format!("images for {}", self.name),
                found: format!("{height}×{width}"),
                expected: format!("{h}×{w}, it resizes none"),
                advice: format!("bring the images to {h}×{w}, or take a network for their size"),
            });
        }
        Ok(())
    }
}

impl Embedder for Layered {
    fn name(&self) -> &str {
        &self.name
    }

    fn feature_space(&self) -> FeatureSpace {
        self.features
    }

    fn hash(&self) -> &str {
        &self.hash
    }

    fn resizing(&self) -> Option<&str> {
        match self.description.resize {
            Resize::Refuse => None,
            Resize::Bilinear => Some("anti-aliased bilinear, as Pillow's"),
        }
    }

    fn sizes(&self) -> Sizes {
        match self.description.resize {
            Resize::Refuse => Sizes::One,
            Resize::Bilinear => Sizes::Any,
        }
    }

    fn dim(&self) -> usize {
        self.network.features().iter().product()
    }

    fn classes(&self) -> &[String] {
        &self.description.classes
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        self.check(images)?;
        images::in_batches(images, BATCH, |batch| {
            let (logits, features) =
                self.network.forward_with_features(&self.prepared(batch)?, &mut ForwardContext::eval())?;
            Ok(Embedding { features: features.contiguous()?.flatten(1, D::Minus1)?, logits: Some(logits) })
        })
    }
}

#[cfg(test)]
mod tests;
