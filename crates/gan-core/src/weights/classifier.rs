//! Weight files of classifiers: a network in one file with which a metric embeds images.

use super::file::{self, Describe};
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::network::Network;
use candle_core::Device;
use gan_base::messages::counted;
use gan_kernels::fused::Reuse;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Description in a classifier's weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// [`super::FORMAT`] of the writer.
    pub format: u32,
    /// "classifier".
    pub network: String,
    /// Shape of one input `[C, H, W]`, without the batch; pixels in [−1, 1].
    pub input: Vec<usize>,
    /// Layer list, which ends in the classes' logits.
    pub layers: Vec<Layer>,
    /// Layer, counted from 0, whose input is the features; by default the last layer with weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features_before: Option<usize>,
    /// Resizing of images to the input's height and width.
    pub resize: Resize,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
    /// Data set that it was trained on.
    pub data: String,
    /// Accuracy on the test set, in [0, 1].
    pub accuracy: f64,
    /// Seed of the training.
    pub seed: u64,
    /// Version of the library.
    pub library: String,
}

/// Resizing of images to a classifier's input size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// None: images of other sizes are refused.
    Refuse,
    /// Anti-aliased bilinear, as in Pillow: a triangle filter, widened by the scale if the image shrinks.
    Bilinear,
}

impl Describe for Classifier {
    const NETWORKS: &'static [&'static str] = &["classifier"];
    const NAME_OURS: &'static str =
        "name the weight file of a classifier, whose metadata says network = \"classifier\"";

    fn architecture(&self) -> (&str, &[usize], &[Layer]) {
        ("classifier", &self.input, &self.layers)
    }
}

impl Classifier {
    /// Builds the classifier in a weight file's `bytes` on `device`; `path` is for messages.
    ///
    /// # Errors
    /// As [`super::read`], and if the tensors do not fit the layer list or hold values that are not finite, or the layer list does not fit the classes.
    pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<(Self, Network)> {
        let (description, tensors) = file::from_bytes::<Self>(bytes, path)?;
        let impossible = |e: Error| file::impossible(path, &e);
        let Self { input, layers, classes, features_before, .. } = &description;
        let network = Network::from_tensors("classifier", input, layers, &tensors, Reuse::UntilChanged, device)
            .map_err(impossible)?;
        if network.output() != [classes.len()] {
            let made = network.output();
            let problem =
                format!("makes logits {made:?}, but names {}: it was changed", counted(classes.len(), "class"));
            return Err(file::fail(path, problem));
        }
        let network = match features_before {
            Some(layer) => network.with_features_before(*layer).map_err(impossible)?,
            None => network,
        };
        super::check_finite(&tensors, path)?;
        Ok((description, network))
    }
}
