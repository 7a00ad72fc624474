//! Self-describing weight files: safetensors whose metadata alone is enough to build the network and generate.
//!
//! All metadata is JSON under one key, so that the same network always makes the same bytes (several keys would come out in
//! a random order). PyTorch, candle and every other reader of safetensors see plain named tensors.

use crate::error::{Error, Result, bare};
use crate::gan::LayeredGenerator;
use crate::init::Init;
use crate::layer::Layer;
use crate::noise::Latent;
use crate::params::{self, Param};
use crate::rng::Rng;
use crate::shape;
use crate::wording::plain;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The version of [`Description`] that this crate writes.
pub const FORMAT: u32 = 1;
const KEY: &str = "gan";

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

/// The bytes of a weight file with `params` and `description`.
///
/// # Errors
/// If the tensors cannot be serialised.
pub fn to_bytes(params: &[Param], description: &Description) -> Result<Vec<u8>> {
    let json = serde_json::to_string(description).map_err(|e| candle_core::Error::Msg(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let tensors: BTreeMap<String, Tensor> = params::named_tensors(params)?
        .into_iter()
        .map(|(name, t)| Ok((name, t.to_device(&Device::Cpu)?.contiguous()?)))
        .collect::<Result<_>>()?;
    let views = tensors.iter().map(|(name, t)| (name.as_str(), t));
    Ok(safetensors::serialize(views, Some(metadata)).map_err(candle_core::Error::from)?)
}

/// A weight file's description and tensors.
///
/// # Errors
/// If the file cannot be read, is not a whole safetensors file, or was not written by this library; the message says which.
pub fn read(path: &Path) -> Result<(Description, BTreeMap<String, Tensor>)> {
    let fail = |problem: String| Error::Weights { path: path.into(), problem };
    let damaged = |e: String| fail(format!("is damaged ({e}): copy it or make it again"));
    let bytes = std::fs::read(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
    let broken =
        |e| fail(format!("is not a whole safetensors file ({e}): it is cut off, or of another kind; {NAME_OURS}"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
    let json = header.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
        fail(format!(
            "was not written by gan: its metadata lacks the key \"{KEY}\", which holds the layer list; {NAME_OURS}"
        ))
    })?;
    let metadata = |e: serde_json::Error| damaged(format!("its metadata: {}", plain(&e.to_string())));
    let Version { format } = serde_json::from_str(json).map_err(metadata)?;
    if format > FORMAT {
        return Err(fail(format!("has format {format}, this version reads {FORMAT}: use a newer gan")));
    }
    let description = serde_json::from_str(json).map_err(metadata)?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
    let tensors = tensors.map_err(|e| damaged(bare(&e).to_string()))?;
    Ok((description, tensors.into_iter().collect()))
}

/// What to do about a file that is none of ours.
const NAME_OURS: &str = "name a run folder, or a generator.safetensors that gan train wrote";

#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Reads a generator's weight file and builds the generator from it, on `device`.
///
/// # Errors
/// As [`read`], and if the tensors do not fit the layer list.
pub fn read_generator(path: &Path, device: &Device) -> Result<(Description, LayeredGenerator)> {
    let (description, tensors) = read(path)?;
    let fail = |problem: String| Error::Weights { path: path.into(), problem };
    if description.network != "generator" {
        return Err(fail(format!("holds a {}, a generator is needed", description.network)));
    }
    let Description { input, layers, latent, data, .. } = &description;
    let made = shape::infer("generator", input, layers)
        .map_err(|e| fail(format!("describes a network that cannot be: {e}")))?;
    let made = made.last().unwrap_or(input);
    if *made != data.shape {
        return Err(fail(format!("makes samples {made:?}, but says that they are {:?}: it was changed", data.shape)));
    }
    // The initial values are all replaced.
    let generator = LayeredGenerator::new(latent, input, layers, Init::Glorot, &mut Rng::new(0), device)
        .map_err(|e| fail(format!("describes a network that cannot be: {e}")))?;
    params::load(generator.network().params(), &tensors, path)?;
    Ok((description, generator))
}
