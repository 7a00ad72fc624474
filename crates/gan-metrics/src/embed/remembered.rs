//! A cache of real samples' embeddings in files, so that the same samples are embedded once however often they are compared with.
//!
//! A file's name is the hash of the samples' values, their shape and the network: its content cannot be outdated, and it can be
//! deleted at any time. A cache that cannot be read or written is not used.

use super::{Embedder, EmbedderInfo, Embedding, cache_folder, hex, variable};
use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, process};

/// Part of the hash, which changes when the features of the same network change.
const FORMAT: &str = "embeddings 1";
const FEATURES: &str = "features";
const LOGITS: &str = "logits";

/// An embedder with a cache in a folder.
pub struct Remembered {
    inner: Arc<dyn Embedder>,
    folder: PathBuf,
}

impl Remembered {
    /// Returns `inner` with a cache in `folder`, which need not exist.
    pub fn new(inner: Arc<dyn Embedder>, folder: PathBuf) -> Self {
        Self { inner, folder }
    }

    /// Returns `embeddings` in the folder that `GAN_CACHE_DIR` names, or in `gan` where the system keeps caches (`XDG_CACHE_HOME`,
    /// `~/.cache`); `None` if there is no such folder.
    pub fn folder() -> Option<PathBuf> {
        let own = variable("GAN_CACHE_DIR").or_else(|| Some(cache_folder(variable)?.join("gan")));
        own.map(|dir| dir.join("embeddings"))
    }

    fn file(&self, samples: &Tensor) -> Result<PathBuf> {
        let mut hasher = Sha256::new_with_prefix(FORMAT);
        let network = &self.inner.info().card;
        let resizing = network.resize.as_deref().unwrap_or_default();
        for part in [network.name.as_str(), &network.hash, resizing, &format!("{:?}", samples.dims())] {
            hasher.update(part);
            hasher.update([0]);
        }
        let values: Vec<f32> = samples.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        hasher.update(&bytes);
        Ok(self.folder.join(hex(hasher) + ".safetensors"))
    }

    /// Returns the content of a file if it is whole and for `n` samples.
    fn read(&self, file: &Path, n: usize) -> Option<Embedding> {
        let mut tensors = candle_core::safetensors::load(file, &Device::Cpu).ok()?;
        let mut take = |name: &str, dim: usize| tensors.remove(name).filter(|t| t.dims() == [n, dim]);
        let features = take(FEATURES, self.info().card.dim)?;
        let classes = self.info().classes.len();
        let logits = if classes == 0 { None } else { Some(take(LOGITS, classes)?) };
        Some(Embedding { features, logits })
    }
}

/// Writes a file completely or not at all.
fn write(file: &Path, embedding: &Embedding) -> std::result::Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let mut tensors = HashMap::from([(FEATURES, embedding.features.contiguous()?)]);
    if let Some(logits) = &embedding.logits {
        tensors.insert(LOGITS, logits.contiguous()?);
    }
    let unfinished = file.with_extension(format!("{}.tmp", process::id()));
    let done = candle_core::safetensors::save(&tensors, &unfinished).map(|()| fs::rename(&unfinished, file));
    if !matches!(done, Ok(Ok(()))) {
        fs::remove_file(&unfinished).ok();
    }
    Ok(done??)
}

impl Embedder for Remembered {
    fn info(&self) -> &EmbedderInfo {
        self.inner.info()
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        let file = self.file(images)?;
        if let Some(known) = self.read(&file, images.dim(0)?) {
            return Ok(known);
        }
        let embedding = self.inner.embed(images)?;
        if let Err(error) = write(&file, &embedding) {
            tracing::debug!("{}: {error}; goes on without it", file.display());
        }
        Ok(embedding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::FeatureSpace;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Features are the pixels; counts its calls.
    struct Pixels(AtomicUsize, EmbedderInfo);

    impl Pixels {
        fn new() -> Arc<Self> {
            let info = EmbedderInfo::new("pixels", "00", FeatureSpace::Classifier, 4);
            Arc::new(Self(AtomicUsize::new(0), info))
        }
    }

    impl Embedder for Pixels {
        fn info(&self) -> &EmbedderInfo {
            &self.1
        }

        fn embed(&self, images: &Tensor) -> Result<Embedding> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Embedding { features: images.flatten_from(1)?, logits: None })
        }
    }

    #[test]
    fn the_same_samples_are_embedded_once() {
        let place = tempfile::tempdir().unwrap();
        let pixels = Pixels::new();
        let remembered = Remembered::new(pixels.clone(), place.path().join("new"));
        let values =
            |first: f32| Tensor::new(&[first, 0.25, -0.5, 1.0], &Device::Cpu).unwrap().reshape((1, 1, 2, 2)).unwrap();
        let features = |x: &Tensor| remembered.embed(x).unwrap().features.to_vec2::<f32>().unwrap();
        let first = features(&values(0.5));
        assert_eq!((features(&values(0.5)), pixels.0.load(Ordering::Relaxed)), (first, 1));
        // Other values, or a file that was torn, are embedded again.
        assert_eq!(features(&values(0.75))[0][0], 0.75);
        assert_eq!(pixels.0.load(Ordering::Relaxed), 2);
        for entry in fs::read_dir(place.path().join("new")).unwrap() {
            fs::write(entry.unwrap().path(), b"torn").unwrap();
        }
        assert_eq!((features(&values(0.5))[0][0], pixels.0.load(Ordering::Relaxed)), (0.5, 3));
        assert_eq!(fs::read_dir(place.path().join("new")).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_done_without() {
        let pixels = Pixels::new();
        let remembered = Remembered::new(pixels, PathBuf::from("/proc/nowhere"));
        let x = Tensor::zeros((2, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(remembered.embed(&x).unwrap().features.dims(), [2, 4]);
    }
}
