//! The kernels of the fused engine, over one kind of memory.
//!
//! Images are channels-last, `[N, H, W, C]`; a vector of F numbers is an image `[1, 1, F]`. A pass takes buffers from the backend, passes
//! slices of them to its kernels, and never reads a number itself. It saves the backend's buffers for its backward pass.

use crate::fused::{FusedLayer, Reuse};
use crate::ranks::{BatchStatistics, Ranks};
use crate::spec::{Precision, Problem, product};
use crate::update::Step;
use candle_core::Result;
use std::fmt::Debug;
use std::ops::Range;

mod optional;

pub use crate::resample::{Axis, Resample};
pub use optional::{
    Attentions, Derivatives, Glus, LearnedSlopes, MinibatchStds, SampleNormCall, SampleNorms, SampleStatistics,
};

/// Activation whose derivative is a function of its output.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// x where x > 0, else slope·x, with a slope of at least 0. A slope of 0 is the ReLU.
    LeakyRelu(f32),
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// Returns whether its slope only changes at jumps.
    pub(crate) fn is_piecewise_linear(self) -> bool {
        match self {
            Self::Identity | Self::LeakyRelu(_) => true,
            Self::Tanh => false,
        }
    }

    /// Returns whether a backend can differentiate its directional derivative.
    pub(crate) fn has_jvp<B: Backend>(self) -> bool {
        self.is_piecewise_linear() || B::HAS_DERIVATIVES
    }
}

/// Activation whose derivative is a function of its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputActivation {
    /// The logistic function σ, exact for small probabilities.
    Sigmoid,
    /// A leaky ReLU of any slope; with a negative one its output does not determine the side.
    LeakyRelu(f32),
    /// x where x > 0, else α·(eˣ − 1).
    Elu(f32),
    /// x·σ(x).
    Silu,
    /// x·Φ(x), with the distribution function Φ of the standard normal distribution.
    Gelu,
}

impl InputActivation {
    /// Returns whether its slope only changes at jumps.
    pub(crate) fn is_piecewise_linear(self) -> bool {
        match self {
            Self::LeakyRelu(_) => true,
            Self::Sigmoid | Self::Elu(_) | Self::Silu | Self::Gelu => false,
        }
    }
}

/// Height, width and channels of one sample.
pub type Sides = [usize; 3];

/// Returns the number of values of a sample, saturating.
pub fn size(sides: Sides) -> usize {
    product(&sides)
}

/// A convolution with its weights, for its forward pass or its input gradient.
pub struct ConvCall<'a, B: Backend> {
    /// Sizes of the convolution.
    pub problem: Problem,
    /// Number format of its products.
    pub precision: Precision,
    /// Weights, `[O, C, kh, kw]` of the problem.
    pub weights: B::Slice<'a>,
    /// Cache in which the backend may store weights in its own form.
    pub cache: &'a B::WeightCache,
    /// Index of the layer, which is its key in the cache.
    pub layer: usize,
    /// Whether the weights are about to change.
    pub trains: bool,
}

/// A batch norm over `[rows, channels]` numbers, followed by a leaky ReLU.
pub struct NormCall<'a, B: Memory> {
    /// γ, one number per channel.
    pub gamma: B::Slice<'a>,
    /// β, one number per channel.
    pub beta: B::Slice<'a>,
    /// Added to the variance.
    pub eps: f64,
    /// Slope of the leaky ReLU below zero; 1 for none.
    pub slope: f32,
}

/// Destination of a batch norm's gradients by γ and β.
pub struct NormGrads<'a, B: Memory> {
    /// Gradient by γ.
    pub gamma: B::SliceMut<'a>,
    /// Gradient by β.
    pub beta: B::SliceMut<'a>,
}

/// Values and tangents before a layer, and the adjoints after it.
pub struct JvpAdjoints<'a, B: Memory> {
    /// Values before the layer.
    pub x: B::Slice<'a>,
    /// Tangents before the layer.
    pub tangent: B::Slice<'a>,
    /// Adjoints of the values; `None` if they are zero.
    pub of_values: Option<B::Slice<'a>>,
    /// Adjoints of the tangents.
    pub of_tangent: B::Slice<'a>,
}

