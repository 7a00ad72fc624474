//! Activations that do not follow a convolution or a batch norm, which would include them.

use super::Operation;
use crate::backend::{Activation, Backend, Sides};
use crate::fused::jvp::{Adjoint, JvpPass, JvpSaved};
use crate::fused::pass::{At, BackwardPass, ForwardPass, NeedsGrad};
use candle_core::Result;

impl<B: Backend> Operation<B> for Activation {
    fn output(&self, input: Sides) -> Result<Sides> {
        Ok(input)
    }

    fn reads_output(&self, _: Activation) -> bool {
        *self != Self::Identity
    }

    fn forward(&self, at: &At<B>, x: &B::Buffer, _: &mut ForwardPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let mut y = backend.copy(backend.slice(x));
        backend.bias_activation(*self, None, backend.slice_mut(&mut y), at.planned().input[2]);
        Ok(y)
    }

    fn backward(&self, at: &At<B>, mut g: B::Buffer, pass: &mut BackwardPass<B>, _: bool) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        if let Some(y) = &pass.saved.values[at.index + 1] {
            backend.activation_grad(*self, backend.slice(y), backend.slice_mut(&mut g));
        }
        Some(g)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        self.is_piecewise_linear()
    }

    fn jvp(&self, at: &At<B>, mut both: B::Buffer, pass: &mut JvpPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let half = at.samples * crate::backend::size(at.planned().output);
        let [values, _] = backend.halves_mut(&mut both, half);
        backend.bias_activation(*self, None, values, at.planned().output[2]);
        pass.save_and_differentiate(at, *self, &mut both);
        Ok(both)
    }

    fn jvp_backward(
        &self,
        _: &At<B>,
        _: &mut JvpSaved<B>,
        adjoint: Adjoint<B>,
        _: B::Slice<'_>,
        _: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        // The pass has already multiplied by the slopes.
        Some(adjoint)
    }
}

/// Logistic function, whose derivative is computed exactly from its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmoid;

impl<B: Backend> Operation<B> for Sigmoid {
    fn output(&self, input: Sides) -> Result<Sides> {
        Ok(input)
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: &B::Buffer, _: &mut ForwardPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let x = backend.slice(x);
        let mut y = backend.uninit(backend.len(x));
        backend.sigmoid(x, backend.slice_mut(&mut y));
        Ok(y)
    }

    fn backward(&self, at: &At<B>, mut g: B::Buffer, pass: &mut BackwardPass<B>, _: bool) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        let x = pass.saved.values[at.index].as_ref()?;
        backend.sigmoid_grad(backend.slice(x), backend.slice_mut(&mut g));
        Some(g)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        false
    }
}

/// Leaky ReLU whose slope may be negative, so that its output does not determine the side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnyLeakyRelu(
    /// Slope below zero.
    pub f32,
);

impl<B: Backend> Operation<B> for AnyLeakyRelu {
    fn output(&self, input: Sides) -> Result<Sides> {
        Ok(input)
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: &B::Buffer, _: &mut ForwardPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let x = backend.slice(x);
        let mut y = backend.uninit(backend.len(x));
        backend.leaky_relu(self.0, x, backend.slice_mut(&mut y));
        Ok(y)
    }

    fn backward(&self, at: &At<B>, mut g: B::Buffer, pass: &mut BackwardPass<B>, _: bool) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        let x = pass.saved.values[at.index].as_ref()?;
        backend.leaky_relu_grad(self.0, backend.slice(x), backend.slice_mut(&mut g));
        Some(g)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        false
    }
}
