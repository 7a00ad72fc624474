//! Embeddings of real samples kept in files, so that the same samples are embedded once however often they are compared with.
//!
//! A file's name is the hash of the samples' values, their shape and the network: what is in it can never be out of date, and may be
//! deleted at any time. A cache that cannot be read or written is done without.

use super::{Embedder, Embedding, FeatureSpace, Sizes, hash};
use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs, process};

/// Joins the hash, and changes when the same network's features do.
const FORMAT: &str = "embeddings 1";
const FEATURES: &str = "features";
const LOGITS: &str = "logits";

/// An embedder that looks into a folder first.
pub struct Remembered {
    inner: Arc<dyn Embedder>,
    folder: PathBuf,
}

impl Remembered {
    /// `inner`, remembering in `folder`, which need not exist.
    pub fn new(inner: Arc<dyn Embedder>, folder: PathBuf) -> Self {
        Self { inner, folder }
    }

    /// `embeddings` in the folder that `GAN_CACHE_DIR` names, or in `gan` where the system keeps caches (`XDG_CACHE_HOME`, `~/.cache`).
    /// None where there is no such place.
    pub fn folder() -> Option<PathBuf> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let general = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        set("GAN_CACHE_DIR").or_else(|| Some(general()?.join("gan"))).map(|dir| dir.join("embeddings"))
    }

    fn file(&self, samples: &Tensor) -> Result<PathBuf> {
        let mut hasher = Sha256::new_with_prefix(FORMAT);
        let resizing = self.inner.resizing().unwrap_or_default();
        for part in [self.inner.name(), self.inner.hash(), resizing, &format!("{:?}", samples.dims())] {
            hasher.update(part);
            hasher.update([0]);
        }
        let values: Vec<f32> = samples.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        hasher.update(&bytes);
        Ok(self.folder.join(hash::finished(hasher) + ".safetensors"))
    }

    /// What a file holds, if it is whole and for `n` samples.
    fn read(&self, file: &Path, n: usize) -> Option<Embedding> {
        let mut tensors = candle_core::safetensors::load(file, &Device::Cpu).ok()?;
        let mut take = |name: &str, dim: usize| tensors.remove(name).filter(|t| t.dims() == [n, dim]);
        let features = take(FEATURES, self.inner.dim())?;
        let classes = self.inner.classes().len();
        match (classes, take(LOGITS, classes)) {
            (0, _) => Some(Embedding { features, logits: None }),
            (_, logits) => Some(Embedding { features, logits: Some(logits?) }),
        }
    }
}

/// Writes a file whole or not at all.
fn write(file: &Path, embedding: &Embedding) -> std::result::Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let logits = embedding.logits.iter().map(|logits| (LOGITS, logits));
    let tensors: HashMap<&str, &Tensor> = [(FEATURES, &embedding.features)].into_iter().chain(logits).collect();
    let owned: HashMap<&str, Tensor> =
        tensors.into_iter().map(|(k, v)| Ok((k, v.contiguous()?))).collect::<Result<_>>()?;
    let unfinished = file.with_extension(format!("{}.tmp", process::id()));
    let done = candle_core::safetensors::save(&owned, &unfinished).map(|()| fs::rename(&unfinished, file));
    if !matches!(done, Ok(Ok(()))) {
        fs::remove_file(&unfinished).ok();
    }
    Ok(done??)
}

impl Embedder for Remembered {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn feature_space(&self) -> FeatureSpace {
        self.inner.feature_space()
    }
    fn hash(&self) -> &str {
        self.inner.hash()
    }
    fn resizing(&self) -> Option<&str> {
        self.inner.resizing()
    }
    fn sizes(&self) -> Sizes {
        self.inner.sizes()
    }
    fn protocol(&self) -> Option<&str> {
        self.inner.protocol()
    }
    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn classes(&self) -> &[String] {
        self.inner.classes()
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Features are the pixels; counts how often it is asked.
    struct Pixels(AtomicUsize);

    impl Embedder for Pixels {
        fn name(&self) -> &str {
            "pixels"
        }
        fn hash(&self) -> &str {
            "00"
        }
        fn resizing(&self) -> Option<&str> {
            None
        }
        fn dim(&self) -> usize {
            4
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn embed(&self, images: &Tensor) -> Result<Embedding> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Embedding { features: images.flatten_from(1)?, logits: None })
        }
    }

    #[test]
    fn the_same_samples_are_embedded_once() {
        let place = tempfile::tempdir().unwrap();
        let pixels = Arc::new(Pixels(AtomicUsize::new(0)));
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
        let pixels = Arc::new(Pixels(AtomicUsize::new(0)));
        let remembered = Remembered::new(pixels, PathBuf::from("/proc/nowhere"));
        let x = Tensor::zeros((2, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(remembered.embed(&x).unwrap().features.dims(), [2, 4]);
    }
}
