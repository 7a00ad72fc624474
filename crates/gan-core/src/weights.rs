//! Self-describing weight files: safetensors whose metadata alone is enough to build the network and generate.
//!
//! All metadata is JSON under one key, so that the same network always makes the same bytes (several keys would come out in
//! a random order). PyTorch, candle and every other reader of safetensors see plain named tensors.
//!
//! In reading order: this file (generators and discriminators), `file` (reading and writing, whatever the network),
//! [`classifier`] (networks that judge).

use crate::error::Result;
use crate::finite::first_not_finite;
use crate::gan::{LayeredGenerator, takes_latents};
use crate::layers::Layer;
use crate::noise::Latent;
use crate::shape;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

pub mod classifier;
mod file;

pub use classifier::Classifier;
pub use file::{Describe, from_bytes, to_bytes};
use file::{fail, impossible};

/// The version of the descriptions that this crate writes.
pub const FORMAT: u32 = 1;

/// Numbers in a latent vector beyond this are taken for a mistake, as they are in training.
const LARGEST_LATENT: usize = 1 << 20;

/// What a weight file says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// [`FORMAT`] of the writer.
    pub format: u32,
    /// "generator" or "discriminator".
    pub network: String,
    /// The shape of one input, without the batch.
    pub input: Vec<usize>,
    /// The layer list.
    pub layers: Vec<Layer>,
    /// The latent space that the generator was trained with.
    pub latent: Latent,
    /// The data that it was trained on.
    pub data: DataDescription,
    /// The preset's name.
    pub preset: String,
    /// Steps trained.
    pub step: u64,
    /// The run's seed.
    pub seed: u64,
    /// The library's version.
    pub library: String,
}

/// What samples are like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataDescription {
    /// The data set's name.
    pub name: String,
    /// One sample's shape: `[C, H, W]`, or `[D]` for points.
    pub shape: Vec<usize>,
    /// Smallest and largest value, e.g. `[-1, 1]`.
    pub range: [f32; 2],
    /// The classes' names, if there are any.
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

/// A generator's or discriminator's description and tensors.
///
/// # Errors
/// If the file cannot be read, is not a whole safetensors file, was not written by this library, holds another network, or holds
/// other tensors than the described layers need; the message says which.
pub fn read(path: &Path) -> Result<(Description, BTreeMap<String, Tensor>)> {
    file::read(path, |_| Ok(()))
}

/// A generator's or discriminator's description alone. The numbers are not read.
///
/// # Errors
/// As [`read`].
pub fn read_description(path: &Path) -> Result<Description> {
    file::read_description(path)
}

/// Reads a generator's weight file and builds the generator from it, on `device`.
///
/// # Errors
/// As [`read`], and if the file holds another network than a generator, its layers do not fit its latent space and data, or a weight is not
/// finite.
pub fn read_generator(path: &Path, device: &Device) -> Result<(Description, LayeredGenerator)> {
    let (description, tensors) = file::read(path, |description| check_generator(description, path))?;
    let Description { input, layers, latent, .. } = &description;
    let generator =
        LayeredGenerator::from_tensors(latent, input, layers, &tensors, device).map_err(|e| impossible(path, &e))?;
    check_finite(&tensors, path)?;
    Ok((description, generator))
}

/// Checks that every weight is a finite number: activations such as ReLU can hide one that is not, so samples alone do not tell.
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
    let made = made.last().unwrap_or(input);
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
