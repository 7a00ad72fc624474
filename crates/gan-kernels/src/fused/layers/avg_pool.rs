//! Mean over adjacent windows.

use super::Operation;
use crate::backend::{Backend, Sides, size};
use crate::fused::pass::{At, BackwardPass, ForwardPass};
use candle_core::Result;

/// Mean over adjacent windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgPool(
    /// Height and width of the window.
    pub [usize; 2],
);

impl<B: Backend> Operation<B> for AvgPool {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        let [kh, kw] = self.0;
        if kh == 0 || kw == 0 || kh > h || kw > w {
            candle_core::bail!("a pooling window of {:?} does not fit into an image of {h}×{w}", self.0);
        }
        Ok([h / kh, w / kw, c])
    }

    fn forward(&self, at: &At<B>, x: &B::Buffer, _: &mut ForwardPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let mut y = backend.uninit(at.samples * size(at.planned().output));
        backend.avg_pool(&at.map(), self.0, backend.slice(x), backend.slice_mut(&mut y));
        Ok(y)
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, _: &mut BackwardPass<B>, _: bool) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        let mut dx = backend.uninit(at.samples * size(at.planned().input));
        backend.avg_pool_grad(&at.map(), self.0, backend.slice(&g), backend.slice_mut(&mut dx));
        Some(dx)
    }
}
