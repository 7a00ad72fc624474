//! Layers: one file for each, or for a small family, and one registry of them.
//!
//! A network is a list of [`Layer`]s, in TOML, JSON or Rust. A layer is written as its name, `"tanh"`, or as a table whose first key is its
//! name and main setting, `{ conv = 64, kernel = 3, stride = 2, padding = "same" }`. Heights come before widths everywhere.
//!
//! A layer's file contains its settings, the output shape and parameters for an input shape, its multiply-adds, its forward pass in candle
//! operations (over values that may carry a tangent, [`Dual`]), and its fused form, if it has one. `layers!` below is the only list of
//! layers. [`register`] adds your own layers.

mod context;
mod dual;
mod inferred;
pub(crate) mod layer;
mod read;
mod settings;

pub use batch_norm::{BatchNormSettings, RunningVariance};
pub(crate) use batch_norm::{follow, running};
pub(crate) use conditional::one_hot;
pub use context::LayerContext;
pub(crate) use context::checked_classes;
pub use dual::Dual;
pub use inferred::{Inferred, ParamSpec};
pub(crate) use layer::Layer;
pub use layer::{InferResult, LayerSpec};
pub use read::{list, names, register};
pub(crate) use resample::upsample_bilinear;
pub(crate) use residual::MOST_NESTED;
pub use sample_norm::NormSettings;
pub use settings::{Pad, PadRule, Pair};

use read::Entry;

/// Declares the file of each layer or family, and the registry.
macro_rules! layers {
    ($($module:ident: $($name:ident),+;)*) => {
        $(mod $module; pub use $module::{$($name),+};)*

        /// All layers of this crate.
        const REGISTRY: &[Entry] = &[$($(Entry::layer::<$name>(),)+)*];
    };
}

layers! {
    dense: Dense;
    conv: Conv, ConvTranspose;
    batch_norm: BatchNorm, ConditionalBatchNorm;
    sample_norm: InstanceNorm, LayerNorm, GroupNorm, PixelNorm;
    activations: Relu, LeakyRelu, Elu, Prelu, Silu, Gelu, Tanh, Sigmoid;
    glu: Glu;
    dropout: Dropout;
    reshape: Reshape, Flatten, ZeroPad;
    resample: Upsample, Bilinear, PixelShuffle, BlurPool;
    pool: AvgPool, GlobalAvgPool, GlobalMaxPool;
    minibatch_std: MinibatchStd;
    attention: Attention;
    residual: Residual;
    conditional: ConcatClass, Projection, Auxiliary;
}
