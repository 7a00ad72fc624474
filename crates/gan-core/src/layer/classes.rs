//! Layers that know a sample's class.

use super::is_no;
use serde::{Deserialize, Serialize};

/// The class joined to what reaches it, as one number a class that is 1 for its own (Mirza & Osindero 2014, arXiv:1411.1784) or as
/// a learnt vector: `[F] -> [F + E]`, `[C, H, W] -> [C + E, H, W]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcatClass {
    /// Classes.
    pub concat_class: usize,
    /// Numbers E that are learnt for each class; without it E is the number of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<usize>,
}

/// D's head ψ(h) + ⟨e(class), h⟩, ψ a dense layer (Miyato & Koyama 2018, arXiv:1802.05637): `[F] -> [1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// Classes.
    pub projection: usize,
    /// Whether both kernels are divided by their largest singular values.
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
}

/// D's head of an auxiliary classifier: one dense layer to the logit and to one logit a class (Odena et al. 2016,
/// arXiv:1610.09585): `[F] -> [1 + classes]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auxiliary {
    /// Classes.
    pub auxiliary: usize,
    /// Whether the kernel is divided by its largest singular value.
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
}
