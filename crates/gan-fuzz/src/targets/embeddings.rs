//! Cached embeddings, as a file of the cache contains them.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use candle_core::{DType, Device, Tensor};
use gan_metrics::Result;
use gan_metrics::embed::{Embedder, EmbedderInfo, Embedding, FeatureSpace, Remembered};
use std::fs;
use std::sync::Arc;

/// Replaces cached embeddings by the input and requests them. Embeddings that cannot be used are computed again.
pub const TARGET: Target = Target {
    name: "embeddings",
    body,
    seeds,
    tokens: &[
        "\"features\":",
        "\"logits\":",
        "\"F32\"",
        "\"F64\"",
        "\"U8\"",
        "\"shape\":[2,4]",
        "\"data_offsets\":[",
        "0",
    ],
    names: Vec::new,
    memory: Memory { mebibytes: 4, per_byte: 64 },
};

/// An embedder whose features are the pixels.
struct PixelFeatures(EmbedderInfo);

impl PixelFeatures {
    fn new() -> Arc<Self> {
        Arc::new(Self(EmbedderInfo::new("pixels", "00", FeatureSpace::Classifier, 4)))
    }
}

impl Embedder for PixelFeatures {
    fn info(&self) -> &EmbedderInfo {
        &self.0
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        Ok(Embedding { features: images.flatten_from(1)?, logits: None })
    }
}

fn images() -> candle_core::Result<Tensor> {
    Tensor::arange(0f32, 8.0, &Device::Cpu)?.reshape((2, 1, 2, 2))
}

/// Returns the file that the cache writes for the images, and its bytes.
fn written() -> std::result::Result<(std::path::PathBuf, Vec<u8>), Box<dyn std::error::Error>> {
    let folder = place::folder("embeddings")?;
    fs::remove_dir_all(&folder)?;
    Remembered::new(PixelFeatures::new(), folder.clone()).embed(&images()?)?;
    let entry = fs::read_dir(&folder)?.next().ok_or("the cache is empty")??;
    Ok((entry.path(), fs::read(entry.path())?))
}

fn body(input: &[u8]) -> Outcome {
    let (path, _) = written()?;
    fs::write(&path, place::safetensors(input))?;
    let folder = place::folder("embeddings")?;
    let embedding = Remembered::new(PixelFeatures::new(), folder).embed(&images()?)?;
    assert_eq!((embedding.features.dims(), embedding.features.dtype()), (&[2, 4][..], DType::F32));
    embedding.features.to_vec2::<f32>()?;
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let bytes = written().expect("a cache").1;
    vec![("parts", place::safetensors_parts(&bytes)), ("two", bytes)]
}
