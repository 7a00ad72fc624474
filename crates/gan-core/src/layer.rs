//! Architectures as data: a network is a list of [`Layer`]s, in TOML, JSON or Rust.
//!
//! A layer is written as its name, `"tanh"`, or as a table whose first key is its name and main setting,
//! `{ conv = 64, kernel = 3, stride = 2, padding = "same" }`. Heights come before widths everywhere.

use serde::{Deserialize, Serialize, Serializer};

mod about;
mod blocks;
mod classes;
mod norms;
mod read;

pub use about::MOST_NESTED;
pub use blocks::{Attention, Bilinear, BlurPool, Elu, MinibatchStd, PixelShuffle, Residual};
pub use classes::{Auxiliary, ConcatClass, Projection};
pub use norms::{
    BatchNorm, BatchNormSettings, ConditionalBatchNorm, GroupNorm, InstanceNorm, LayerNorm, NormSettings,
    RunningVariance,
};

/// One number for both directions, or `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Pair {
    /// The same in both directions.
    Both(usize),
    /// `[vertical, horizontal]`.
    Each([usize; 2]),
}

impl Pair {
    /// `[vertical, horizontal]`.
    pub fn get(self) -> [usize; 2] {
        match self {
            Self::Both(n) => [n, n],
            Self::Each(pair) => pair,
        }
    }

    fn one() -> Self {
        Self::Both(1)
    }
    fn is_one(&self) -> bool {
        self.get() == [1, 1]
    }
}

/// Zeros around an image before a convolution, or what a transposed convolution crops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Pad {
    /// By a rule's name.
    Rule(PadRule),
    /// The same on every side.
    All(usize),
    /// `[vertical, horizontal]`.
    Each([usize; 2]),
    /// `[top, bottom, left, right]`.
    Sides([usize; 4]),
}

/// Padding by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PadRule {
    /// Keras' rule: ⌈side / stride⌉ outputs, an odd zero to the bottom and right. Transposed: side × stride outputs.
    Same,
    /// None.
    Valid,
}

impl Default for Pad {
    fn default() -> Self {
        Self::All(0)
    }
}

/// x·Wᵀ + b over a vector: `[I] -> [O]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {
    /// Outputs O.
    pub dense: usize,
    /// Whether it adds a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Whether the kernel is divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
    /// What the kernel's initial values are multiplied by; 1 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

/// Convolution: `[C, H, W] -> [O, H', W']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Output channels O.
    pub conv: usize,
    /// Kernel height and width.
    pub kernel: Pair,
    /// Step of the window.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub stride: Pair,
    /// Zeros around the image.
    #[serde(default)]
    pub padding: Pad,
    /// Distance between kernel taps.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub dilation: Pair,
    /// Whether it adds a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Groups that input and output channels are cut into, each seen by its own kernels alone.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Whether the kernel is divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
    /// What the kernel's initial values are multiplied by; 1 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

/// Transposed convolution: `[C, H, W] -> [O, H', W']`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose {
    /// Output channels O.
    pub conv_transpose: usize,
    /// Kernel height and width.
    pub kernel: Pair,
    /// Step of the window on the output's side.
    #[serde(default = "Pair::one", skip_serializing_if = "Pair::is_one")]
    pub stride: Pair,
    /// What is cropped from the full result.
    #[serde(default)]
    pub padding: Pad,
    /// Rows and columns added at the bottom and right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_padding: Option<Pair>,
    /// Whether it adds a bias.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Whether the kernel is divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).
    #[serde(default, skip_serializing_if = "is_no")]
    pub spectral_norm: bool,
    /// What the kernel's initial values are multiplied by; 1 where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain: Option<f64>,
}

/// x where x > 0, else slope·x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    /// The slope below zero.
    pub leaky_relu: f64,
}

/// Drops elements in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The share dropped.
    pub dropout: f64,
}

/// Another shape for the same numbers: `[…] -> [this]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new shape without the batch.
    pub reshape: Vec<usize>,
}

