//! Architectures as data: a network is a list of [`Layer`]s, in TOML, JSON or Rust.
//!
//! A layer is written as its name, `"tanh"`, or as a table whose first key is its name and main setting,
//! `{ conv = 64, kernel = 3, stride = 2, padding = "same" }`. Heights come before widths everywhere.

use serde::{Deserialize, Serialize, Serializer};

mod read;

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
}

/// Batch normalisation of each channel: any shape that starts with channels or features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Its settings.
    pub batch_norm: BatchNormSettings,
}

/// Settings of [`BatchNorm`], PyTorch's conventions and defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNormSettings {
    /// Weight of the new batch in the running averages. Keras' `momentum` is 1 − this.
    pub momentum: f64,
    /// Added to the variance. Keras' default is 1e-3.
    pub eps: f64,
    /// Which variance the running average takes.
    pub running_variance: RunningVariance,
}

impl Default for BatchNormSettings {
    fn default() -> Self {
        Self { momentum: 0.1, eps: 1e-5, running_variance: RunningVariance::Unbiased }
    }
}

/// Which variance of a batch enters the running average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunningVariance {
    /// Divided by the count less one, as PyTorch does.
    Unbiased,
    /// Divided by the count, as Keras does.
    Biased,
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

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each is named like the type that describes it")]
pub enum Layer {
    Dense(Dense),
    Conv(Conv),
    ConvTranspose(ConvTranspose),
    BatchNorm(BatchNorm),
    LeakyRelu(LeakyRelu),
    Dropout(Dropout),
    Reshape(Reshape),
    Upsample(Upsample),
    ZeroPad(ZeroPad),
    AvgPool(AvgPool),
    Relu,
    Tanh,
    Sigmoid,
    Flatten,
    GlobalMaxPool,
    GlobalAvgPool,
}

const TABLES: [&str; 10] = [
    "dense",
    "conv",
    "conv_transpose",
    "batch_norm",
    "leaky_relu",
    "dropout",
    "reshape",
    "upsample",
    "zero_pad",
    "avg_pool",
];
const NAMES: [(&str, Layer); 6] = [
    ("relu", Layer::Relu),
    ("tanh", Layer::Tanh),
    ("sigmoid", Layer::Sigmoid),
    ("flatten", Layer::Flatten),
    ("global_max_pool", Layer::GlobalMaxPool),
    ("global_avg_pool", Layer::GlobalAvgPool),
];

fn yes() -> bool {
    true
}
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_yes(b: &bool) -> bool {
    *b
}

impl Layer {
    /// The layer as it would be written in TOML, e.g. `{ conv = 64, kernel = 3 }`, for messages.
    pub fn written(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let keys = json.replace("\":", " = ").replace("{\"", "{ ").replace(",\"", ",");
        keys.replace(',', ", ").replace('}', " }")
    }

    /// Its name alone: `conv`, `tanh`, ….
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dense(_) => "dense",
            Self::Conv(_) => "conv",
            Self::ConvTranspose(_) => "conv_transpose",
            Self::BatchNorm(_) => "batch_norm",
            Self::LeakyRelu(_) => "leaky_relu",
            Self::Dropout(_) => "dropout",
            Self::Reshape(_) => "reshape",
            Self::Upsample(_) => "upsample",
            Self::ZeroPad(_) => "zero_pad",
            Self::AvgPool(_) => "avg_pool",
            plain => NAMES.iter().find(|(_, layer)| layer == plain).map_or("", |(name, _)| name),
        }
    }

    /// `{ batch_norm = {} }`: PyTorch's defaults.
    pub fn batch_norm() -> Self {
        Self::BatchNorm(BatchNorm { batch_norm: BatchNormSettings::default() })
    }

    /// `{ leaky_relu = slope }`.
    pub fn leaky_relu(slope: f64) -> Self {
        Self::LeakyRelu(LeakyRelu { leaky_relu: slope })
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dense(l) => l.serialize(s),
            Self::Conv(l) => l.serialize(s),
            Self::ConvTranspose(l) => l.serialize(s),
            Self::BatchNorm(l) => l.serialize(s),
            Self::LeakyRelu(l) => l.serialize(s),
            Self::Dropout(l) => l.serialize(s),
            Self::Reshape(l) => l.serialize(s),
            Self::Upsample(l) => l.serialize(s),
            Self::ZeroPad(l) => l.serialize(s),
            Self::AvgPool(l) => l.serialize(s),
            plain => s.serialize_str(plain.name()),
        }
    }
}
