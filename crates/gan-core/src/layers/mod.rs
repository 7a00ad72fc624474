//! Layers: a file for each, or for a tight family, and the one list of them.
//!
//! A network is a list of [`Layer`]s, in TOML, JSON or Rust. A layer is written as its name, `"tanh"`, or as a table whose first key is
//! its name and main setting, `{ conv = 64, kernel = 3, stride = 2, padding = "same" }`. Heights come before widths everywhere.
//!
//! A layer's file holds its settings, the shape and the parameters that follow from an input, its multiply-adds, its forward pass in candle
//! operations (over values that may carry a tangent, [`Dual`]), and its fused form, if it has one. `REGISTRY` below is the only place that
//! lists them. [`register`] adds a layer of your own.

mod activations;
mod attention;
mod auxiliary;
mod batch_norm;
mod blocks;
mod concat_class;
mod context;
mod conv;
mod dense;
mod dropout;
mod dual;
mod inferred;
mod minibatch_std;
mod pixel_shuffle;
mod pool;
mod projection;
mod read;
mod resample;
mod reshape;
mod residual;
mod sample_norm;
mod settings;
pub(crate) mod spectral_norm;
mod upsample;
mod zero_pad;

pub use activations::{Elu, Gelu, LeakyRelu, Prelu, Relu, Sigmoid, Silu, Tanh};
pub use attention::Attention;
pub use auxiliary::Auxiliary;
pub use batch_norm::{BatchNorm, BatchNormSettings, ConditionalBatchNorm, RunningVariance};
pub use concat_class::ConcatClass;
pub use context::LayerContext;
pub(crate) use context::follow;
pub use conv::{Conv, ConvTranspose};
pub use dense::Dense;
pub use dropout::Dropout;
pub use dual::Dual;
pub use inferred::{Inferred, InferredLayer, ParamSpec};
pub use minibatch_std::MinibatchStd;
pub use pixel_shuffle::PixelShuffle;
pub use pool::{AvgPool, GlobalAvgPool, GlobalMaxPool};
pub use projection::Projection;
pub use read::{list, names, register};
pub use resample::{Bilinear, BlurPool};
pub use reshape::{Flatten, Reshape};
pub use residual::{MOST_NESTED, Residual};
pub use sample_norm::{GroupNorm, InstanceNorm, LayerNorm, NormSettings, PixelNorm};
pub use settings::{Pad, PadRule, Pair};
pub use upsample::Upsample;
pub use zero_pad::ZeroPad;

use candle_core::Result;
use gan_kernels::BatchStatistics;
use gan_kernels::fused::FusedLayer;
use read::{Entry, Kind};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// The layers that there are.
const REGISTRY: &[Entry] = &[
    Entry::of::<Dense>(),
    Entry::of::<Conv>(),
    Entry::of::<ConvTranspose>(),
    Entry::of::<BatchNorm>(),
    Entry::of::<ConditionalBatchNorm>(),
    Entry::of::<InstanceNorm>(),
    Entry::of::<LayerNorm>(),
    Entry::of::<GroupNorm>(),
    Entry::of::<LeakyRelu>(),
    Entry::of::<Elu>(),
    Entry::of::<Dropout>(),
    Entry::of::<Reshape>(),
    Entry::of::<Upsample>(),
    Entry::of::<Bilinear>(),
    Entry::of::<PixelShuffle>(),
    Entry::of::<ZeroPad>(),
    Entry::of::<AvgPool>(),
    Entry::of::<BlurPool>(),
    Entry::of::<MinibatchStd>(),
    Entry::of::<Attention>(),
    Entry::of::<Residual>(),
    Entry::of::<ConcatClass>(),
    Entry::of::<Projection>(),
    Entry::of::<Auxiliary>(),
    Entry::of::<Relu>(),
    Entry::of::<Prelu>(),
    Entry::of::<Silu>(),
    Entry::of::<Gelu>(),
    Entry::of::<Tanh>(),
    Entry::of::<Sigmoid>(),
    Entry::of::<PixelNorm>(),
    Entry::of::<Flatten>(),
    Entry::of::<GlobalMaxPool>(),
    Entry::of::<GlobalAvgPool>(),
];

/// What a layer makes and learns, or what it needs instead.
pub type InferResult = std::result::Result<Inferred, String>;

/// What a layer is. Its type holds the settings; a type without settings is written as its name alone.
///
/// A type with settings has a first field that is called like the layer: `struct Conv { conv: usize, kernel: Pair, … }`.
pub trait LayerSpec: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The layer's name in lists: `conv`, `tanh`, ….
    const NAME: &'static str;

    /// Returns what comes out for samples of shape `input` (`[F]` or `[C, H, W]`, without the batch), the parameters with their
    /// initialisation, and the multiply-adds. Nothing is allocated for it.
    ///
    /// # Errors
    /// What the layer needs instead, as it completes "got [1, 28, 28], needs …".
    fn infer(&self, input: &[usize]) -> InferResult;

    /// Computes the layer's output from x `[N, …]` in candle operations, on any device and in f64 too: what the fused form must equal, and
    /// what runs where there is none. Written over [`Dual`]s, its derivative in a direction comes with it.
    ///
    /// # Errors
    /// From candle.
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual>;

    /// Returns the layer in the fused engine, where it has such a form; `place(i)` is where its i-th parameter starts.
    fn fused(&self, _input: &[usize], _place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        None
    }

    /// Returns whether the slope changes with the input, apart from jumps.
    fn is_nonlinear(&self, training: bool) -> bool;

    /// Returns the number of classes that the layer takes, where it takes any.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// Returns the same layer, and all inside it, with every kernel divided by its largest singular value (Miyato et al. 2018,
    /// arXiv:1802.05957).
    #[must_use]
    fn with_spectral_norm(self) -> Self {
        self
    }

    /// Returns the lists inside the layer, with the names that their parameters get.
    fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        vec![]
    }

    /// Returns the running averages that follow a batch's statistics: the layer's parameters `running_mean` and `running_var`.
    fn running(&self) -> Option<RunningAverages> {
        None
    }
}

