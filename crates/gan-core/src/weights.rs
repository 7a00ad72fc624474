//! Self-describing weight files: safetensors whose metadata suffice to build the network and generate.
//!
//! All metadata are JSON under one key, so that the same network always gives the same bytes (several keys would have a random order).
//! PyTorch, candle and every other reader of safetensors see plain named tensors.
//!
//! In reading order: this file (generators and discriminators), `file` (reading and writing of any network), [`classifier`] (networks for
//! evaluation).

use crate::error::{Result, first_not_finite};
use crate::gan::{LayeredGenerator, takes_latents};
use crate::layers::Layer;
use crate::noise::Latent;
use crate::shape;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

mod classifier;
mod file;

pub use classifier::{Classifier, Resize};
pub use file::{Describe, from_bytes, load_params, to_bytes};
use file::{fail, impossible};

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

/// Reads the description and tensors of a generator or discriminator.
///
/// # Errors
/// If the file cannot be read, is not a complete safetensors file, was not written by this library, contains another network, or contains
/// other tensors than the described layers need; the message tells which.
pub fn read(path: &Path) -> Result<(Description, BTreeMap<String, Tensor>)> {
    file::read(path, |_| Ok(()))
}

/// Reads the description of a generator or discriminator, without the values.
///
/// # Errors
/// As [`read`].
pub fn read_description(path: &Path) -> Result<Description> {
    file::read_description(path)
}

/// Reads a generator's weight file and builds the generator from it, on `device`.
///
/// # Errors
/// As [`read`], and if the file contains another network than a generator, its layers do not fit its latent space and data, or a weight is
/// not finite.
pub fn read_generator(path: &Path, device: &Device) -> Result<(Description, LayeredGenerator)> {
    let (description, tensors) = file::read(path, |description| check_generator(description, path))?;
    let Description { input, layers, latent, .. } = &description;
    let generator =
        LayeredGenerator::from_tensors(latent, input, layers, &tensors, device).map_err(|e| impossible(path, &e))?;
    check_finite(&tensors, path)?;
    Ok((description, generator))
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
