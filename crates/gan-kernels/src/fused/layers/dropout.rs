//! Dropout, with random numbers from the caller.

use super::{Activation, Operation};
use crate::cpu::buffer::Buffer;
use crate::fused::pass::{At, PassContext};
use candle_core::Result;

/// Dropout: sets elements to zero by given random numbers and scales the others by 1 / (1 − rate); the identity with
/// given statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout(
    /// Probability of dropping an element.
    pub f64,
);

impl Dropout {
    /// Returns x or its gradient after dropout with the saved numbers: x / (1 − rate) where they are at least `rate`, else 0.
    fn apply(&self, noise: Option<&Buffer>, x: &Buffer) -> Buffer {
        let Some(noise) = noise else { return Buffer::of(x) };
        let scale = (1.0 / (1.0 - self.0)) as f32;
        let rate = self.0 as f32;
        let mut y = Buffer::any(x.len());
        let pairs = y.iter_mut().zip(x.iter().zip(&noise[..]));
        pairs.for_each(|(y, (x, u))| *y = if *u >= rate { x * scale } else { 0.0 });
        y
    }
}

impl Operation for Dropout {
    fn forward(&self, at: &At, x: &Buffer, cx: &mut PassContext) -> Result<Buffer> {
        Ok(self.apply(cx.noise[at.index].as_ref(), x))
    }

    fn backward(&self, at: &At, g: Buffer, cx: &mut PassContext, _: Option<&mut [f32]>, _: bool) -> Option<Buffer> {
        Some(self.apply(cx.noise[at.index].as_ref(), &g))
    }

    fn has_jvp(&self, _: Activation) -> bool {
        false
    }
}
