//! Kernels that a backend may lack.
//!
//! It then refuses the layers or derivatives that need them when a network is planned ([`Backend::knows`](super::Backend::knows),
//! [`Derivatives::HAS_DERIVATIVES`]), so that the functions here that every backend inherits never run.

use super::{Activation, InputActivation, JvpAdjoints, Memory, PixelMap};

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
