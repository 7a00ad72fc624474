//! Minibatch standard deviation.

use super::Operation;
use crate::backend::{Backend, Sides};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use candle_core::Result;

/// Adds one channel: the standard deviation over the samples of a group, averaged over everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinibatchStd {
    /// Number of samples in a group; if it does not divide the batch, the next smaller number that does.
    pub group: usize,
}

impl MinibatchStd {
    /// Returns the number of samples in a group of a batch.
    fn group<B: Backend>(&self, at: &At<B>) -> usize {
        (1..=self.group.min(at.samples)).rev().find(|group| at.samples.is_multiple_of(*group)).unwrap_or(1)
    }
}

impl<B: Backend> Operation<B> for MinibatchStd {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        Ok([h, w, c.saturating_add(1)])
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.minibatch_std(&at.map(), self.group(at), backend.slice(&x), backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        let mut dx = backend.uninit(at.input_len());
        let [x, g] = [backend.slice(&x), backend.slice(&g)];
        backend.minibatch_std_grad(&at.map(), self.group(at), x, g, backend.slice_mut(&mut dx));
        Some(dx)
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let y = at.jvp(&both, |[x, t], [values, tangents]| {
            backend.minibatch_std(&at.map(), self.group(at), x, values);
            backend.minibatch_std_jvp(&at.map(), self.group(at), [x, t], tangents);
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
        let group = self.group(at);
        Some(adjoint.before(backend, &both, |after, to| backend.minibatch_std_jvp_grad(&at.map(), group, after, to)))
    }
}
