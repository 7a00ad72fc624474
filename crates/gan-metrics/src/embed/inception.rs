//! Inception-v3 as FID is defined with it (Heusel et al. 2017, arXiv:1706.08500): 2048 features after the last mean, 1008 logits.
//!
//! In reading order: this file (where the weights are, input and output), `table` (the network as data), `stages` (its layers with weights).
//! It runs on the CPU.

use super::resize::{Filter, resize};
use super::{Embedder, EmbedderInfo, Embedding, FeatureSpace, cache_folder, hex, image_shape, in_batches, variable};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use gan_base::regular_file;
use sha2::{Digest, Sha256};
use stages::Stage;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use table::{FEATURES, LOGITS, SIDE};

mod stages;
mod table;

/// Name on cards.
pub(super) const NAME: &str = "inception-v3";

/// Environment variable with the path of the weights.
const VARIABLE: &str = "GAN_INCEPTION";

/// The file's name in pytorch-fid and in torch-fidelity; both contain the same numbers.
const FILES: [&str; 2] = ["pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"];
const URL: &str =
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth";

/// Number of images at a time: each takes about 20 MB.
const BATCH: usize = 16;

/// Inception-v3 with its weights.
#[derive(Clone, Debug)]
pub struct Inception {
    info: EmbedderInfo,
    blocks: Vec<Vec<Stage>>,
    /// `[FEATURES, LOGITS]`, if the file contains it.
    head: Option<Tensor>,
}

impl Inception {
    /// Reads the weights from the file that `GAN_INCEPTION` names, or else from pytorch-fid's or torch-fidelity's file in the folder where
    /// PyTorch keeps downloads (`hub/checkpoints` in `TORCH_HOME`, `XDG_CACHE_HOME/torch` or `~/.cache/torch`).
    ///
    /// # Errors
    /// [`Error::Values`] if there is no such file, with instructions; those of [`Inception::read`].
    pub fn load() -> Result<Self> {
        let missing = || Error::values("no Inception weights on this machine", how_to_get());
        Self::read(&find(variable).ok_or_else(missing)?)
    }

    /// Reads the weights in `path`: safetensors or a state dict by `torch.save`, with pytorch-fid's names. If the
    /// file's name ends in eight digits of its SHA-256, as PyTorch's do, they are checked.
    ///
    /// # Errors
    /// [`Error::File`] if the file is missing, damaged or of another kind, or a tensor is missing or has another shape.
    pub fn read(path: &Path) -> Result<Self> {
        let refused = |problem: String| Error::file(path, format!("{problem}. {}", how_to_get()));
        let bytes = regular_file::read(path, super::MOST_BYTES)
            .map_err(|error| refused(format!("cannot be read ({error})")))?;
        let hash = hex(Sha256::new_with_prefix(&bytes));
        check_hash(&hash, path).map_err(refused)?;
        let tensors = gan_import::tensors(&bytes).map_err(|problem| {
            let kinds = "neither a whole safetensors file nor a whole state dict by torch.save";
            refused(format!("is {kinds} ({problem}): fetch it again"))
        })?;
        Self::from_tensors(&tensors, &hash, path)
    }

    fn from_tensors(tensors: &BTreeMap<String, Tensor>, hash: &str, path: &Path) -> Result<Self> {
        let blocks = stages::build(&mut |name, shape| checked(tensors, name, shape, path))?;
        let head = match tensors.contains_key("fc.weight") {
            true => {
                let weight = checked(tensors, "fc.weight", &[LOGITS, FEATURES], path)?;
                Some(weight.to_dtype(DType::F32)?.t()?.contiguous()?)
            }
            false => None,
        };
        let mut info = EmbedderInfo::new(NAME, hash, FeatureSpace::Inception, FEATURES);
        info.takes_any_size = true;
        info.classes = head.iter().flat_map(|_| 0..LOGITS).map(|class| class.to_string()).collect();
        let resize = "rounded to 8 bits (grey three times), TensorFlow 1's bilinear to 299×299 (no half-pixel centres, no anti-aliasing)";
        info.card.resize = Some(resize.into());
        info.card.protocol = Some("as torch-fidelity".into());
        Ok(Self { info, blocks, head })
    }

    /// Returns images `[N, 3, H, W]` in [−1, 1] as `[N, 299, 299, 3]`: rounded to bytes b, resized, (b − 128) / 128.
    fn prepared(images: &Tensor) -> candle_core::Result<Tensor> {
        let images = images.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let bytes = ((images + 1.0)? * 127.5)?.clamp(0f32, 255f32)?.round()?;
        let resized = resize(&bytes, [SIDE, SIDE], Filter::TensorFlow1)?;
        ((resized - 128.0)? / 128.0)?.permute((0, 2, 3, 1))?.contiguous()
    }
}

impl Embedder for Inception {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        let grey = matches!(images.dims(), [_, 1, _, _]);
        let images = if grey { Tensor::cat(&[images; 3], 1)? } else { images.clone() };
        image_shape(&images, NAME, 3)?;
        in_batches(&images, BATCH, |batch| {
            let end = self.blocks.iter().try_fold(Self::prepared(batch)?, |x, block| stages::run(block, &x))?;
            let features = end.flatten(1, 2)?.mean(1)?;
            let logits = self.head.as_ref().map(|head| features.matmul(head)).transpose()?;
            Ok(Embedding { features, logits })
        })
    }
}

/// Returns a sentence that says how to get the weights.
fn how_to_get() -> String {
    let place = folder(variable).unwrap_or_default().join(FILES[0]);
    format!(
        "Inception's weights (95 MB) come by `curl -L --create-dirs -o {} {URL}`; a file elsewhere, also as safetensors with the \
         same names, is named in {VARIABLE}",
        place.display()
    )
}

fn find(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    if let Some(named) = variable(VARIABLE) {
        return Some(named);
    }
    let folder = folder(variable)?;
    FILES.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Returns the folder where PyTorch keeps weights.
fn folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let torch = variable("TORCH_HOME").or_else(|| Some(cache_folder(variable)?.join("torch")))?;
    Some(torch.join("hub/checkpoints"))
}

/// Refuses a file whose bytes do not fit its name.
fn check_hash(hash: &str, path: &Path) -> std::result::Result<(), String> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let Some((_, digits)) = stem.rsplit_once('-') else { return Ok(()) };
    let is_hash = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hash || hash.starts_with(&digits.to_lowercase()) {
        return Ok(());
    }
    Err(format!(
        "has the SHA-256 {hash}, which should begin with {digits} as its name says: it is damaged or another file; fetch it again"
    ))
}

/// Returns the tensor `name`, which must be of floating point numbers and have this shape.
fn checked(tensors: &BTreeMap<String, Tensor>, name: &str, shape: &[usize], path: &Path) -> Result<Tensor> {
    let problem = match tensors.get(name) {
        None => format!("has no tensor \"{name}\""),
        Some(found) if found.dims() != shape => format!("tensor \"{name}\" is {:?}, expected {shape:?}", found.dims()),
        Some(found) if !found.dtype().is_float() => {
            format!("tensor \"{name}\" holds {:?}, expected floating point numbers", found.dtype())
        }
        Some(found) => return Ok(found.clone()),
    };
    let advice = "this is not the Inception-v3 of FID (torchvision's own weights differ)";
    Err(Error::file(path, format!("{problem}: {advice}. {}", how_to_get())))
}

#[cfg(test)]
mod tests;
