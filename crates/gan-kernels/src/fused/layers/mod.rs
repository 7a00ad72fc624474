//! The layers of the fused engine, one file each, and the only list of them.

pub(super) mod activation;
pub(super) mod avg_pool;
pub(super) mod batch_norm;
pub(super) mod conv;
pub(super) mod dropout;
pub(super) mod global_max_pool;
pub(super) mod reshape;
pub(super) mod upsample;
pub(super) mod zero_pad;

pub use activation::{AnyLeakyRelu, Sigmoid};
pub use avg_pool::AvgPool;
pub use batch_norm::BatchNorm;
pub use conv::{Conv, ConvTranspose};
pub use dropout::Dropout;
pub use global_max_pool::GlobalMaxPool;
pub use reshape::Reshape;
pub use upsample::Upsample;
pub use zero_pad::ZeroPad;

use super::jvp::{Adjoint, JvpPass, JvpSaved};
use super::pass::{At, BackwardPass, ForwardPass, NeedsGrad, SavedForBackward};
use super::{Activation, PlannedLayer};
use crate::backend::{Backend, Sides, size};
use candle_core::Result;
use std::fmt::Debug;

/// Operation of a layer in the engine: its shape, what its backward pass reads, and its passes over a backend's
/// kernels.
pub(super) trait Operation<B: Backend>: Debug {
    /// Returns the output sides.
    fn output(&self, input: Sides) -> Result<Sides>;

    /// Returns the places of its numbers in the parameters: start and length.
    fn parameters(&self, _input: Sides) -> Vec<(usize, usize)> {
        vec![]
    }

    /// Returns whether its output is a vector; `None` if that depends on its input.
    fn makes_vector(&self) -> Option<bool> {
        None
    }

    /// Returns the approximate number of multiply-adds per sample.
    fn work(&self, planned: &PlannedLayer) -> usize {
        size(planned.output)
    }

    /// Returns whether `act` can be fused into it.
    fn fuses(&self, _act: Activation) -> bool {
        false
    }

    /// Returns whether its backward pass reads its input.
    fn reads_input(&self, _needs: NeedsGrad) -> bool {
        false
    }

    /// Returns whether its backward pass reads its output.
    fn reads_output(&self, _act: Activation) -> bool {
        false
    }

    /// Returns whether it needs random numbers in training.
    fn wants_noise(&self) -> bool {
        false
    }

    /// Returns whether an output of `len` numbers is not saved but recomputed from the input in the backward pass.
    fn is_made_again(&self, _len: usize) -> bool {
        false
    }

    /// Recomputes its output from its input.
    fn made_again(&self, _at: &At<B>, _theta: B::Slice<'_>, _saved: &SavedForBackward<B>) -> Option<B::Buffer> {
        None
    }

    /// Runs forward: x `[n, H, W, C]` -> `[n, H', W', C']`.
    fn forward(&self, at: &At<B>, x: &B::Buffer, pass: &mut ForwardPass<B>) -> Result<B::Buffer>;

    /// Returns the gradient of the input from that of the output; `None` if nothing before it needs one.
    fn backward(&self, at: &At<B>, g: B::Buffer, pass: &mut BackwardPass<B>, goes_on: bool) -> Option<B::Buffer>;

    /// Returns whether it supports [`Operation::jvp`].
    fn has_jvp(&self, _act: Activation) -> bool {
        true
    }

    /// Runs values and tangents, `2n` samples, forward. A linear layer treats both alike.
    fn jvp(&self, at: &At<B>, both: B::Buffer, pass: &mut JvpPass<B>) -> Result<B::Buffer> {
        let mut plain = ForwardPass::without_gradient(pass.theta);
        self.forward(&At { samples: 2 * at.samples, ..*at }, &both, &mut plain)
    }

    /// Returns the adjoints before the layer from those after the layer and its activation; `None` if there are no
    /// parameters before it.
    fn jvp_backward(
        &self,
        at: &At<B>,
        _saved: &mut JvpSaved<B>,
        adjoint: Adjoint<B>,
        theta: B::Slice<'_>,
        _dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let samples = adjoint.parts() * at.samples;
        let mut plain = at.network.plain_backward(theta);
        let has_values = adjoint.has_values;
        let g = self.backward(&At { samples, ..*at }, adjoint.g, &mut plain, true)?;
        Some(Adjoint { g, has_values })
    }
}

/// Defines the layers, each with its type, which is its file.
macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident($type:ty),)*) => {
        /// One layer of the fused engine.
        #[derive(Clone, Debug, PartialEq)]
        pub enum FusedLayer {
            $($(#[$doc])* $name($type),)*
        }

        impl FusedLayer {
            pub(super) fn operation<B: Backend>(&self) -> &dyn Operation<B> {
                match self {
                    $(Self::$name(layer) => layer,)*
                }
            }
        }
    };
}

layers! {
    /// A convolution, or a dense layer as one of 1×1 pixels.
    Conv(Conv),
    /// A transposed convolution.
    ConvTranspose(ConvTranspose),
    /// Batch norm.
    BatchNorm(BatchNorm),
    /// An activation whose derivative is a function of its output.
    Activation(Activation),
    /// The logistic function.
    Sigmoid(Sigmoid),
    /// A leaky ReLU whose slope may be negative.
    AnyLeakyRelu(AnyLeakyRelu),
    /// Dropout.
    Dropout(Dropout),
    /// Reshape.
    Reshape(Reshape),
    /// Nearest-neighbor upsampling.
    Upsample(Upsample),
    /// Zero padding.
    ZeroPad(ZeroPad),
    /// Mean over adjacent windows.
    AvgPool(AvgPool),
    /// Maximum of each channel.
    GlobalMaxPool(GlobalMaxPool),
}

impl FusedLayer {
    pub(super) fn activation(&self) -> Option<Activation> {
        if let Self::Activation(act) = self { Some(*act) } else { None }
    }

    pub(super) fn fuses<B: Backend>(&self, act: Activation) -> bool {
        self.operation::<B>().fuses(act)
    }

    pub(super) fn is_norm(&self) -> bool {
        matches!(self, Self::BatchNorm(_))
    }

    /// Returns the place of its bias in the parameters, if it has one.
    pub(super) fn bias(&self) -> Option<usize> {
        match self {
            Self::Conv(layer) => layer.weights.bias,
            Self::ConvTranspose(layer) => layer.weights.bias,
            _ => None,
        }
    }
}
