//! Nearest-neighbor upsampling.

use super::Operation;
use crate::backend::{Backend, Sides, size};
use crate::fused::pass::{At, BackwardPass, ForwardPass};
use candle_core::Result;

/// Nearest-neighbor upsampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upsample(
    /// Number of repetitions of each pixel, `[vertical, horizontal]`.
    pub [usize; 2],
);

impl<B: Backend> Operation<B> for Upsample {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        Ok([h.saturating_mul(self.0[0]), w.saturating_mul(self.0[1]), c])
    }

    fn forward(&self, at: &At<B>, x: &B::Buffer, _: &mut ForwardPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let mut y = backend.uninit(at.samples * size(at.planned().output));
        backend.upsample(&at.map(), self.0, backend.slice(x), backend.slice_mut(&mut y));
        Ok(y)
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, _: &mut BackwardPass<B>, _: bool) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        let mut dx = backend.uninit(at.samples * size(at.planned().input));
        backend.upsample_grad(&at.map(), self.0, backend.slice(&g), backend.slice_mut(&mut dx));
        Some(dx)
    }
}
