//! Networks that turn images into the features that metrics compare.
//!
//! In reading order: this file (the trait [`Embedder`]), `resize`, `layered` (networks of gan-core's layers, and the digit classifier that is
//! shipped), `plain` (no network), `texture` (a random network), `inception` (for published FID numbers), `composited` (images with alpha),
//! `remembered` (a cache of embeddings in files).

use crate::card::EmbedderCard;
use crate::error::{Error, Result};
use candle_core::Tensor;
use gan_base::messages::counted;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

mod composited;
mod inception;
mod layered;
mod plain;
mod remembered;
mod resize;
mod texture;

pub use composited::Composited;
pub use inception::Inception;
pub use layered::{Layered, Stacked};
pub(crate) use plain::area_means;
pub use plain::{Coordinates, Thumbnails};
pub use remembered::Remembered;
pub use texture::Texture;

/// Maximum size of a weight file in bytes: ten times Inception-v3's.
const MOST_BYTES: u64 = 1 << 30;

/// A fixed network from images to features.
pub trait Embedder: Send + Sync {
    /// Returns its description.
    fn info(&self) -> &EmbedderInfo;

    /// Computes features `[N, D]` and logits `[N, K]` of images `[N, C, H, W]` in [−1, 1].
    ///
    /// # Errors
    /// If it does not take images of that shape.
    fn embed(&self, images: &Tensor) -> Result<Embedding>;
}

/// Description of a network.
#[derive(Clone, Debug)]
pub struct EmbedderInfo {
    /// Its name, hash, number of features, resizing and protocol, as cards state them.
    pub card: EmbedderCard,
    /// Which features it computes, which determines the names of distances over them.
    pub features: FeatureSpace,
    /// Whether it takes images of any size and resizes them itself, as a part of its definition. Otherwise images must have one size.
    pub takes_any_size: bool,
    /// Names of the classes; empty if it is no classifier.
    pub classes: Vec<String>,
}

impl EmbedderInfo {
    /// Returns the description of a network that is no classifier and takes images of one size, with `dim` features per sample.
    pub fn new(name: &str, hash: &str, features: FeatureSpace, dim: usize) -> Self {
        let card = EmbedderCard { name: name.into(), hash: hash.into(), dim, resize: None, protocol: None };
        Self { card, features, takes_any_size: false, classes: vec![] }
    }
}

/// A network's outputs for a batch of images.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[N, D]`
    pub features: Tensor,
    /// `[N, K]`, from a classifier.
    pub logits: Option<Tensor>,
}

/// Which features an embedder computes. Distances over different ones cannot be compared, so they are different metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSpace {
    /// Features of the digit classifier, also on each of three channels.
    Digits,
    /// Features of Inception-v3.
    Inception,
    /// Thumbnails of the pixels.
    Thumbnails,
    /// Statistics of a random network's activations.
    Texture,
    /// Features of another classifier, such as a user's.
    Classifier,
    /// Coordinates of points.
    Coordinates,
}

impl FeatureSpace {
    /// Every feature space.
    pub const ALL: [Self; 6] =
        [Self::Digits, Self::Inception, Self::Thumbnails, Self::Texture, Self::Classifier, Self::Coordinates];

    /// Returns the network's name in messages.
    pub fn title(self) -> &'static str {
        match self {
            Self::Digits => "the digit classifier",
            Self::Inception => "Inception-v3",
            Self::Thumbnails => "8×8 thumbnails",
            Self::Texture => "textures",
            Self::Classifier => "a classifier of your own",
            Self::Coordinates => "coordinates of points",
        }
    }

    /// Returns whether samples with almost the same features are copies of each other. Otherwise copies of images are searched among small
    /// pictures of them.
    pub fn finds_copies(self) -> bool {
        match self {
            Self::Digits | Self::Classifier | Self::Coordinates => true,
            Self::Inception | Self::Thumbnails | Self::Texture => false,
        }
    }

    /// Returns whether precision, recall, density, coverage and diversity compare samples by these features. Otherwise they compare small
    /// pictures: every sample of a generator that is still bad has another texture than any real one, so that all would be 0.
    pub fn compares_neighbours(self) -> bool {
        self != Self::Texture
    }

    /// Returns the features of the embedder that a card names.
    pub fn of_name(embedder: &str) -> Self {
        match embedder {
            layered::DIGITS_NAME | layered::STACKED_NAME => Self::Digits,
            inception::NAME => Self::Inception,
            plain::THUMBNAILS => Self::Thumbnails,
            texture::NAME => Self::Texture,
            plain::COORDINATES => Self::Coordinates,
            _ => Self::Classifier,
        }
    }
}

/// Returns the hash of everything that `hasher` was given in hexadecimal.
pub(crate) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the path in an environment variable that is set and not empty.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Returns the folder where the system keeps caches.
fn cache_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
}

/// Returns `[C, H, W]` of images `[N, C, H, W]` for the network `name` with this number of channels.
fn image_shape(images: &Tensor, name: &str, channels: usize) -> Result<[usize; 3]> {
    let wrong = |advice: &str| {
        let colours = if channels == 1 { "1 channel (grey)".into() } else { counted(channels, "channel") };
        let found = format!("a tensor {:?}", images.dims());
        Err(Error::mismatch(format!("images for {name}"), found, format!("[N, C, H, W] with {colours}"), advice))
    };
    match *images.dims() {
        [n, c, h, w] if n * h * w > 0 && c == channels => Ok([c, h, w]),
        [n, _, h, w] if n * h * w == 0 => wrong("there has to be an image, and a pixel in it"),
        [_, 3, _, _] => wrong("turn the images grey, or take a network for colour images"),
        [_, 1, _, _] => wrong("repeat the grey channel, or take a network for grey images"),
        [_, _, _, _] => wrong("take a network for images with as many channels"),
        _ => wrong("only images can be embedded"),
    }
}

/// Runs a network on `images`, `size` at a time.
fn in_batches(images: &Tensor, size: usize, run: impl Fn(&Tensor) -> Result<Embedding>) -> Result<Embedding> {
    let n = images.dim(0)?;
    let parts = (0..n).step_by(size).map(|at| run(&images.narrow(0, at, size.min(n - at))?));
    let parts: Vec<Embedding> = parts.collect::<Result<_>>()?;
    let features: Vec<&Tensor> = parts.iter().map(|part| &part.features).collect();
    let logits: Option<Vec<&Tensor>> = parts.iter().map(|part| part.logits.as_ref()).collect();
    let logits = logits.map(|logits| Tensor::cat(&logits, 0)).transpose()?;
    Ok(Embedding { features: Tensor::cat(&features, 0)?, logits })
}
