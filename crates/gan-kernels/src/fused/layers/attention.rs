//! Attention of each pixel to all pixels of its sample.

use super::Operation;
use crate::backend::{Backend, Sides};
use crate::fused::PlannedLayer;
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use crate::spec::product;
use candle_core::{Result, bail};

/// Dot-product attention without weights: from the queries q, keys k and values v in the channels of each pixel to softmax(q·kᵀ)·v.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Number of channels of the queries, which come first, and of the keys, which follow them.
    pub keys: usize,
}

impl<B: Backend> Operation<B> for Attention {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        match c.checked_sub(self.keys.saturating_mul(2)) {
            Some(values) if values > 0 => Ok([h, w, values]),
            _ => bail!("{c} channels are no queries and keys of {} channels each, and values", self.keys),
        }
    }

    fn work(&self, planned: &PlannedLayer) -> usize {
        let [h, w, c] = planned.input;
        product(&[h, w, h, w, c])
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.attention(&at.map(), self.keys, backend.slice(&x), backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        let mut dx = backend.uninit(at.input_len());
        let [x, g] = [backend.slice(&x), backend.slice(&g)];
        backend.attention_grad(&at.map(), self.keys, x, g, backend.slice_mut(&mut dx));
        Some(dx)
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let y = at.jvp(&both, |[x, t], [values, tangents]| {
            backend.attention(&at.map(), self.keys, x, values);
            backend.attention_jvp(&at.map(), self.keys, [x, t], tangents);
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
        Some(adjoint.before(backend, &both, |after, to| backend.attention_jvp_grad(&at.map(), self.keys, after, to)))
    }
}