/// How a layer's running averages follow a batch's statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningAverages {
    /// Weight of the new batch.
    pub momentum: f64,
    /// Which variance the average takes.
    pub variance: RunningVariance,
}

impl RunningAverages {
    /// What the batch's variance is multiplied by.
    pub(crate) fn correction(&self, batch: &BatchStatistics) -> f64 {
        match self.variance {
            RunningVariance::Unbiased => batch.count as f64 / (batch.count as f64 - 1.0),
            RunningVariance::Biased => 1.0,
        }
    }
}

/// One layer of a network.
#[derive(Clone, Debug)]
pub struct Layer(Arc<dyn AnyLayer>);

impl<T: LayerSpec> From<T> for Layer {
    fn from(layer: T) -> Self {
        Self(Arc::new(layer))
    }
}

impl PartialEq for Layer {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other.0.as_any())
    }
}

impl Serialize for Layer {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0.settings() {
            Some(settings) => erased_serde::serialize(settings, s),
            None => s.serialize_str(self.name()),
        }
    }
}

impl Layer {
    /// Returns its name alone: `conv`, `tanh`, ….
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Returns the layer as `T`, if it is one.
    pub fn downcast<T: LayerSpec>(&self) -> Option<&T> {
        self.0.as_any().downcast_ref()
    }

    /// Returns the layer as it would be written in TOML, e.g. `{ conv = 64, kernel = 3 }`, for messages.
    pub fn written(&self) -> String {
        let json = serde_json::to_string(self).unwrap_or_default();
        let keys = json.replace("\":", " = ").replace("{\"", "{ ").replace(",\"", ",");
        keys.replace(',', ", ").replace('}', " }")
    }

    /// As [`LayerSpec::infer`].
    ///
    /// # Errors
    /// As [`LayerSpec::infer`].
    pub fn infer(&self, input: &[usize]) -> InferResult {
        self.0.infer(input)
    }

    /// As [`LayerSpec::forward`].
    ///
    /// # Errors
    /// As [`LayerSpec::forward`].
    pub fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        self.0.forward(x, cx)
    }

    /// As [`LayerSpec::fused`].
    pub fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        self.0.fused(input, place)
    }

    /// As [`LayerSpec::is_nonlinear`].
    pub fn is_nonlinear(&self, training: bool) -> bool {
        self.0.is_nonlinear(training)
    }

    /// As [`LayerSpec::classes`].
    pub fn classes(&self) -> Option<usize> {
        self.0.classes()
    }

    /// As [`LayerSpec::with_spectral_norm`].
    #[must_use]
    pub fn with_spectral_norm(self) -> Self {
        self.0.with_spectral_norm()
    }

    /// As [`LayerSpec::branches`].
    pub fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        self.0.branches()
    }

    /// As [`LayerSpec::running`].
    pub fn running(&self) -> Option<RunningAverages> {
        self.0.running()
    }
}

/// A [`LayerSpec`] whose type is not known.
trait AnyLayer: Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
    /// What is written; none for a layer without settings.
    fn settings(&self) -> Option<&dyn erased_serde::Serialize>;
    fn infer(&self, input: &[usize]) -> InferResult;
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual>;
    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>>;
    fn is_nonlinear(&self, training: bool) -> bool;
    fn classes(&self) -> Option<usize>;
    fn with_spectral_norm(&self) -> Layer;
    fn branches(&self) -> Vec<(&'static str, &[Layer])>;
    fn running(&self) -> Option<RunningAverages>;
}

impl<T: LayerSpec> AnyLayer for T {
    fn name(&self) -> &'static str {
        T::NAME
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
    fn settings(&self) -> Option<&dyn erased_serde::Serialize> {
        match Kind::of::<T>() {
            Kind::Settings => Some(self),
            Kind::Name => None,
        }
    }
    fn infer(&self, input: &[usize]) -> InferResult {
        LayerSpec::infer(self, input)
    }
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        LayerSpec::forward(self, x, cx)
    }
    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        LayerSpec::fused(self, input, place)
    }
    fn is_nonlinear(&self, training: bool) -> bool {
        LayerSpec::is_nonlinear(self, training)
    }
    fn classes(&self) -> Option<usize> {
        LayerSpec::classes(self)
    }
    fn with_spectral_norm(&self) -> Layer {
        LayerSpec::with_spectral_norm(self.clone()).into()
    }
    fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        LayerSpec::branches(self)
    }
    fn running(&self) -> Option<RunningAverages> {
        LayerSpec::running(self)
    }
}