/// Shapes of a map of pixels.
#[derive(Clone, Copy, Debug)]
pub struct PixelMap {
    /// Number of samples in the batch.
    pub samples: usize,
    /// Sides of the input.
    pub input: Sides,
    /// Sides of the output.
    pub output: Sides,
}

/// Memory of one kind of device.
pub trait Memory: Clone + Debug + Send + Sync + 'static {
    /// Buffer of f32 numbers that the backend owns.
    type Buffer: Debug + Send + Sync;
    /// Numbers to read.
    type Slice<'a>: Copy;
    /// Numbers to write.
    type SliceMut<'a>;

    /// Returns `len` numbers with undefined values.
    fn uninit(&self, len: usize) -> Self::Buffer;
    /// Returns a buffer with the same numbers.
    fn copy(&self, values: Self::Slice<'_>) -> Self::Buffer;
    /// Returns the number of values.
    fn len(&self, values: Self::Slice<'_>) -> usize;
    /// Returns a buffer's numbers to read.
    fn slice<'a>(&self, buffer: &'a Self::Buffer) -> Self::Slice<'a>;
    /// Returns a buffer's numbers to write.
    fn slice_mut<'a>(&self, buffer: &'a mut Self::Buffer) -> Self::SliceMut<'a>;
    /// Returns a part of the numbers.
    fn part<'s, 'a: 's>(&self, of: Self::Slice<'a>, range: Range<usize>) -> Self::Slice<'s>;
    /// Returns a part of the numbers, to write.
    fn part_mut<'a>(&self, of: &'a mut Self::SliceMut<'_>, range: Range<usize>) -> Self::SliceMut<'a>;
    /// Returns the numbers before `at`, and those from there on.
    fn split_mut<'a>(&self, of: Self::SliceMut<'a>, at: usize) -> [Self::SliceMut<'a>; 2];
}

