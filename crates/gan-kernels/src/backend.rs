//! The kernels that the fused engine is made of, over one kind of memory.
//!
//! Images lie channels-last, `[N, H, W, C]`; a vector of F numbers is an image `[1, 1, F]`. A pass takes buffers from the backend and gives
//! slices of them to its kernels, and never looks at a number itself. What it keeps for its backward pass are the backend's buffers.

use crate::fused::Reuse;
use crate::ops::BatchStatistics;
use crate::precision::Precision;
use crate::problem::Problem;
use crate::ranks::Ranks;
use crate::spec::Padding;
use candle_core::Result;
use std::fmt::Debug;
use std::ops::Range;

/// An activation whose derivative its own output tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// x where x > 0, else slope·x; the slope is not negative. 0 is the ReLU.
    LeakyRelu(f32),
    /// The hyperbolic tangent.
    Tanh,
}

/// Height, width and channels of one sample.
pub type Sides = [usize; 3];

/// How many numbers a sample has.
pub fn size(sides: Sides) -> usize {
    sides.iter().product()
}

/// A convolution with its weights, for its forward pass or its input gradient.
pub struct ConvCall<'a, B: Backend> {
    /// Its sizes.
    pub problem: Problem,
    /// The number format of its products.
    pub precision: Precision,
    /// `[O, C, kh, kw]` of the problem.
    pub weights: B::Slice<'a>,
    /// Where the backend may keep weights in a form of its own.
    pub cache: &'a B::WeightCache,
    /// The layer's index, by which the cache knows it.
    pub layer: usize,
    /// Whether the weights are about to change.
    pub trains: bool,
}

/// A batch norm over `[rows, channels]` numbers, with the leaky ReLU behind it.
pub struct NormCall<'a, B: Backend> {
    /// γ, a number a channel.
    pub gamma: B::Slice<'a>,
    /// β, a number a channel.
    pub beta: B::Slice<'a>,
    /// Added to the variance.
    pub eps: f64,
    /// Of the leaky ReLU below zero; 1 for none.
    pub slope: f32,
}

/// Where a batch norm's gradients by γ and β go.
pub struct NormGrads<'a, B: Backend> {
    /// By γ.
    pub gamma: B::SliceMut<'a>,
    /// By β.
    pub beta: B::SliceMut<'a>,
}

/// What a batch norm's values and tangents were, and the adjoints behind it.
pub struct NormAdjoints<'a, B: Backend> {
    /// The values before the norm.
    pub x: B::Slice<'a>,
    /// The tangents before it.
    pub tangent: B::Slice<'a>,
    /// Of the values; none where they are zero.
    pub of_values: Option<B::Slice<'a>>,
    /// Of the tangents.
    pub of_tangent: B::Slice<'a>,
}

/// A pixel map without weights: its input's and output's sides.
#[derive(Clone, Copy, Debug)]
pub struct PixelMap {
    /// Samples in the batch.
    pub samples: usize,
    /// Sides before it.
    pub input: Sides,
    /// Sides after it.
    pub output: Sides,
}

