//! The layers of the fused engine, a file each, and the only list of them.

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

/// What a layer is to the engine: its shape, what its backward pass reads, and its passes over a backend's kernels.
pub(super) trait Operation<B: Backend>: Debug {
    /// The sides after it.
    fn output(&self, input: Sides) -> Result<Sides>;

    /// Where its numbers stand in the parameters: start and length.
    fn parameters(&self, _input: Sides) -> Vec<(usize, usize)> {
        vec![]
    }

    /// Whether its output is a vector; none where it is what its input was.
    fn makes_vector(&self) -> Option<bool> {
        None
    }

    /// Multiply-adds for a sample, about.
    fn work(&self, planned: &PlannedLayer) -> usize {
        size(planned.output)
    }

    /// Whether `act` can be part of it.
    fn fuses(&self, _act: Activation) -> bool {
        false
    }

    /// Whether its backward pass reads its input.
    fn reads_input(&self, _needs: NeedsGrad) -> bool {
        false
    }

    /// Whether its backward pass reads its output.
    fn reads_output(&self, _act: Activation) -> bool {
        false
    }

    /// Whether it draws random numbers in training.
    fn wants_noise(&self) -> bool {
        false
    }

    /// Whether an output of `len` numbers is not saved but made again from the input when the backward pass asks for it.
    fn is_made_again(&self, _len: usize) -> bool {
        false
    }

    /// Its output once more, from its input.
    fn made_again(&self, _at: &At<B>, _theta: B::Slice<'_>, _saved: &SavedForBackward<B>) -> Option<B::Buffer> {
        None
    }

    /// x `[n, H, W, C]` -> `[n, H', W', C']`.
    fn forward(&self, at: &At<B>, x: &B::Buffer, pass: &mut ForwardPass<B>) -> Result<B::Buffer>;

    /// The gradient of the output -> that of the input; none where nothing before it needs one.
    fn backward(&self, at: &At<B>, g: B::Buffer, pass: &mut BackwardPass<B>, goes_on: bool) -> Option<B::Buffer>;

    /// Whether [`Operation::jvp`] is right for it.
    fn has_jvp(&self, _act: Activation) -> bool {
        true
    }

    /// Values and tangents, `2n` samples -> the same behind the layer. A linear layer treats both alike.
    fn jvp(&self, at: &At<B>, both: B::Buffer, pass: &mut JvpPass<B>) -> Result<B::Buffer> {
        let mut plain = ForwardPass::without_gradient(pass.theta);
        self.forward(&At { samples: 2 * at.samples, ..*at }, &both, &mut plain)
    }

    /// Adjoints behind the layer and its activation -> those before it; none where no parameters are before it.
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

/// The layers that there are, each with its type, which is its file.
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
    /// An activation whose derivative its output tells.
    Activation(Activation),
    /// The logistic function.
    Sigmoid(Sigmoid),
    /// A leaky ReLU whose slope may be negative.
    AnyLeakyRelu(AnyLeakyRelu),
    /// Dropout.
    Dropout(Dropout),
    /// The same numbers in another shape.
    Reshape(Reshape),
    /// Every pixel repeated.
    Upsample(Upsample),
    /// Zeros around the image.
    ZeroPad(ZeroPad),
    /// The mean over windows that touch.
    AvgPool(AvgPool),
    /// The largest of each channel.
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

    /// The place of its bias in the parameters, where it has one.
    pub(super) fn bias(&self) -> Option<usize> {
        match self {
            Self::Conv(layer) => layer.weights.bias,
            Self::ConvTranspose(layer) => layer.weights.bias,
            _ => None,
        }
    }
}
