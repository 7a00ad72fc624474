//! Maximum of each channel.

use super::Operation;
use crate::backend::{Activation, Backend, Sides};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use candle_core::Result;

/// Maximum of each channel, as a vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalMaxPool;

impl<B: Backend> Operation<B> for GlobalMaxPool {
    fn output(&self, [_, _, c]: Sides) -> Result<Sides> {
        Ok([1, 1, c])
    }

    fn makes_vector(&self) -> Option<bool> {
        Some(true)
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn reads_output(&self, _: Activation) -> bool {
        true
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.global_max_pool(&at.map(), backend.slice(&x), backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        let y = backend.slice(cx.values[at.index + 1].as_ref()?);
        let mut dx = backend.uninit(at.input_len());
        backend.global_max_pool_grad(&at.map(), backend.slice(&x), y, backend.slice(&g), backend.slice_mut(&mut dx));
        Some(dx)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        B::HAS_DERIVATIVES
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let y = at.jvp(&both, |before, after| at.backend().global_max_pool_jvp(&at.map(), before, after));
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
        let [half, len] = [at.input_len(), at.output_len()];
        let x = backend.part(backend.slice(&both), 0..half);
        // Its own place among the saved values is the next layer's.
        let mut largest = backend.uninit(len);
        backend.global_max_pool(&at.map(), x, backend.slice_mut(&mut largest));
        let mut dx = backend.uninit(adjoint.batches() * half);
        for i in 0..adjoint.batches() {
            let g = backend.part(backend.slice(&adjoint.g), i * len..(i + 1) * len);
            let mut to = backend.slice_mut(&mut dx);
            let to = backend.part_mut(&mut to, i * half..(i + 1) * half);
            backend.global_max_pool_grad(&at.map(), x, backend.slice(&largest), g, to);
        }
        Some(Adjoint { g: dx, has_values: adjoint.has_values })
    }
}
