//! Inception-v3 as FID is defined with it (Heusel et al. 2017, arXiv:1706.08500): 2048 features after the last mean, 1008 logits.
//!
//! In reading order: this file (where the weights are, what goes in and comes out), `table` (the network as data), `stages` (the
//! table made real), `pool`, `file` (weights from PyTorch or safetensors), `pickle` (PyTorch's files). On the CPU alone.

use super::resize::{self, Filter};
use super::{Embedder, Embedding, FeatureSpace, Sizes, images};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use gan_base::regular_file;
use stages::Block;
use std::path::{Path, PathBuf};
use table::{FEATURES, LOGITS, SIDE};

mod file;
mod pickle;
mod pool;
mod stages;
mod table;

pub use file::{Tensors, tensors as state_dict};

/// What cards call it.
pub(super) const NAME: &str = "inception-v3";

/// Names a file with weights.
pub const VARIABLE: &str = "GAN_INCEPTION";

/// The file as pytorch-fid and as torch-fidelity call it; both hold the same numbers.
const FILES: [&str; 2] = ["pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"];
const URL: &str =
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth";

/// Images at a time: each takes about 20 MB on its way.
const BATCH: usize = 16;

/// Inception-v3 with its weights.
#[derive(Clone, Debug)]
pub struct Inception {
    hash: String,
    blocks: Vec<Block>,
    /// `[FEATURES, LOGITS]`, where the file has it.
    head: Option<Tensor>,
    classes: Vec<String>,
}

impl Inception {
    /// Where the weights are: the file that `GAN_INCEPTION` names, or else pytorch-fid's or torch-fidelity's in the folder where
    /// PyTorch keeps what it fetched (`TORCH_HOME`, `XDG_CACHE_HOME/torch` or `~/.cache/torch`, `hub/checkpoints` below it). None
    /// where there is no such file; a named one is not asked whether it is there.
    pub fn find() -> Option<PathBuf> {
        find(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    }

    /// A sentence that says how to get the weights.
    pub fn how_to_get() -> String {
        let folder = folder(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from));
        let place = folder.unwrap_or_default().join(FILES[0]);
        format!(
            "Inception's weights (95 MB) come by `curl -L --create-dirs -o {} {URL}`; a file elsewhere, also as safetensors with the \
             same names, is named in {VARIABLE}",
            place.display()
        )
    }

    /// The network with the weights that [`Inception::find`] finds.
    ///
    /// # Errors
    /// [`Error::Values`] where there are none, with how to get them; those of [`Inception::read`].
    pub fn load() -> Result<Self> {
        let missing =
            || Error::Values { what: "no Inception weights on this machine".into(), problem: Self::how_to_get() };
        Self::read(&Self::find().ok_or_else(missing)?)
    }

