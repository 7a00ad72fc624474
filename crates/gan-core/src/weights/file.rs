//! The weight file of any network: safetensors with a description as JSON under one metadata key.

use super::{Description, FORMAT};
use crate::error::{Error, Result, strip_backtrace};
use crate::layers::Layer;
use crate::params::{self, Param, TensorInfo};
use crate::shape;
use candle_core::safetensors::Load;
use candle_core::{Device, Tensor};
use gan_base::messages::plain;
use gan_base::{memory, regular_file};
use safetensors::tensor::{Metadata, SafeTensorError};
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

const KEY: &str = "gan";

/// Description in a weight file. Each kind of network has its own type, with `format` and `network`.
pub trait Describe: Serialize + DeserializeOwned {
    /// Kinds of networks that it describes: the possible values of the key `network`.
    const NETWORKS: &'static [&'static str];

    /// Advice about which file to name if one was not written by this library.
    const NAME_OURS: &'static str;

    /// Returns the network's name for messages, the shape of one input without the batch, and the layer list.
    fn architecture(&self) -> (&str, &[usize], &[Layer]);
}

/// Returns the bytes of a weight file with `params` and `description`, the same for the same values.
///
/// # Errors
/// If the tensors cannot be serialized.
pub fn to_bytes(params: &[Param], description: &impl Describe) -> Result<Vec<u8>> {
    let json = serde_json::to_string(description).map_err(|e| candle_core::Error::Msg(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let tensors: BTreeMap<String, Tensor> = Param::tensors(params)?
        .into_iter()
        .map(|(name, t)| Ok((name, t.to_device(&Device::Cpu)?.contiguous()?)))
        .collect::<Result<_>>()?;
    let views = tensors.iter().map(|(name, t)| (name.as_str(), t));
    Ok(safetensors::serialize(views, Some(metadata)).map_err(candle_core::Error::from)?)
}

/// Reads the description and tensors in a weight file's `bytes`; `path` is for messages.
///
/// # Errors
/// If they are not a complete safetensors file, were not written by this library, contain another network, or contain other tensors than
/// the described layers need; the message tells which. The values are checked last.
pub fn from_bytes<D: Describe>(bytes: &[u8], path: &Path) -> Result<(D, BTreeMap<String, Tensor>)> {
    let (header, _) = Header::read(&mut &bytes[..], bytes.len() as u64, path)?;
    let tensors = header.tensors(bytes, path)?;
    Ok((header.description, tensors))
}

/// Sets `params` to the tensors of the same names in the weight file at `path`, for networks of your own.
///
/// # Errors
/// If the file cannot be read, is not a complete safetensors file, or lacks a tensor, has one too many or one of another shape; nothing is
/// then changed.
pub fn load_params(path: &Path, params: &[Param]) -> Result<()> {
    let mut bytes = vec![];
    open(path)?.0.read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| fail(path, format!("is not a whole safetensors file ({e}): it is cut off, or of another kind")))?;
    let tensors = file.iter().map(|(name, view)| Ok((name.to_string(), view.load(&Device::Cpu)?)));
    Param::load(params, &tensors.collect::<Result<_>>()?, path)
}

/// Reads a file of `length` bytes from `source` in the same way. Nothing but the header is read until the header fits and `check` accepts the
/// description; `path` is for messages.
///
/// # Errors
/// As [`from_bytes`], what `check` returns, and if the file cannot be read or its values do not fit into memory.
pub(super) fn read(
    source: &mut impl Read,
    length: u64,
    path: &Path,
    check: impl FnOnce(&Description) -> Result<()>,
) -> Result<(Description, BTreeMap<String, Tensor>)> {
    let (header, mut bytes) = Header::read(source, length, path)?;
    check(&header.description)?;
    // The bytes, and the tensors created from them.
    let needed = 2 * header.metadata.data_len() as u64;
    memory::check(needed).map_err(|e| fail(path, e.to_string()))?;
    source.take(header.metadata.data_len() as u64).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    let tensors = header.tensors(&bytes, path)?;
    Ok((header.description, tensors))
}

/// Reads the description of a generator or discriminator in the weight file at `path`, without its values.
///
/// # Errors
/// As [`from_bytes`], and if the file cannot be read.
pub fn read_description(path: &Path) -> Result<Description> {
    let (mut file, length) = open(path)?;
    Ok(Header::read(&mut file, length, path)?.0.description)
}

/// Opens the file at `path` and returns its length, too.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let open = || {
        let file = regular_file::open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    open().map_err(|e| unreadable(path, &e))
}

/// Number of bytes before the header, which contain its length.
const PREFIX: usize = 8;

/// Maximum length of a header: safetensors' limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// Everything in a weight file except the values.
struct Header<D> {
    description: D,
    metadata: Metadata,
    /// Parameters of the described layers.
    params: Vec<(String, Vec<usize>)>,
}

