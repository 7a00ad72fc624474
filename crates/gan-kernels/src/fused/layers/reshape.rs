//! Reshape, in the order of channels-first images.

use super::Operation;
use crate::cpu::buffer::Buffer;
use crate::cpu::layout::{channels_first, channels_last};
use crate::fused::pass::{At, PassContext};
use crate::fused::sides;
use crate::spec::{Sides, size};
use candle_core::{Result, bail};

/// Reshape to `[C, H, W]` or `[F]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape(
    /// New shape without the batch.
    pub Vec<usize>,
);

/// Reorders numbers that are channels-last in the shape `from` to channels-last in the shape `to`.
fn reordered(x: &[f32], from: Sides, to: Sides) -> Buffer {
    let mut flat = Buffer::any(x.len());
    channels_first(x, from[2], from[0] * from[1], &mut flat);
    channels_last(&flat, to[2], to[0] * to[1])
}

impl Operation for Reshape {
    fn output(&self, input: Sides) -> Result<Sides> {
        let to = sides(&self.0)?;
        if size(to) != size(input) {
            let [h, w, c] = input;
            bail!("{:?} has another size than [{c}, {h}, {w}]", self.0);
        }
        Ok(to)
    }

    fn makes_vector(&self) -> Option<bool> {
        Some(self.0.len() == 1)
    }

    fn forward(&self, at: &At, x: &Buffer, _: &mut PassContext) -> Result<Buffer> {
        Ok(reordered(x, at.planned().input, at.planned().output))
    }

    fn backward(&self, at: &At, g: Buffer, _: &mut PassContext, _: Option<&mut [f32]>, _: bool) -> Option<Buffer> {
        Some(reordered(&g, at.planned().output, at.planned().input))
    }
}