/// Memory and kernels of one kind of device.
///
/// Kernels panic where lengths do not fit each other: whoever calls them has checked shapes before.
pub trait Backend: Clone + Debug + Send + Sync + 'static {
    /// f32 numbers that the backend owns.
    type Buffer: Debug + Send + Sync;
    /// Numbers to read.
    type Slice<'a>: Copy;
    /// Numbers to write.
    type SliceMut<'a>;
    /// A batch norm's statistics in one pass.
    type Norm: Clone + Debug + Send + Sync;
    /// Weights in the form that the kernels read, kept until they change.
    type WeightCache: Debug + Send + Sync;

    /// Returns `len` numbers of any content.
    fn uninit(&self, len: usize) -> Self::Buffer;
    /// Returns `len` zeros.
    fn zeros(&self, len: usize) -> Self::Buffer;
    /// Returns a buffer with the same numbers.
    fn copy(&self, values: Self::Slice<'_>) -> Self::Buffer;
    /// Returns how many numbers there are.
    fn len(&self, values: Self::Slice<'_>) -> usize;
    /// Returns a buffer's numbers to read.
    fn slice<'a>(&self, buffer: &'a Self::Buffer) -> Self::Slice<'a>;
    /// Returns a buffer's numbers to write.
    fn slice_mut<'a>(&self, buffer: &'a mut Self::Buffer) -> Self::SliceMut<'a>;
    /// Returns some of the numbers.
    fn part<'s, 'a: 's>(&self, of: Self::Slice<'a>, range: Range<usize>) -> Self::Slice<'s>;
    /// Returns some of the numbers, to write.
    fn part_mut<'a>(&self, of: &'a mut Self::SliceMut<'_>, range: Range<usize>) -> Self::SliceMut<'a>;
    /// Returns a buffer's numbers before `at`, and those from there on.
    fn halves_mut<'a>(&self, of: &'a mut Self::Buffer, at: usize) -> [Self::SliceMut<'a>; 2];
    /// Returns the numbers before `at`, and those from there on.
    fn split_mut<'a>(&self, of: &'a mut Self::SliceMut<'_>, at: usize) -> [Self::SliceMut<'a>; 2];
    /// Returns an empty cache of weights.
    fn weight_cache(&self, reuse: Reuse) -> Self::WeightCache;

    /// Runs a pass of about `work` multiply-adds.
    fn run<R: Send>(&self, work: usize, pass: impl FnOnce() -> R + Send) -> R {
        let _ = work;
        pass()
    }

    /// `[N, C, P]` -> `[N, P, C]`.
    fn channels_last(&self, x: Self::Slice<'_>, channels: usize, pixels: usize) -> Self::Buffer;
    /// `[N, P, C]` -> `[N, C, P]`.
    fn channels_first(&self, x: Self::Slice<'_>, channels: usize, pixels: usize, y: Self::SliceMut<'_>);

    /// The problem's y from its x.
    fn conv(&self, call: &ConvCall<Self>, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// The problem's x from its y: the input gradient, and a transposed convolution's forward pass.
    fn conv_input_grad(&self, call: &ConvCall<Self>, y: Self::Slice<'_>, x: Self::SliceMut<'_>);
    /// The gradient of the problem's weights from its x and the gradient of its y.
    fn conv_weight_grad(
        &self,
        problem: &Problem,
        precision: Precision,
        x: Self::Slice<'_>,
        dy: Self::Slice<'_>,
        dw: Self::SliceMut<'_>,
    );

    /// x ← act(x + bias), x `[rows, channels]`.
    fn bias_activation(&self, act: Activation, bias: Option<Self::Slice<'_>>, x: Self::SliceMut<'_>, channels: usize);
    /// g ← g·act′, from the activation's output y.
    fn activation_grad(&self, act: Activation, y: Self::Slice<'_>, g: Self::SliceMut<'_>);
    /// Σ g of each channel.
    fn column_sums(&self, g: Self::Slice<'_>, channels: usize, sums: Self::SliceMut<'_>);

    /// Returns the statistics of x, merged over all ranks. `bias` is that of the convolution before, which was not added: it only moves
    /// the mean.
    fn norm_of_batch(
        &self,
        x: Self::Slice<'_>,
        channels: usize,
        bias: Option<Self::Slice<'_>>,
        ranks: &Ranks,
    ) -> Self::Norm;
    /// Returns given statistics as a norm's.
    fn norm_of(&self, mean: &[f32], variance: &[f32], bias: Option<Self::Slice<'_>>) -> Self::Norm;
    /// Returns how many numbers a channel's statistics are over; none where they were given.
    fn norm_count(&self, norm: &Self::Norm) -> Option<usize>;
    /// Returns a norm's statistics as tensors.
    fn batch_statistics(&self, norm: &Self::Norm) -> Result<BatchStatistics>;
    /// y = act(γ·x̂ + β)
    fn norm(&self, call: &NormCall<Self>, norm: &Self::Norm, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// g ← the gradient by x; those by γ and β, if they are wanted.
    fn norm_grad(
        &self,
        call: &NormCall<Self>,
        norm: &Self::Norm,
        x: Self::Slice<'_>,
        g: Self::SliceMut<'_>,
        grads: Option<NormGrads<Self>>,
        ranks: &Ranks,
    );
    /// t ← the tangent behind the norm of a tangent t before it, before the activation.
    fn norm_jvp(&self, call: &NormCall<Self>, norm: &Self::Norm, x: Self::Slice<'_>, t: Self::SliceMut<'_>);
    /// Adjoints of values and tangents before the norm, and the gradients by γ and β.
    fn norm_jvp_grad(
        &self,
        call: &NormCall<Self>,
        norm: &Self::Norm,
        adjoints: &NormAdjoints<Self>,
        to: [Self::SliceMut<'_>; 2],
        grads: NormGrads<Self>,
    );

    /// y = σ(x), exact for small probabilities.
    fn sigmoid(&self, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// g ← g·σ′(x)
    fn sigmoid_grad(&self, x: Self::Slice<'_>, g: Self::SliceMut<'_>);
    /// A leaky ReLU of any slope.
    fn leaky_relu(&self, slope: f32, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// g ← g·act′(x)
    fn leaky_relu_grad(&self, slope: f32, x: Self::Slice<'_>, g: Self::SliceMut<'_>);
    /// y = x / (1 − rate) where `uniform` is at least `rate`, else 0.
    fn dropout(&self, rate: f64, uniform: Self::Slice<'_>, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Repeats every pixel.
    fn upsample(&self, map: &PixelMap, by: [usize; 2], x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// The gradient of [`Backend::upsample`].
    fn upsample_grad(&self, map: &PixelMap, by: [usize; 2], g: Self::Slice<'_>, dx: Self::SliceMut<'_>);
    /// Puts zeros around each image.
    fn zero_pad(&self, map: &PixelMap, padding: Padding, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// The gradient of [`Backend::zero_pad`].
    fn zero_pad_grad(&self, map: &PixelMap, padding: Padding, g: Self::Slice<'_>, dx: Self::SliceMut<'_>);
    /// The mean over windows that touch.
    fn avg_pool(&self, map: &PixelMap, window: [usize; 2], x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// The gradient of [`Backend::avg_pool`].
    fn avg_pool_grad(&self, map: &PixelMap, window: [usize; 2], g: Self::Slice<'_>, dx: Self::SliceMut<'_>);
    /// The largest of each channel.
    fn global_max_pool(&self, map: &PixelMap, x: Self::Slice<'_>, y: Self::SliceMut<'_>);
    /// Pixels that share the largest value share its gradient evenly.
    fn global_max_pool_grad(
        &self,
        map: &PixelMap,
        x: Self::Slice<'_>,
        y: Self::Slice<'_>,
        g: Self::Slice<'_>,
        dx: Self::SliceMut<'_>,
    );
}
