//! Zero padding around the image.

use super::Operation;
use crate::backend::{Backend, Sides, size};
use crate::fused::pass::{At, BackwardPass, ForwardPass};
use crate::spec::Padding;
use candle_core::Result;

/// Zero padding around the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZeroPad(
    /// Number of rows and columns on each side.
    pub Padding,
);

impl<B: Backend> Operation<B> for ZeroPad {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        let [tall, wide] = self.0.total();
        Ok([h.saturating_add(tall), w.saturating_add(wide), c])
    }

    fn forward(&self, at: &At<B>, x: &B::Buffer, _: &mut ForwardPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let mut y = backend.uninit(at.samples * size(at.planned().output));
        backend.zero_pad(&at.map(), self.0, backend.slice(x), backend.slice_mut(&mut y));
        Ok(y)
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, _: &mut BackwardPass<B>, _: bool) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        let mut dx = backend.uninit(at.samples * size(at.planned().input));
        backend.zero_pad_grad(&at.map(), self.0, backend.slice(&g), backend.slice_mut(&mut dx));
        Some(dx)
    }
}
