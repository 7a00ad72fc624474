//! Reshape, in the order of channels-first images.

use super::Operation;
use crate::backend::{Activation, Backend, Sides, size};
use crate::fused::pass::{At, Dtheta, PassContext, Value};
use crate::fused::sides;
use candle_core::{Result, bail};

/// Reshape to `[C, H, W]` or `[F]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape(
    /// New shape without the batch.
    pub Vec<usize>,
);

/// Returns whether the numbers of both shapes are in the same order.
fn keeps_order(from: Sides, to: Sides) -> bool {
    let one_kind = |[h, w, c]: Sides| h * w == 1 || c == 1;
    from == to || (one_kind(from) && one_kind(to))
}

/// Reorders numbers that are channels-last in the shape `from` to channels-last in the shape `to`.
fn reordered<B: Backend>(backend: &B, x: &B::Buffer, from: Sides, to: Sides) -> B::Buffer {
    let x = backend.slice(x);
    let mut flat = backend.uninit(backend.len(x));
    backend.channels_first(x, from[2], from[0] * from[1], backend.slice_mut(&mut flat));
    backend.channels_last(backend.slice(&flat), to[2], to[0] * to[1])
}

impl<B: Backend> Operation<B> for Reshape {
    fn output(&self, input: Sides) -> Result<Sides> {
        let to = sides(&self.0)?;
        if size(to) != size(input) {
            let [h, w, c] = input;
            bail!("{:?} has another size than [{c}, {h}, {w}]", self.0);
        }
        Ok(to)
    }

    fn linearizes(&self, _: Activation) -> bool {
        true
    }

    fn makes_vector(&self) -> Option<bool> {
        Some(self.0.len() == 1)
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let [from, to] = [at.planned().input, at.planned().output];
        Ok(if keeps_order(from, to) { x } else { reordered(at.backend(), &x, from, to).into() })
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, _: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        let [from, to] = [at.planned().output, at.planned().input];
        Some(if keeps_order(from, to) { g } else { reordered(at.backend(), &g, from, to) })
    }
}
