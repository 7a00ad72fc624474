//! Gated linear units.

use super::Operation;
use crate::backend::{Backend, Sides};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use candle_core::{Result, bail};

/// a·σ(b), where a and b are the halves of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glu;

impl<B: Backend> Operation<B> for Glu {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        if !c.is_multiple_of(2) {
            bail!("gated linear units need an even number of channels, got {c}");
        }
        Ok([h, w, c / 2])
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.glu(at.planned().output[2], backend.slice(&x), backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        let mut dx = backend.uninit(at.input_len());
        let channels = at.planned().output[2];
        backend.glu_grad(channels, backend.slice(&x), backend.slice(&g), backend.slice_mut(&mut dx));
        Some(dx)
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let channels = at.planned().output[2];
        let y = at.jvp(&both, |[x, t], [values, tangents]| {
            backend.glu(channels, x, values);
            backend.glu_jvp(channels, [x, t], tangents);
        });
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
        let channels = at.planned().output[2];
        Some(adjoint.before(backend, &both, |after, to| backend.glu_jvp_grad(channels, after, to)))
    }
}
