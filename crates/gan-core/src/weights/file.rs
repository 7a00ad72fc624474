//! The file itself, whatever network it holds: safetensors with a description as JSON under one metadata key.

use super::FORMAT;
use crate::error::{Error, Result, bare};
use crate::params::{self, Param};
use crate::wording::plain;
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const KEY: &str = "gan";

/// What a weight file says about itself: each kind of network says it in a type of its own, with `format` and `network`.
pub trait Describe: Serialize + DeserializeOwned {
    /// Which networks it describes: what the key `network` may say.
    const NETWORKS: &'static [&'static str];

    /// Which file to name instead of one that is none of ours.
    const NAME_OURS: &'static str;
}

/// The bytes of a weight file with `params` and `description`: the same for the same numbers.
///
/// # Errors
/// If the tensors cannot be serialised.
pub fn to_bytes(params: &[Param], description: &impl Describe) -> Result<Vec<u8>> {
    let json = serde_json::to_string(description).map_err(|e| candle_core::Error::Msg(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let tensors: BTreeMap<String, Tensor> = params::named_tensors(params)?
        .into_iter()
        .map(|(name, t)| Ok((name, t.to_device(&Device::Cpu)?.contiguous()?)))
        .collect::<Result<_>>()?;
    let views = tensors.iter().map(|(name, t)| (name.as_str(), t));
    Ok(safetensors::serialize(views, Some(metadata)).map_err(candle_core::Error::from)?)
}

/// The description and tensors in a weight file's `bytes`; `path` is for messages.
///
/// # Errors
/// If they are not a whole safetensors file, were not written by this library, or hold another network; the message says
/// which.
pub fn from_bytes<D: Describe>(bytes: &[u8], path: &Path) -> Result<(D, BTreeMap<String, Tensor>)> {
    let fail = |problem: String| Error::Weights { path: path.into(), problem };
    let damaged = |e: String| fail(format!("is damaged ({e}): copy it or make it again"));
    let ours = D::NAME_OURS;
    let broken = |e| fail(format!("is not a whole safetensors file ({e}): it is cut off, or of another kind; {ours}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let json = header.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
        fail(format!(
            "was not written by gan: its metadata lacks the key \"{KEY}\", which holds the layer list; {ours}"
        ))
    })?;
    let metadata = |e: serde_json::Error| damaged(format!("its metadata: {}", plain(&e.to_string())));
    let Version { format, network } = serde_json::from_str(json).map_err(metadata)?;
    if format > FORMAT {
        return Err(fail(format!("has format {format}, this version reads {FORMAT}: use a newer gan")));
    }
    if let Some(other) = network.filter(|network| !D::NETWORKS.contains(&network.as_str())) {
        return Err(fail(format!("holds a {other}, a {} is needed: {ours}", D::NETWORKS.join(" or a "))));
    }
    let description = serde_json::from_str(json).map_err(metadata)?;
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu);
    let tensors = tensors.map_err(|e| damaged(bare(&e).to_string()))?;
    Ok((description, tensors.into_iter().collect()))
}

/// What every description has.
#[derive(Deserialize)]
struct Version {
    format: u32,
    network: Option<String>,
}
