//! Activations that do not follow a convolution or a batch norm, which would include them.

use super::Operation;
use crate::backend::{Activation, Backend, InputActivation};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value, owned};
use candle_core::Result;

impl<B: Backend> Operation<B> for Activation {
    fn reads_output(&self, _: Activation) -> bool {
        *self != Self::Identity
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = owned(backend, x);
        backend.bias_activation(*self, None, backend.slice_mut(&mut y), at.planned().input[2]);
        Ok(y.into())
    }

    fn backward(
        &self,
        at: &At<B>,
        mut g: B::Buffer,
        cx: &mut PassContext<B>,
        _: Dtheta<B>,
        _: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        if let Some(y) = &cx.values[at.index + 1] {
            backend.activation_grad(*self, backend.slice(y), backend.slice_mut(&mut g));
        }
        Some(g)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        Activation::has_jvp::<B>(*self)
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut both = owned(backend, both);
        let [values, _] = backend.split_mut(backend.slice_mut(&mut both), at.output_len());
        backend.bias_activation(*self, None, values, at.planned().output[2]);
        cx.save_and_differentiate(at, *self, &mut both);
        Ok(both.into())
    }

    fn jvp_backward(
        &self,
        _: &At<B>,
        _: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        _: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        // The pass has already multiplied by the slopes.
        Some(adjoint)
    }

    fn linearizes(&self, _: Activation) -> bool {
        self.is_piecewise_linear()
    }

    fn tangent(&self, at: &At<B>, tangents: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        Ok(cx.after_activation(at, *self, owned(at.backend(), tangents)).into())
    }
}

impl<B: Backend> Operation<B> for InputActivation {
    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.input_activation(*self, backend.slice(&x), backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(
        &self,
        at: &At<B>,
        mut g: B::Buffer,
        cx: &mut PassContext<B>,
        _: Dtheta<B>,
        _: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        backend.input_activation_grad(*self, backend.slice(&x), backend.slice_mut(&mut g));
        Some(g)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        self.is_piecewise_linear() || B::HAS_DERIVATIVES
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let half = at.output_len();
        let x = backend.part(backend.slice(&both), 0..half);
        let mut y = backend.copy(backend.slice(&both));
        let [values, tangents] = backend.split_mut(backend.slice_mut(&mut y), half);
        backend.input_activation(*self, x, values);
        backend.input_activation_grad(*self, x, tangents);
        cx.values[at.index] = Some(both);
        Ok(y.into())
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        mut adjoint: Adjoint<B>,
        _: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let both = cx.values[at.index].take()?;
        let half = at.output_len();
        if self.is_piecewise_linear() {
            let x = backend.part(backend.slice(&both), 0..half);
            adjoint.for_each(backend, half, |g| backend.input_activation_grad(*self, x, g));
            return Some(adjoint);
        }
        Some(adjoint.before(backend, &both, |after, to| backend.input_activation_jvp_grad(*self, after, to)))
    }

    fn linearizes(&self, _: Activation) -> bool {
        matches!(self, Self::LeakyRelu(_))
    }

    fn tangent(&self, at: &At<B>, tangents: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut tangents = owned(backend, tangents);
        if let Some(x) = &cx.values[at.index] {
            backend.input_activation_grad(*self, backend.slice(x), backend.slice_mut(&mut tangents));
        }
        Ok(tangents.into())
    }
}
