//! Weight files of classifiers: what a metric needs to embed images with a network, in one file.

use super::file::{self, Describe};
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::network::Network;
use candle_core::Device;
use gan_base::messages::counted;
use gan_kernels::fused::Reuse;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a classifier's weight file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// [`super::FORMAT`] of the writer.
    pub format: u32,
    /// "classifier".
    pub network: String,
    /// The shape of one input `[C, H, W]`, without the batch; pixels in [−1, 1].
    pub input: Vec<usize>,
    /// The layer list; what comes out are the classes' logits.
    pub layers: Vec<Layer>,
    /// The layer, counted from 0, whose input is the features; none takes what reaches the last layer with weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features_before: Option<usize>,
    /// How images of another height and width are brought to the input's.
    pub resize: Resize,
    /// The classes' names, in the order of the logits.
    pub classes: Vec<String>,
    /// The data set that it was trained on.
    pub data: String,
    /// The share of the test set that it gets right, in [0, 1].
    pub accuracy: f64,
    /// The training's seed.
    pub seed: u64,
    /// The library's version.
    pub library: String,
}

/// How images of another size are brought to a classifier's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Not at all: they are refused.
    Refuse,
    /// Anti-aliased bilinear, as Pillow's: a triangle, widened by the scale where the image shrinks.
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

/// Builds the classifier in a weight file's `bytes` on `device`; `path` is for messages.
///
/// # Errors
/// As [`super::read`], and if the tensors do not fit the layer list or hold values that are not finite, or the layer list does not fit the classes.
pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<(Classifier, Network)> {
    let (description, tensors) = file::from_bytes::<Classifier>(bytes, path)?;
    let impossible = |e: Error| file::impossible(path, &e);
    let Classifier { input, layers, classes, features_before, .. } = &description;
    let network = Network::from_tensors("classifier", input, layers, &tensors, Reuse::UntilChanged, device)
        .map_err(impossible)?;
    if network.output() != [classes.len()] {
        let made = network.output();
        let problem = format!("makes logits {made:?}, but names {}: it was changed", counted(classes.len(), "class"));
        return Err(file::fail(path, problem));
    }
    let network = match features_before {
        Some(layer) => network.with_features_before(*layer).map_err(impossible)?,
        None => network,
    };
    super::check_finite(&tensors, path)?;
    Ok((description, network))
}
