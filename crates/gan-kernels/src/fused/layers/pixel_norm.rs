//! Pixel norm.

use super::Operation;
use crate::backend::Backend;
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use candle_core::Result;

/// Division of each pixel's channels by their root mean square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelNorm {
    /// Added to the mean square.
    pub eps: f64,
}

impl<B: Backend> Operation<B> for PixelNorm {
    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.pixel_norm(at.planned().input[2], self.eps, backend.slice(&x), backend.slice_mut(&mut y));
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
        backend.pixel_norm_grad(at.planned().input[2], self.eps, backend.slice(&x), backend.slice_mut(&mut g));
        Some(g)
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let half = at.output_len();
        let x = backend.part(backend.slice(&both), 0..half);
        let mut y = backend.copy(backend.slice(&both));
        let [values, tangents] = backend.split_mut(backend.slice_mut(&mut y), half);
        let channels = at.planned().input[2];
        // The derivative is its own adjoint.
        backend.pixel_norm_grad(channels, self.eps, x, tangents);
        backend.pixel_norm(channels, self.eps, x, values);
        cx.values[at.index] = Some(both);
        Ok(y.into())
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        _: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let both = cx.values[at.index].take()?;
        let channels = at.planned().input[2];
        Some(adjoint.before(backend, &both, |after, to| backend.pixel_norm_jvp_grad(channels, self.eps, after, to)))
    }
}