impl<D: Describe> Header<D> {
    /// Reads the header of a file, which has `length` bytes, and compares its tensors with those that the described layers need. Nothing is
    /// allocated for either. Returns the bytes read, too; `path` is for messages.
    fn read(source: &mut impl Read, length: u64, path: &Path) -> Result<(Self, Vec<u8>)> {
        let broken = |e| broken::<D>(path, &e);
        let mut bytes = vec![];
        source.take(PREFIX as u64).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
        let json_length = match bytes.first_chunk::<PREFIX>() {
            Some(first) => u64::from_le_bytes(*first),
            None => return Err(broken(SafeTensorError::HeaderTooSmall)),
        };
        if json_length > LONGEST_HEADER {
            return Err(broken(SafeTensorError::HeaderTooLarge));
        }
        if json_length + PREFIX as u64 > length {
            return Err(broken(SafeTensorError::InvalidHeaderLength));
        }
        source.take(json_length).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
        let metadata: Metadata = serde_json::from_slice(&bytes[PREFIX..])
            .map_err(|e| broken(SafeTensorError::InvalidHeaderDeserialization(e)))?;
        if bytes.len() as u64 + metadata.data_len() as u64 != length {
            return Err(broken(SafeTensorError::MetadataIncompleteBuffer));
        }
        let description: D = description(&metadata, path)?;
        let (network, input, layers) = description.architecture();
        let inferred = shape::infer(network, input, layers).map_err(|e| impossible(path, &e))?;
        let mut params = vec![];
        shape::each_named("main", layers, &inferred, &mut |name, _, found| {
            params.extend(found.params.iter().map(|param| (format!("{name}.{}", param.name), param.shape.clone())));
        });
        let found = metadata.tensors().into_iter().map(|(name, info)| (name, announced(info))).collect();
        params::check(&params, &found, path)?;
        Ok((Self { description, metadata, params }, bytes))
    }

    /// Returns the tensors that the described layers need, from the whole file's `bytes`.
    fn tensors(&self, bytes: &[u8], path: &Path) -> Result<BTreeMap<String, Tensor>> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| broken::<D>(path, &e))?;
        let tensor = |(name, _): &(String, Vec<usize>)| {
            Ok((name.clone(), file.tensor(name).map_err(candle_core::Error::from)?.load(&Device::Cpu)?))
        };
        let all = self.params.iter().map(tensor).collect::<candle_core::Result<_>>();
        all.map_err(|e| damaged(path, &strip_backtrace(&e).to_string()))
    }
}

/// Returns the description in a header.
fn description<D: Describe>(metadata: &Metadata, path: &Path) -> Result<D> {
    let ours = D::NAME_OURS;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
        let problem = "was not written by gan: its metadata lacks the key \"gan\", which holds the layer list";
        fail(path, format!("{problem}; {ours}"))
    })?;
    let metadata = |e: serde_json::Error| damaged(path, &format!("its metadata: {}", plain(&e.to_string())));
    let Version { format, network, custom } = serde_json::from_str(json).map_err(metadata)?;
    if format > FORMAT {
        return Err(fail(path, format!("has format {format}, this version reads {FORMAT}: use a newer gan")));
    }
    if custom {
        let problem = "holds a network that Rust code defines, not a layer list: load it in the program that defines it, with \
                       gan_core::weights::load_params";
        return Err(fail(path, problem.into()));
    }
    if let Some(other) = network.filter(|network| !D::NETWORKS.contains(&network.as_str())) {
        return Err(fail(path, format!("holds a {other}, a {} is needed: {ours}", D::NETWORKS.join(" or a "))));
    }
    serde_json::from_str(json).map_err(metadata)
}

/// Returns the description of a tensor in a header.
fn announced(info: &safetensors::tensor::TensorInfo) -> TensorInfo {
    let float = matches!(info.dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
    TensorInfo { shape: info.shape.clone(), not_float: (!float).then(|| format!("{:?}", info.dtype)) }
}

pub(super) fn fail(path: &Path, problem: String) -> Error {
    Error::Weights { path: path.into(), problem }
}

/// Returns the error of a description whose layers do not fit together.
pub(super) fn impossible(path: &Path, error: &Error) -> Error {
    fail(path, format!("describes a network that cannot be: {error}"))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    fail(path, format!("cannot be read: {error}"))
}

fn damaged(path: &Path, problem: &str) -> Error {
    fail(path, format!("is damaged ({problem}): copy it or make it again"))
}

fn broken<D: Describe>(path: &Path, error: &SafeTensorError) -> Error {
    let problem = format!("is not a whole safetensors file ({error}): it is cut off, or of another kind");
    fail(path, format!("{problem}; {}", D::NAME_OURS))
}

/// Fields that every description has.
#[derive(Deserialize)]
struct Version {
    format: u32,
    network: Option<String>,
    #[serde(default)]
    custom: bool,
}

#[cfg(test)]
mod tests {
    use crate::weights;
    use std::path::PathBuf;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("gan-weights-{name}-{}", std::process::id()))
    }

    #[cfg(unix)]
    #[test]
    fn files_that_never_end_or_promise_too_much_are_refused_unread() {
        let zero = place("zero");
        std::os::unix::fs::symlink("/dev/zero", &zero).unwrap();
        let fifo = place("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let sparse = place("sparse");
        std::fs::write(&sparse, u64::MAX.to_le_bytes()).unwrap();
        std::fs::File::options().write(true).open(&sparse).unwrap().set_len(1 << 42).unwrap();
        for (path, words) in [
            (&zero, "it is a character device, not a regular file"),
            (&fifo, "it is a FIFO, not a regular file"),
            (&sparse, "is not a whole safetensors file"),
        ] {
            let message = weights::read_description(path).unwrap_err().to_string();
            std::fs::remove_file(path).unwrap();
            assert!(message.contains(words), "{message}");
        }
    }
}
