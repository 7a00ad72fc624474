//! Maximum of each channel.

use super::Operation;
use crate::backend::{Activation, Backend, Sides};
use crate::fused::pass::{At, Dtheta, NeedsGrad, PassContext, Value};
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
        let x = backend.slice(cx.values[at.index].as_ref()?);
        let y = backend.slice(cx.values[at.index + 1].as_ref()?);
        let mut dx = backend.uninit(at.input_len());
        backend.global_max_pool_grad(&at.map(), x, y, backend.slice(&g), backend.slice_mut(&mut dx));
        Some(dx)
    }

    fn has_jvp(&self, _: Activation) -> bool {
        false
    }
}
