//! Activations that do not follow a convolution or a batch norm, which would include them.

use super::Operation;
use crate::cpu::buffer::Buffer;
use crate::cpu::rows::activation::{self, Activation};
use crate::cpu::simd::Level;
use crate::fused::pass::{Adjoint, At, NeedsGrad, PassContext};
use candle_core::Result;

impl Operation for Activation {
    fn reads_output(&self, _: Activation) -> bool {
        *self != Self::Identity
    }

    fn forward(&self, at: &At, x: &Buffer, _: &mut PassContext) -> Result<Buffer> {
        let mut y = Buffer::of(x);
        activation::forward(Level::current(), *self, None, &mut y, at.planned().input[2]);
        Ok(y)
    }

    fn backward(&self, at: &At, mut g: Buffer, cx: &mut PassContext, _: Option<&mut [f32]>, _: bool) -> Option<Buffer> {
        if let Some(y) = &cx.values[at.index + 1] {
            activation::backward(Level::current(), *self, y, &mut g);
        }
        Some(g)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        self.is_piecewise_linear()
    }

    fn jvp(&self, at: &At, mut both: Buffer, cx: &mut PassContext) -> Result<Buffer> {
        let values = &mut both[..at.output_len()];
        activation::forward(Level::current(), *self, None, values, at.planned().output[2]);
        cx.save_and_differentiate(at, *self, &mut both);
        Ok(both)
    }

    fn jvp_backward(&self, _: &At, _: &mut PassContext, adjoint: Adjoint, _: &mut [f32]) -> Option<Adjoint> {
        // The pass has already multiplied by the slopes.
        Some(adjoint)
    }
}

/// Activation whose derivative is a function of its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InputActivation {
    /// The logistic function σ, exact for small probabilities.
    Sigmoid,
    /// A leaky ReLU of any slope; with a negative one its output does not determine the side.
    LeakyRelu(f32),
}

impl Operation for InputActivation {
    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At, x: &Buffer, _: &mut PassContext) -> Result<Buffer> {
        let mut y = Buffer::any(at.output_len());
        let pairs = y.iter_mut().zip(&x[..]);
        match *self {
            Self::Sigmoid => pairs.for_each(|(y, x)| *y = sigmoid(*x)),
            Self::LeakyRelu(slope) => pairs.for_each(|(y, x)| *y = if *x > 0.0 { *x } else { x * slope }),
        }
        Ok(y)
    }

    fn backward(&self, at: &At, mut g: Buffer, cx: &mut PassContext, _: Option<&mut [f32]>, _: bool) -> Option<Buffer> {
        let pairs = g.iter_mut().zip(&cx.values[at.index].as_ref()?[..]);
        match *self {
            Self::Sigmoid => pairs.for_each(|(g, x)| *g *= sigmoid(*x) * sigmoid(-x)),
            Self::LeakyRelu(slope) => pairs.for_each(|(g, x)| *g *= if *x > 0.0 { 1.0 } else { slope }),
        }
        Some(g)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        false
    }
}

/// Returns the sigmoid, computed in double precision so that small probabilities do not become 0.
fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(x)).exp())) as f32
}
