//! The layers of the fused engine, one file each, and the only list of them.

mod activation;
mod attention;
mod batch_norm;
mod classes;
mod conv;
mod dropout;
mod global_max_pool;
mod glu;
mod learned_slope;
mod minibatch_std;
mod pixel_norm;
mod resample;
mod reshape;
mod residual;
mod sample_norm;

pub use crate::backend::{Activation, InputActivation, Resample};
pub use attention::Attention;
pub use batch_norm::BatchNorm;
pub use classes::{ConcatClass, Projection};
pub use conv::{Conv, Weights};
pub use dropout::Dropout;
pub use global_max_pool::GlobalMaxPool;
pub use glu::Glu;
pub use learned_slope::{LearnedSlope, SlopeApplies};
pub use minibatch_std::MinibatchStd;
pub use pixel_norm::PixelNorm;
pub use reshape::Reshape;
pub use residual::{Fork, Join, Swap};
pub use sample_norm::{OwnFactors, SampleNorm};

use super::PlannedLayer;
use super::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use crate::backend::{Backend, Sides, size};
use candle_core::Result;
use std::fmt::Debug;

/// Shape of the samples between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub sides: Sides,
    /// Whether they are vectors `[F]`.
    pub flat: bool,
}

/// Operation of a layer in the engine: its shape, what its backward pass reads, and its passes over a backend's
/// kernels.
pub(super) trait Operation<B: Backend>: Debug {
    /// Returns the output sides.
    fn output(&self, input: Sides) -> Result<Sides> {
        Ok(input)
    }

    /// Returns the output shape; `waiting` are the values that residual blocks hold meanwhile.
    fn plan(&self, input: Shape, _waiting: &mut Vec<Shape>) -> Result<Shape> {
        Ok(Shape { sides: self.output(input.sides)?, flat: self.makes_vector().unwrap_or(input.flat) })
    }

    /// Returns the places of its numbers in the parameters: start and length.
    fn parameters(&self, _input: Sides) -> Vec<(usize, usize)> {
        vec![]
    }

    /// Returns whether its output is a vector; `None` if that depends on its input.
    fn makes_vector(&self) -> Option<bool> {
        None
    }

    /// Returns the number of classes that it knows, if it uses them.
    fn classes(&self) -> Option<usize> {
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

    /// Returns whether an output of `len` numbers is not saved but recomputed in the backward pass, if the input is there then.
    fn recomputes_output(&self, _len: usize) -> bool {
        false
    }

    /// Recomputes its output from its saved or recomputed input.
    fn recompute_output(&self, _at: &At<B>, _cx: &PassContext<B>) -> Option<B::Buffer> {
        None
    }

    /// Runs forward: x `[n, H, W, C]` -> `[n, H', W', C']`.
    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>>;

    /// Returns the gradient of the input from that of the output; `None` if nothing before it needs one (`goes_on`).
    fn backward(
        &self,
        at: &At<B>,
        g: B::Buffer,
        cx: &mut PassContext<B>,
        dtheta: Dtheta<B>,
        goes_on: bool,
    ) -> Option<B::Buffer>;

    /// Returns whether it supports [`Operation::jvp`].
    fn has_jvp(&self, _act: Activation) -> bool {
        true
    }

    /// Runs values and tangents, `2n` samples, forward. A linear layer treats both alike.
    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        self.forward(&at.times(2), both, cx)
    }

    /// Returns the adjoints before the layer from those after the layer and its activation; `None` if there are no
    /// parameters before it.
    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        _dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let at = at.times(adjoint.batches());
        let g = self.backward(&at, adjoint.g, cx, None, true)?;
        Some(Adjoint { g, has_values: adjoint.has_values })
    }

    /// Returns whether the layer and its activation are linear around each sample, and support the three functions below.
    fn linearizes(&self, _act: Activation) -> bool {
        false
    }

    /// Returns the gradient of the input from that of the output, and keeps what [`Operation::linear_grad`] reads.
    fn adjoint(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>) -> Option<B::Buffer> {
        self.backward(at, g, cx, None, true)
    }

    /// Returns the tangents after the layer from those before it, around the values that were saved.
    fn tangent(&self, at: &At<B>, tangents: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        self.forward(at, tangents, cx)
    }

    /// Writes the gradients of the parameters from the tangents before the layer, which are weighted already, and the output's gradient
    /// `[n]`, by which values count; `None` if that is zero. What is not written is zero.
    fn linear_grad(
        &self,
        _at: &At<B>,
        _tangents: &Value<B>,
        _cx: &mut PassContext<B>,
        _of_output: Option<&B::Buffer>,
        _dtheta: &mut B::SliceMut<'_>,
    ) {
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
    /// A convolution or its transpose, or a dense layer as a convolution of 1×1 pixels.
    Conv(Conv),
    /// Batch norm.
    BatchNorm(BatchNorm),
    /// A norm whose statistics, or whose scale and shift, are those of each sample.
    SampleNorm(SampleNorm),
    /// Pixel norm.
    PixelNorm(PixelNorm),
    /// An activation whose derivative is a function of its output.
    Activation(Activation),
    /// An activation whose derivative is a function of its input.
    InputActivation(InputActivation),
    /// Multiplication by a learned slope.
    LearnedSlope(LearnedSlope),
    /// Gated linear units.
    Glu(Glu),
    /// Dropout.
    Dropout(Dropout),
    /// Reshape.
    Reshape(Reshape),
    /// Upsampling, padding or pooling.
    Resample(Resample),
    /// Maximum of each channel.
    GlobalMaxPool(GlobalMaxPool),
    /// Minibatch standard deviation.
    MinibatchStd(MinibatchStd),
    /// Attention between pixels.
    Attention(Attention),
    /// Concatenation of the class.
    ConcatClass(ConcatClass),
    /// Head of a projection discriminator.
    Projection(Projection),
    /// Start of a residual block.
    Fork(Fork),
    /// Change from a residual block's first branch to its second one.
    Swap(Swap),
    /// End of a residual block: the sum of both branches.
    Join(Join),
}

impl FusedLayer {
    /// Returns whether it normalizes by the statistics of the batch.
    pub(super) fn is_norm(&self) -> bool {
        match self {
            Self::BatchNorm(_) => true,
            Self::SampleNorm(norm) => matches!(norm.of, OwnFactors::Affine { .. }),
            _ => false,
        }
    }

    /// Returns the place of its bias in the parameters, if it has one.
    pub(super) fn bias(&self) -> Option<usize> {
        if let Self::Conv(layer) = self { layer.weights.bias } else { None }
    }
}