    /// The network with the weights in `path`: safetensors or a state dict by `torch.save`, under pytorch-fid's names. Where the
    /// file's name ends in eight digits of its SHA-256, as PyTorch's do, they are checked.
    ///
    /// # Errors
    /// [`Error::File`] where the file is missing, damaged or of another kind, or a tensor is missing or has another shape.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = regular_file::read(path, super::MOST_BYTES)
            .map_err(|error| Error::file(path, format!("cannot be read ({error}). {}", Self::how_to_get())))?;
        let hash = super::hash::of_bytes(&bytes);
        check_hash(&hash, path)?;
        Self::from_tensors(&file::tensors(&bytes, path)?, hash, path)
    }

    fn from_tensors(tensors: &Tensors, hash: String, path: &Path) -> Result<Self> {
        stages::wanted().iter().try_for_each(|(name, shape)| check_tensor(tensors, name, shape, path))?;
        let head = match tensors.get("fc.weight") {
            None => None,
            Some(weight) => {
                check_tensor(tensors, "fc.weight", &[LOGITS, FEATURES], path)?;
                Some(weight.to_dtype(DType::F32)?.t()?.contiguous()?)
            }
        };
        let classes = head.iter().flat_map(|_| 0..LOGITS).map(|class| class.to_string()).collect();
        Ok(Self { hash, blocks: stages::build(tensors)?, head, classes })
    }

    /// images `[N, 3, H, W]` in [−1, 1] -> `[N, 299, 299, 3]`: rounded to bytes b, resized, (b − 128) / 128.
    fn prepared(images: &Tensor) -> candle_core::Result<Tensor> {
        let images = images.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let bytes = ((images + 1.0)? * 127.5)?.clamp(0f32, 255f32)?.round()?;
        let resized = resize::resize(&bytes, [SIDE, SIDE], Filter::TensorFlow1)?;
        ((resized - 128.0)? / 128.0)?.permute((0, 2, 3, 1))?.contiguous()
    }

    /// `[N, 299, 299, 3]` -> features and logits; `watch` sees what leaves each block, `[N, H, W, C]`.
    fn run(&self, x: Tensor, watch: &mut dyn FnMut(&str, &Tensor)) -> candle_core::Result<Embedding> {
        let end = self.blocks.iter().try_fold(x, |x, block| {
            let y = block.forward(&x)?;
            watch(block.name, &y);
            Ok::<_, candle_core::Error>(y)
        })?;
        let features = end.flatten(1, 2)?.mean(1)?;
        let logits = self.head.as_ref().map(|head| features.matmul(head)).transpose()?;
        Ok(Embedding { features, logits })
    }
}

fn find(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    if let Some(named) = variable(VARIABLE) {
        return Some(named);
    }
    let folder = folder(variable)?;
    FILES.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Where PyTorch keeps weights.
fn folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let cache = || variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let torch = variable("TORCH_HOME").or_else(|| cache().map(|cache| cache.join("torch")))?;
    Some(torch.join("hub/checkpoints"))
}

/// Refuses a file with other bytes than its name says.
fn check_hash(hash: &str, path: &Path) -> Result<()> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let digits = stem.rsplit('-').next().unwrap_or_default();
    let tells = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && stem.contains('-');
    if !tells || hash.starts_with(&digits.to_lowercase()) {
        return Ok(());
    }
    let problem = format!(
        "has the SHA-256 {hash}, which should begin with {digits} as its name says: it is damaged or another file; fetch it \
         again. {}",
        Inception::how_to_get()
    );
    Err(Error::file(path, problem))
}

fn check_tensor(tensors: &Tensors, name: &str, shape: &[usize], path: &Path) -> Result<()> {
    let problem = match tensors.get(name) {
        None => format!("has no tensor \"{name}\""),
        Some(found) if found.dims() != shape => format!("tensor \"{name}\" is {:?}, expected {shape:?}", found.dims()),
        Some(found) if !found.dtype().is_float() => {
            format!("tensor \"{name}\" holds {:?}, expected floating point numbers", found.dtype())
        }
        Some(_) => return Ok(()),
    };
    let advice = "this is not the Inception-v3 of FID (torchvision's own weights differ)";
    Err(Error::file(path, format!("{problem}: {advice}. {}", Inception::how_to_get())))
}

impl Embedder for Inception {
    fn name(&self) -> &str {
        NAME
    }
    fn feature_space(&self) -> FeatureSpace {
        FeatureSpace::Inception
    }

    fn hash(&self) -> &str {
        &self.hash
    }

    fn resizing(&self) -> Option<&str> {
        Some(
            "rounded to 8 bits (grey three times), TensorFlow 1's bilinear to 299×299 (no half-pixel centres, no anti-aliasing)",
        )
    }

    fn sizes(&self) -> Sizes {
        Sizes::Any
    }

    fn protocol(&self) -> Option<&str> {
        Some("as torch-fidelity")
    }

    fn dim(&self) -> usize {
        FEATURES
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        let grey = matches!(images.dims(), [_, 1, _, _]);
        let images = if grey { Tensor::cat(&[images; 3], 1)? } else { images.clone() };
        images::shape(&images, self.name(), 3)?;
        images::in_batches(&images, BATCH, |batch| Ok(self.run(Self::prepared(batch)?, &mut |_, _| ())?))
    }
}

#[cfg(test)]
mod tests;
