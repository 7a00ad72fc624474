//! Self-describing weight files: safetensors whose metadata suffice to build the network and generate.
//!
//! All metadata are JSON under one key, so that the same network always gives the same bytes (several keys would have a random order).
//! PyTorch, candle and every other reader of safetensors see plain named tensors.
//!
//! In reading order: this file (generators, discriminators, and classifiers for evaluation), `file` (reading and writing of any network).

use crate::error::{Error, Result, first_not_finite};
use crate::gan::{LayeredDiscriminator, LayeredGenerator, takes_latents};
use crate::layers::Layer;
use crate::network::Network;
use crate::noise::Latent;
use crate::shape;
use candle_core::{Device, Tensor};
use gan_base::messages::counted;
use gan_kernels::fused::Reuse;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

mod file;

use file::{Describe, fail, impossible};
pub use file::{from_bytes, load_params, read_description, to_bytes};

/// Version of the descriptions that this crate writes.
pub const FORMAT: u32 = 1;

/// Maximum size of a latent vector, as in training.
const LARGEST_LATENT: usize = 1 << 20;

/// Description in a weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// "generator" or "discriminator".
    pub network: String,
    /// Shape of one input, without the batch.
    pub input: Vec<usize>,
    /// The layer list; empty for a network of your own ([`Description::custom`]).
    pub layers: Vec<Layer>,
    /// Whether the network is Rust code that no layer list describes. Only [`load_params`] reads such a file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub custom: bool,
    /// Latent space of the generator.
    pub latent: Latent,
    /// Training data.
    pub data: DataDescription,
    /// Name of the preset.
    pub preset: String,
    /// Number of training steps.
    pub step: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Version of the library.
    pub library: String,
}

/// Description of the samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataDescription {
    /// Name of the data set.
    pub name: String,
    /// Shape of one sample: `[C, H, W]`, or `[D]` for points.
    pub shape: Vec<usize>,
    /// Smallest and largest value, e.g. `[-1, 1]`.
    pub range: [f32; 2],
    /// Names of the classes, if there are any.
    pub classes: Vec<String>,
    /// For points: the values that −1 and 1 stand for, `[low, high]` of each coordinate. Images have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<[f64; 2]>,
}

impl Describe for Description {
    const NETWORKS: &'static [&'static str] = &["generator", "discriminator"];
    const NAME_OURS: &'static str = "name a run folder, or a generator.safetensors that gan train wrote";

    fn architecture(&self) -> (&str, &[usize], &[Layer]) {
        (&self.network, &self.input, &self.layers)
    }
}

/// Name in messages of a weight file that has no path.
const UNNAMED: &str = "weight file";

/// Reads a generator's weight file and builds the generator from it, on `device`.
///
/// # Errors
/// As [`read_description`], and if the file contains another network than a generator, its layers do not fit its latent space and data, or a weight is
/// not finite.
pub fn read_generator(path: &Path, device: &Device) -> Result<(Description, LayeredGenerator)> {
    let (mut file, length) = file::open(path)?;
    generator(&mut file, length, path, device)
}

/// Builds the generator in a weight file's `bytes`, on `device`: from `include_bytes!`, a database or a download.
///
/// # Errors
/// As [`read_generator`].
pub fn generator_from_bytes(bytes: &[u8], device: &Device) -> Result<(Description, LayeredGenerator)> {
    generator_from_reader(&mut &bytes[..], bytes.len() as u64, device)
}

/// Builds the generator in a weight file of `length` bytes that `source` yields, on `device`. The values are read only if the header fits.
///
/// # Errors
/// As [`read_generator`].
pub fn generator_from_reader(
    source: &mut impl Read,
    length: u64,
    device: &Device,
) -> Result<(Description, LayeredGenerator)> {
    generator(source, length, Path::new(UNNAMED), device)
}

/// Builds the generator in a weight file of `length` bytes; `path` is for messages.
fn generator(
    source: &mut impl Read,
    length: u64,
    path: &Path,
    device: &Device,
) -> Result<(Description, LayeredGenerator)> {
    let (description, tensors) = file::read(source, length, path, |description| check_generator(description, path))?;
    let Description { input, layers, .. } = &description;
    let network = Network::from_tensors("generator", input, layers, &tensors, Reuse::Never, device)
        .map_err(|e| impossible(path, &e))?;
    check_finite(&tensors, path)?;
    Ok((description, LayeredGenerator { network }))
}