/// Nearest-neighbour upsampling: `[C, H, W] -> [C, H·s, W·s]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// How often each pixel is repeated.
    pub upsample: Pair,
}

/// Zeros around an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroPad {
    /// How many.
    pub zero_pad: Pad,
}

/// Mean over windows that touch: `[C, H, W] -> [C, ⌊H/k⌋, ⌊W/k⌋]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool {
    /// Window height and width.
    pub avg_pool: Pair,
}

/// The layers that there are: with settings, under the first key of their table, and without, by their name.
macro_rules! layers {
    ({ $($key:literal: $table:ident,)* } { $($word:literal: $plain:ident,)* }) => {
        /// One layer of a network.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is named like the type that describes it")]
        pub enum Layer {
            $($table($table),)*
            $($plain,)*
        }

        const TABLES: &[&str] = &[$($key),*];
        const NAMES: &[(&str, Layer)] = &[$(($word, Layer::$plain)),*];

        impl Layer {
            /// Its name alone: `conv`, `tanh`, ….
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$table(_) => $key,)*
                    $(Self::$plain => $word,)*
                }
            }

            /// The layer under the key `name` of `table`.
            fn of_table(name: &str, table: serde_json::Value) -> Result<Self, String> {
                match name {
                    $($key => read::settings(name, table).map(Self::$table),)*
                    _ => Err(read::unknown(name)),
                }
            }
        }

        impl Serialize for Layer {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$table(l) => l.serialize(s),)*
                    plain => s.serialize_str(plain.name()),
                }
            }
        }
    };
}

layers! {
    {
        "dense": Dense,
        "conv": Conv,
        "conv_transpose": ConvTranspose,
        "batch_norm": BatchNorm,
        "conditional_batch_norm": ConditionalBatchNorm,
        "instance_norm": InstanceNorm,
        "layer_norm": LayerNorm,
        "group_norm": GroupNorm,
        "leaky_relu": LeakyRelu,
        "elu": Elu,
        "dropout": Dropout,
        "reshape": Reshape,
        "upsample": Upsample,
        "bilinear": Bilinear,
        "pixel_shuffle": PixelShuffle,
        "zero_pad": ZeroPad,
        "avg_pool": AvgPool,
        "blur_pool": BlurPool,
        "minibatch_std": MinibatchStd,
        "attention": Attention,
        "residual": Residual,
        "concat_class": ConcatClass,
        "projection": Projection,
        "auxiliary": Auxiliary,
    }
    {
        "relu": Relu,
        "prelu": Prelu,
        "silu": Silu,
        "gelu": Gelu,
        "tanh": Tanh,
        "sigmoid": Sigmoid,
        "pixel_norm": PixelNorm,
        "flatten": Flatten,
        "global_max_pool": GlobalMaxPool,
        "global_avg_pool": GlobalAvgPool,
    }
}

fn yes() -> bool {
    true
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_yes(b: &bool) -> bool {
    *b
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_no(b: &bool) -> bool {
    !*b
}
fn one() -> usize {
    1
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_one(n: &usize) -> bool {
    *n == 1
}

impl Layer {
    /// The layer as it would be written in TOML, e.g. `{ conv = 64, kernel = 3 }`, for messages.
    pub fn written(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let keys = json.replace("\":", " = ").replace("{\"", "{ ").replace(",\"", ",");
        keys.replace(',', ", ").replace('}', " }")
    }

    /// `{ batch_norm = {} }`: PyTorch's defaults.
    pub fn batch_norm() -> Self {
        Self::BatchNorm(BatchNorm { batch_norm: BatchNormSettings::default() })
    }

    /// `{ leaky_relu = slope }`.
    pub fn leaky_relu(slope: f64) -> Self {
        Self::LeakyRelu(LeakyRelu { leaky_relu: slope })
    }

    /// `{ dense = units }`.
    pub fn dense(units: usize) -> Self {
        Self::Dense(Dense { dense: units, bias: true, spectral_norm: false, gain: None })
    }
}
