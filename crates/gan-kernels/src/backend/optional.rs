//! Kernels that a backend may lack.
//!
//! It then refuses the layers or derivatives that need them when a network is planned ([`Backend::knows`](super::Backend::knows),
//! [`Derivatives::HAS_DERIVATIVES`]), so that the functions here that every backend inherits never run.

use super::{Activation, InputActivation, JvpAdjoints, Memory, NormGrads, Norms, PixelMap};
use crate::ranks::Ranks;

fn lacking() -> ! {
    panic!("this backend lacks a kernel of a layer that it should have refused")
}

/// Kernels of directional derivatives whose gradient reaches the values too.
pub trait Derivatives: Memory {
    /// Whether the backend has these kernels.
    const HAS_DERIVATIVES: bool = false;

    /// Computes adjoints of values and tangents before an activation. The values and tangents in `adjoints` are those *after* it.
    fn activation_jvp_grad(&self, _act: Activation, _adjoints: &JvpAdjoints<Self>, _to: [Self::SliceMut<'_>; 2]) {
        lacking()
    }
    /// Computes adjoints of values and tangents before an activation.
    fn input_activation_jvp_grad(
        &self,
        _act: InputActivation,
        _adjoints: &JvpAdjoints<Self>,
        _to: [Self::SliceMut<'_>; 2],
    ) {
        lacking()
    }
    /// Computes the maximum of each channel, and its tangent. Pixels that share the maximum contribute evenly.
    fn global_max_pool_jvp(&self, _map: &PixelMap, _both: [Self::Slice<'_>; 2], _to: [Self::SliceMut<'_>; 2]) {
        lacking()
    }
}

/// Kernels of a learned slope, a parameter by which numbers are multiplied: those whose `side` is not above zero, or all without sides.
///
/// There may be several times as many numbers as sides; then number i has the side i modulo their number.
pub trait LearnedSlopes: Memory {
    /// Computes y = x, or y = slope·x where the slope applies.
    fn learned_slope(
        &self,
        _slope: Self::Slice<'_>,
        _side: Option<Self::Slice<'_>>,
        _x: Self::Slice<'_>,
        _y: Self::SliceMut<'_>,
    ) {
        lacking()
    }
    /// Computes the gradient of the slope, Σ x·g where the slope applies.
    fn learned_slope_grad(
        &self,
        _side: Option<Self::Slice<'_>>,
        _x: Self::Slice<'_>,
        _g: Self::Slice<'_>,
        _sum: Self::SliceMut<'_>,
    ) {
        lacking()
    }
}

/// Kernels of gated linear units a·σ(b): rows of the `channels` numbers of a, followed by those of b, become rows of `channels` numbers.
pub trait Glus: Memory {
    /// Computes y = a·σ(b).
    fn glu(&self, _channels: usize, _x: Self::Slice<'_>, _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes the gradient of [`Glus::glu`].
    fn glu_grad(&self, _channels: usize, _x: Self::Slice<'_>, _g: Self::Slice<'_>, _dx: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes the tangent of the output from values and tangents.
    fn glu_jvp(&self, _channels: usize, _both: [Self::Slice<'_>; 2], _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes adjoints of values and tangents.
    fn glu_jvp_grad(&self, _channels: usize, _adjoints: &JvpAdjoints<Self>, _to: [Self::SliceMut<'_>; 2]) {
        lacking()
    }
}

/// A norm whose statistics, or whose γ and β, are those of each sample, followed by a leaky ReLU.
pub struct SampleNormCall<'a, B: Norms> {
    /// Number of samples in the batch.
    pub samples: usize,
    /// Number of channels.
    pub channels: usize,
    /// Mean and variance.
    pub statistics: SampleStatistics<'a, B>,
    /// Rows of γ and of β, with one number per channel each; without, they are 1 and 0.
    pub affine: Option<[B::Slice<'a>; 2]>,
    /// The row of each sample; without, there is one row for all.
    pub classes: Option<&'a [u32]>,
    /// Added to the variance.
    pub eps: f64,
    /// Slope of the leaky ReLU below zero; 1 for none.
    pub slope: f32,
}

/// Statistics of a [`SampleNormCall`].
pub enum SampleStatistics<'a, B: Norms> {
    /// Computed from each sample, over this number of equal groups of its channels.
    Groups(usize),
    /// Those of a batch norm, of each channel, which may be over several ranks.
    Batch(&'a B::Norm, &'a Ranks),
}

impl<B: Norms> SampleNormCall<'_, B> {
    /// Returns the row of γ and β that a sample uses.
    pub(crate) fn row(&self, sample: usize) -> usize {
        self.classes.map_or(0, |classes| classes[sample] as usize)
    }
}

/// Kernels of norms whose factors differ between samples, and of pixel norm.
pub trait SampleNorms: Norms {
    /// Computes y = act(γ·x̂ + β).
    fn sample_norm(&self, _call: &SampleNormCall<Self>, _x: Self::Slice<'_>, _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes g ← the gradient by x, and those by all rows of γ and β if they are needed.
    fn sample_norm_grad(
        &self,
        _call: &SampleNormCall<Self>,
        _x: Self::Slice<'_>,
        _g: Self::SliceMut<'_>,
        _grads: Option<NormGrads<Self>>,
    ) {
        lacking()
    }
    /// Replaces a tangent t before the norm by the tangent after it, before the activation.
    fn sample_norm_jvp(&self, _call: &SampleNormCall<Self>, _x: Self::Slice<'_>, _t: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes adjoints of values and tangents before the norm from those before the activation, and the gradients by all rows of γ and β
    /// if they are needed.
    fn sample_norm_jvp_grad(
        &self,
        _call: &SampleNormCall<Self>,
        _adjoints: &JvpAdjoints<Self>,
        _to: [Self::SliceMut<'_>; 2],
        _grads: Option<NormGrads<Self>>,
    ) {
        lacking()
    }

    /// Divides each row of `channels` numbers by the root of its mean square and `eps`.
    fn pixel_norm(&self, _channels: usize, _eps: f64, _x: Self::Slice<'_>, _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes g ← the gradient of [`SampleNorms::pixel_norm`] by x; from a tangent before it, the tangent after it.
    fn pixel_norm_grad(&self, _channels: usize, _eps: f64, _x: Self::Slice<'_>, _g: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes adjoints of values and tangents before a pixel norm.
    fn pixel_norm_jvp_grad(
        &self,
        _channels: usize,
        _eps: f64,
        _adjoints: &JvpAdjoints<Self>,
        _to: [Self::SliceMut<'_>; 2],
    ) {
        lacking()
    }
}

/// Kernels of minibatch standard deviation. Sample i is in the group i modulo the number of groups; each has `group` samples.
pub trait MinibatchStds: Memory {
    /// Computes x with one more channel.
    fn minibatch_std(&self, _map: &PixelMap, _group: usize, _x: Self::Slice<'_>, _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes the gradient of [`MinibatchStds::minibatch_std`].
    fn minibatch_std_grad(
        &self,
        _map: &PixelMap,
        _group: usize,
        _x: Self::Slice<'_>,
        _g: Self::Slice<'_>,
        _dx: Self::SliceMut<'_>,
    ) {
        lacking()
    }
    /// Computes the tangent of the output from values and tangents.
    fn minibatch_std_jvp(&self, _map: &PixelMap, _group: usize, _both: [Self::Slice<'_>; 2], _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes adjoints of values and tangents.
    fn minibatch_std_jvp_grad(
        &self,
        _map: &PixelMap,
        _group: usize,
        _adjoints: &JvpAdjoints<Self>,
        _to: [Self::SliceMut<'_>; 2],
    ) {
        lacking()
    }
}

/// Kernels of attention. The channels of each pixel are those of its query, its key and its value.
pub trait Attentions: Memory {
    /// Computes softmax(q·kᵀ)·v of each sample, with queries and keys of `keys` channels.
    fn attention(&self, _map: &PixelMap, _keys: usize, _x: Self::Slice<'_>, _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes the gradient of [`Attentions::attention`].
    fn attention_grad(
        &self,
        _map: &PixelMap,
        _keys: usize,
        _x: Self::Slice<'_>,
        _g: Self::Slice<'_>,
        _dx: Self::SliceMut<'_>,
    ) {
        lacking()
    }
    /// Computes the tangent of the output from values and tangents.
    fn attention_jvp(&self, _map: &PixelMap, _keys: usize, _both: [Self::Slice<'_>; 2], _y: Self::SliceMut<'_>) {
        lacking()
    }
    /// Computes adjoints of values and tangents.
    fn attention_jvp_grad(
        &self,
        _map: &PixelMap,
        _keys: usize,
        _adjoints: &JvpAdjoints<Self>,
        _to: [Self::SliceMut<'_>; 2],
    ) {
        lacking()
    }
}