/// Reads a discriminator's weight file and builds the discriminator from it, on `device`.
///
/// # Errors
/// As [`read_description`], and if the file contains another network than a discriminator, its layers are not those of one, or a weight is not
/// finite.
pub fn read_discriminator(path: &Path, device: &Device) -> Result<(Description, LayeredDiscriminator)> {
    let (mut file, length) = file::open(path)?;
    discriminator(&mut file, length, path, device)
}

/// Builds the discriminator in a weight file's `bytes`, on `device`.
///
/// # Errors
/// As [`read_discriminator`].
pub fn discriminator_from_bytes(bytes: &[u8], device: &Device) -> Result<(Description, LayeredDiscriminator)> {
    discriminator(&mut &bytes[..], bytes.len() as u64, Path::new(UNNAMED), device)
}

/// Builds the discriminator in a weight file of `length` bytes; `path` is for messages.
fn discriminator(
    source: &mut impl Read,
    length: u64,
    path: &Path,
    device: &Device,
) -> Result<(Description, LayeredDiscriminator)> {
    let is_one = |description: &Description| match description.network.as_str() {
        "discriminator" => Ok(()),
        other => Err(fail(path, format!("holds a {other}, a discriminator is needed"))),
    };
    let (description, tensors) = file::read(source, length, path, is_one)?;
    let Description { input, layers, .. } = &description;
    let discriminator = Network::from_tensors("discriminator", input, layers, &tensors, Reuse::UntilChanged, device)
        .and_then(LayeredDiscriminator::of_network)
        .map_err(|e| impossible(path, &e))?;
    check_finite(&tensors, path)?;
    Ok((description, discriminator))
}

/// Checks that every weight is finite: activations such as ReLU can hide one that is not, so checking samples does not suffice.
fn check_finite(tensors: &BTreeMap<String, Tensor>, path: &Path) -> Result<()> {
    for (name, tensor) in tensors {
        if let Some((_, value)) = first_not_finite(tensor)? {
            let problem = format!(
                "the tensor \"{name}\" holds {value}, but weights must be finite numbers: the training diverged or the file was changed; \
                 use another weight file"
            );
            return Err(fail(path, problem));
        }
    }
    Ok(())
}

/// Fails if the description does not belong to a generator whose layers fit its latent space and data.
fn check_generator(description: &Description, path: &Path) -> Result<()> {
    let Description { network, input, layers, latent, data, .. } = description;
    if network != "generator" {
        return Err(fail(path, format!("holds a {network}, a generator is needed")));
    }
    let made = shape::infer("generator", input, layers).map_err(|e| impossible(path, &e))?;
    let made = made.last().map_or(input, |last| &last.output);
    if *made != data.shape {
        let problem = format!("makes samples {made:?}, but says that they are {:?}: it was changed", data.shape);
        return Err(fail(path, problem));
    }
    takes_latents(input, latent).map_err(|e| impossible(path, &e))?;
    if latent.dim > LARGEST_LATENT {
        let problem = format!("takes latent vectors of {} numbers, expected at most {LARGEST_LATENT}", latent.dim);
        return Err(fail(path, problem));
    }
    Ok(())
}

/// Description in a classifier's weight file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classifier {
    /// [`FORMAT`] of the writer.
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
    /// As [`read_description`], and if the tensors do not fit the layer list or hold values that are not finite, or the layer list does not fit the classes.
    pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<(Self, Network)> {
        let (description, tensors) = file::from_bytes::<Self>(bytes, path)?;
        let impossible = |e: Error| impossible(path, &e);
        let Self { input, layers, classes, features_before, .. } = &description;
        let network = Network::from_tensors("classifier", input, layers, &tensors, Reuse::UntilChanged, device)
            .map_err(impossible)?;
        if network.output() != [classes.len()] {
            let made = network.output();
            let problem =
                format!("makes logits {made:?}, but names {}: it was changed", counted(classes.len(), "class"));
            return Err(fail(path, problem));
        }
        let network = match features_before {
            Some(layer) => network.with_features_before(*layer).map_err(impossible)?,
            None => network,
        };
        check_finite(&tensors, path)?;
        Ok((description, network))
    }
}
