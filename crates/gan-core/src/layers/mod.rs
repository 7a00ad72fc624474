//! Layers: one file for each, or for a small family, and one registry of them.
//!
//! A network is a list of [`Layer`]s, in TOML, JSON or Rust. A layer is written as its name, `"tanh"`, or as a table whose first key is its
//! name and main setting, `{ conv = 64, kernel = 3, stride = 2, padding = "same" }`. Heights come before widths everywhere.
//!
//! A layer's file contains its settings, the output shape and parameters for an input shape, its multiply-adds, its forward pass in candle
//! operations (over values that may carry a tangent, [`Dual`]), and its fused form, if it has one. `REGISTRY` below is the only list of
//! layers. [`register`] adds your own layers.

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

/// All layers.
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

/// Inferred output and parameters of a layer, or the input that it needs instead.
pub type InferResult = std::result::Result<Inferred, String>;

/// A layer. Its type contains the settings; a type without settings is written as its name alone.
///
/// A type with settings has a first field with the name of the layer: `struct Conv { conv: usize, kernel: Pair, … }`.
pub trait LayerSpec: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the layer in lists: `conv`, `tanh`, ….
    const NAME: &'static str;

    /// Returns the output shape for samples of shape `input` (`[F]` or `[C, H, W]`, without the batch), the parameters with their
    /// initialization, and the multiply-adds. Nothing is allocated for it.
    ///
    /// # Errors
    /// What the layer needs instead, to complete "got [1, 28, 28], needs …".
    fn infer(&self, input: &[usize]) -> InferResult;

    /// Computes the layer's output for x `[N, …]` in candle operations, on any device and also in f64. The fused form must equal it, and it
    /// runs if there is none. Because it is written over [`Dual`]s, it also computes the directional derivative.
    ///
    /// # Errors
    /// From candle.
    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual>;

    /// Returns the layer in the fused engine, if it has a fused form; `place(i)` is the start of its i-th parameter.
    fn fused(&self, _input: &[usize], _place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        None
    }

    /// Returns whether the slope changes with the input, apart from jumps.
    fn is_nonlinear(&self, training: bool) -> bool;

    /// Returns the number of classes that the layer expects, if it uses classes.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// Returns the same layer, and all inside it, with every kernel divided by its largest singular value (Miyato et al. 2018,
    /// arXiv:1802.05957).
    #[must_use]
    fn with_spectral_norm(self) -> Self {
        self
    }

    /// Returns the lists inside the layer, with the name prefixes of their parameters.
    fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        vec![]
    }

    /// Returns the running averages that follow a batch's statistics: the layer's parameters `running_mean` and `running_var`.
    fn running(&self) -> Option<RunningAverages> {
        None
    }
}

/// Update of a layer's running averages with a batch's statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunningAverages {
    /// Weight of the new batch.
    pub momentum: f64,
    /// Variance in the running average.
    pub variance: RunningVariance,
}

impl RunningAverages {
    /// Returns the factor of the batch's variance.
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
    /// Returns its name: `conv`, `tanh`, ….
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
    /// Returns the settings; `None` for a layer without settings.
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