/// Memory and kernels of one kind of device.
///
/// Kernels panic if lengths do not fit each other; callers check shapes before.
pub trait Backend:
    Norms + Pixels + Classes + Optimizers + Derivatives + LearnedSlopes + Glus + SampleNorms + MinibatchStds + Attentions
{
    /// Cache of weights in the form that the kernels read.
    type WeightCache: Debug + Send + Sync;

    /// Number of values from which an output that is cheap to compute is recomputed in the backward pass instead of being saved.
    const RECOMPUTES_FROM: usize = usize::MAX;

    /// Whether batch norms can take the statistics of several parts of a batch ([`Norms::norm_of_groups`]).
    const HAS_GROUPS: bool = false;

    /// Whether networks can be linearized, for which [`Backend::scale_samples`] is needed.
    const LINEARIZES: bool = false;

    /// Returns whether it has the kernels of a layer. Networks with other layers are refused when they are planned.
    fn knows(&self, _layer: &FusedLayer) -> bool {
        true
    }

    /// Returns an empty cache of weights.
    fn weight_cache(&self, reuse: Reuse) -> Self::WeightCache;
    /// Tells the cache that the weights have changed. A backend that sees changes by itself needs no such call.
    fn weights_changed(&self, _cache: &Self::WeightCache) {}

    /// Runs a pass of about `work` multiply-adds.
    fn run<R: Send>(&self, work: usize, pass: impl FnOnce() -> R + Send) -> R;

    /// Transposes `[N, C, P]` -> `[N, P, C]`.
    fn channels_last(&self, x: Self::Slice<'_>, channels: usize, pixels: usize) -> Self::Buffer;
    /// Transposes `[N, P, C]` -> `[N, C, P]`.
    fn channels_first(&self, x: Self::Slice<'_>, channels: usize, pixels: usize, y: Self::SliceMut<'_>);

    /// Computes the problem's y from its x.
    fn conv(&self, call: &ConvCall<Self>, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes the problem's x from its y: the input gradient, and a transposed convolution's forward pass.
    fn conv_input_grad(&self, call: &ConvCall<Self>, y: Self::Slice<'_>, x: Self::SliceMut<'_>);
    /// Computes the gradient of the problem's weights from its x and the gradient of its y.
    fn conv_weight_grad(
        &self,
        problem: &Problem,
        precision: Precision,
        x: Self::Slice<'_>,
        dy: Self::Slice<'_>,
        dw: Self::SliceMut<'_>,
    );

    /// Computes x ← act(x + bias), x `[rows, channels]`.
    fn bias_activation(&self, act: Activation, bias: Option<Self::Slice<'_>>, x: Self::SliceMut<'_>, channels: usize);
    /// Computes g ← g·act′ from the activation's output y.
    fn activation_grad(&self, act: Activation, y: Self::Slice<'_>, g: Self::SliceMut<'_>);
    /// Computes y ← y + x.
    fn add(&self, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes y ← s·y, plus x if it is given, with one number s for each of several samples of equal length.
    ///
    /// # Panics
    /// If the backend has no such kernel.
    fn scale_samples(&self, _scales: Self::Slice<'_>, _x: Option<Self::Slice<'_>>, _y: Self::SliceMut<'_>) {
        panic!("this backend does not linearize networks");
    }
    /// Computes Σ g for each channel.
    fn column_sums(&self, g: Self::Slice<'_>, channels: usize, sums: Self::SliceMut<'_>);

    /// Computes y = act(x).
    fn input_activation(&self, act: InputActivation, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes g ← g·act′(x).
    fn input_activation_grad(&self, act: InputActivation, x: Self::Slice<'_>, g: Self::SliceMut<'_>);
    /// Computes y = x / (1 − rate) where `uniform` is at least `rate`, else 0.
    fn dropout(&self, rate: f64, uniform: Self::Slice<'_>, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
}

/// Kernels of batch norm.
pub trait Norms: Memory {
    /// Statistics of a batch norm in one pass.
    type Norm: Clone + Debug + Send + Sync;

    /// Returns the statistics of x, merged over all ranks. `bias` is that of the convolution before, which was not added, because it only
    /// shifts the mean.
    fn norm_of_batch(
        &self,
        x: Self::Slice<'_>,
        channels: usize,
        bias: Option<Self::Slice<'_>>,
        ranks: &Ranks,
    ) -> Self::Norm;
    /// Returns the statistics of each of `groups` equal parts of x, one after the other, by which each part is normalized. The gradients by
    /// γ and β are the sums over all parts.
    ///
    /// # Panics
    /// If the backend has no groups, and there are several.
    fn norm_of_groups(
        &self,
        x: Self::Slice<'_>,
        channels: usize,
        bias: Option<Self::Slice<'_>>,
        groups: usize,
    ) -> Self::Norm {
        assert_eq!(groups, 1, "this backend takes the statistics of a whole batch");
        self.norm_of_batch(x, channels, bias, &None)
    }
    /// Returns a norm with given statistics.
    fn norm_of(&self, mean: &[f32], variance: &[f32], bias: Option<Self::Slice<'_>>) -> Self::Norm;
    /// Returns the number of values in a channel's statistics (of one group); `None` if they were given.
    fn norm_count(&self, norm: &Self::Norm) -> Option<usize>;
    /// Returns a norm's statistics as tensors.
    fn batch_statistics(&self, norm: &Self::Norm) -> Result<BatchStatistics>;
    /// Computes y = act(γ·x̂ + β).
    fn norm(&self, call: &NormCall<Self>, norm: &Self::Norm, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes g ← the gradient by x, and those by γ and β if they are needed.
    fn norm_grad(
        &self,
        call: &NormCall<Self>,
        norm: &Self::Norm,
        x: Self::Slice<'_>,
        g: Self::SliceMut<'_>,
        grads: Option<NormGrads<Self>>,
        ranks: &Ranks,
    );
    /// Replaces a tangent t before the norm by the tangent after it, before the activation.
    fn norm_jvp(&self, call: &NormCall<Self>, norm: &Self::Norm, x: Self::Slice<'_>, t: Self::SliceMut<'_>);
    /// Computes adjoints of values and tangents before the norm, and the gradients by γ and β.
    fn norm_jvp_grad(
        &self,
        call: &NormCall<Self>,
        norm: &Self::Norm,
        adjoints: &JvpAdjoints<Self>,
        to: [Self::SliceMut<'_>; 2],
        grads: NormGrads<Self>,
    );
}

/// Kernels of maps of pixels without weights.
pub trait Pixels: Memory {
    /// Computes a map of pixels.
    fn resample(&self, map: &PixelMap, by: Resample, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes the gradient of [`Pixels::resample`].
    fn resample_grad(&self, map: &PixelMap, by: Resample, g: Self::Slice<'_>, dx: Self::SliceMut<'_>);
    /// Computes the maximum of each channel.
    fn global_max_pool(&self, map: &PixelMap, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes the gradient of [`Pixels::global_max_pool`]. Pixels that share the maximum share its gradient evenly.
    fn global_max_pool_grad(
        &self,
        map: &PixelMap,
        x: Self::Slice<'_>,
        y: Self::Slice<'_>,
        g: Self::Slice<'_>,
        dx: Self::SliceMut<'_>,
    );
}

/// Kernels of layers that use each sample's class. There may be several times as many samples as classes; then sample i has the class i
/// modulo their number.
pub trait Classes: Memory {
    /// Concatenates a row to the channels of every pixel: that of the sample's class in `rows`, the one-hot class without them, or zeros
    /// without classes.
    fn concat_class(
        &self,
        map: &PixelMap,
        classes: Option<&[u32]>,
        rows: Option<Self::Slice<'_>>,
        x: Self::Slice<'_>,
        y: Self::SliceMut<'_>,
    );
    /// Computes the gradient of [`Classes::concat_class`] by x.
    fn concat_class_grad(&self, map: &PixelMap, g: Self::Slice<'_>, dx: Self::SliceMut<'_>);
    /// Computes the gradient of [`Classes::concat_class`] by the rows.
    fn class_rows_grad(&self, map: &PixelMap, classes: &[u32], g: Self::Slice<'_>, rows: Self::SliceMut<'_>);
    /// Computes y = Σ x·(w + e) for each sample, with weights w and the row e of the sample's class.
    fn projection(&self, classes: &[u32], weights: [Self::Slice<'_>; 2], x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Computes the gradient of [`Classes::projection`] by x.
    fn projection_input_grad(
        &self,
        classes: &[u32],
        weights: [Self::Slice<'_>; 2],
        g: Self::Slice<'_>,
        dx: Self::SliceMut<'_>,
    );
    /// Computes the gradient of [`Classes::projection`] by the rows of the classes, or by the weights without classes.
    fn projection_grad(
        &self,
        classes: Option<&[u32]>,
        x: Self::Slice<'_>,
        g: Self::Slice<'_>,
        rows: Self::SliceMut<'_>,
    );
}

/// Kernels of optimizers, over all numbers of a variable.
pub trait Optimizers: Memory {
    /// Updates all numbers of a variable by an optimizer's step, and its running averages of the gradient (`first`) and of the squared
    /// gradient (`second`).
    fn optimizer_step(
        &self,
        step: &Step,
        values: Self::SliceMut<'_>,
        gradient: Self::Slice<'_>,
        first: Option<Self::SliceMut<'_>>,
        second: Self::SliceMut<'_>,
    );
    /// Computes average ← average + weight·(x − average).
    fn follow(&self, weight: f32, x: Self::Slice<'_>, average: Self::SliceMut<'_>);
    /// Returns Σ x², in an order that only depends on the length.
    fn sum_of_squares(&self, x: Self::Slice<'_>) -> f64;
}
