//! Networks that turn images into the features which metrics compare.
//!
//! In reading order: this file (the trait [`Embedder`]), `images` and `resize` (what reaches a network), [`layered`] (own
//! networks, and the digit classifier that is shipped), [`stacked`] (a grey one on red, green and blue), [`plain`] (no network),
//! [`inception`] (what published FID numbers are made with), [`remembered`] (embeddings in files).

pub mod inception;
pub mod layered;
pub mod plain;
pub mod remembered;
pub mod stacked;

pub(crate) mod hash;
mod images;
mod resize;

pub use inception::Inception;
pub use layered::Layered;
pub use plain::{Coordinates, Thumbnails};
pub use remembered::Remembered;
pub use stacked::Stacked;

use crate::error::Result;
use candle_core::Tensor;

/// The most bytes of a weight file: ten times Inception-v3's.
const MOST_BYTES: u64 = 1 << 30;

/// What a network says about a batch of images.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[N, D]`
    pub features: Tensor,
    /// `[N, K]`, for a classifier.
    pub logits: Option<Tensor>,
}

/// Which sizes of images a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// One size, to which images must be brought first.
    One,
    /// Any: it resizes images by itself, which is part of its definition.
    Any,
}

/// Which features an embedder makes. Distances over different ones cannot be compared, so they are metrics of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureSpace {
    /// Of the digit classifier, also on each of three channels.
    Digits,
    /// Of Inception-v3.
    Inception,
    /// Thumbnails of the pixels.
    Thumbnails,
    /// Of another classifier, such as a user's.
    Classifier,
    /// Coordinates of points.
    Coordinates,
}

impl FeatureSpace {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Digits, Self::Inception, Self::Thumbnails, Self::Classifier, Self::Coordinates];

    /// Returns what makes them, for messages.
    pub fn title(self) -> &'static str {
        match self {
            Self::Digits => "the digit classifier",
            Self::Inception => "Inception-v3",
            Self::Thumbnails => "8×8 thumbnails",
            Self::Classifier => "a classifier of your own",
            Self::Coordinates => "coordinates of points",
        }
    }

    /// Returns the features of the embedder that a card names.
    pub fn of_name(embedder: &str) -> Self {
        match embedder {
            layered::DIGITS_NAME | stacked::NAME => Self::Digits,
            inception::NAME => Self::Inception,
            plain::THUMBNAILS => Self::Thumbnails,
            plain::COORDINATES => Self::Coordinates,
            _ => Self::Classifier,
        }
    }
}

/// A fixed network from images to features.
pub trait Embedder: Send + Sync {
    /// What metric cards call it, as in "digits".
    fn name(&self) -> &str;

    /// Which features it makes, which decides the names of distances over them.
    fn feature_space(&self) -> FeatureSpace {
        FeatureSpace::Classifier
    }

    /// SHA-256 of its weights in hexadecimal: features of different networks cannot be compared.
    fn hash(&self) -> &str;

    /// How images of another size are brought to its own, in words; none where it refuses them.
    fn resizing(&self) -> Option<&str>;

    /// Which sizes it takes.
    fn sizes(&self) -> Sizes {
        Sizes::One
    }

    /// The published protocol that it follows from the original images on, in words, as in "as torch-fidelity".
    fn protocol(&self) -> Option<&str> {
        None
    }

    /// Numbers a sample D.
    fn dim(&self) -> usize;

    /// Classes' names; none for what is no classifier.
    fn classes(&self) -> &[String];

    /// images `[N, C, H, W]` in [−1, 1] -> features `[N, D]` and logits `[N, K]`.
    ///
    /// # Errors
    /// If it cannot take images of that shape.
    fn embed(&self, images: &Tensor) -> Result<Embedding>;
}
