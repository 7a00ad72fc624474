//! Blocks of newer networks, resampling, and what looks at a whole batch or a whole image.

use super::{Layer, Pair, is_no};
use serde::{Deserialize, Serialize};

/// x where x > 0, else α·(eˣ − 1) (Clevert et al. 2015, arXiv:1511.07289).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elu {
    /// α.
    pub elu: f64,
}

/// Bilinear upsampling by whole factors, as PyTorch's `align_corners=False`: `[C, H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bilinear {
    /// The factors.
    pub bilinear: Pair,
}

/// Channels spread over pixels (Shi et al. 2016, arXiv:1609.05158): `[C·s², H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelShuffle {
    /// The factor s.
    pub pixel_shuffle: usize,
}

/// Every s-th pixel after a blur with [1, 3, 3, 1]/8 in both directions, zeros around (Zhang 2019, arXiv:1904.11486; StyleGAN2's
/// filter): `[C, H, W] -> [C, ⌊H/s⌋, ⌊W/s⌋]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurPool {
    /// The step s.
    pub blur_pool: usize,
}

/// One more channel (or feature): how much samples of a group differ, on average over everything (Karras et al. 2018,
/// arXiv:1710.10196, in StyleGAN2's form).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinibatchStd {
    /// Samples in a group; where they do not divide the batch, the next smaller number that does.
    pub minibatch_std: usize,
}

/// Self-attention over the pixels (Zhang et al. 2018, arXiv:1805.08318): x + γ·o(attended), γ begins at 0: `[C, H, W]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Queries and keys have C divided by this many channels, values C/2. The paper takes 8.
    pub attention: usize,
    /// Whether each kernel is divided by its largest singular value.
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
}

/// f(x) + g(x) of two lists of layers (He et al. 2015, arXiv:1512.03385). Their parameters are `body.0.weight`, `skip.0.weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// f.
    pub residual: Vec<Layer>,
    /// g; x itself where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<Layer>,
}
