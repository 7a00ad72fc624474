//! Dropout, with random numbers from the caller.

use super::Operation;
use crate::backend::{Activation, Backend};
use crate::fused::pass::{At, Dtheta, PassContext, Value};
use candle_core::Result;

/// Dropout: sets elements to zero by given random numbers and scales the others by 1 / (1 − rate); the identity with
/// given statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout(
    /// Probability of dropping an element.
    pub f64,
);

impl Dropout {
    /// Returns x or its gradient after dropout with the saved numbers, which are the same for values and tangents.
    fn apply<B: Backend>(&self, at: &At<B>, noise: &B::Buffer, x: &B::Buffer) -> B::Buffer {
        let backend = at.backend();
        let [noise, x] = [noise, x].map(|all| backend.slice(all));
        let mut y = backend.uninit(backend.len(x));
        let len = backend.len(noise);
        for start in (0..backend.len(x)).step_by(len.max(1)) {
            let batch = start..start + len;
            let x = backend.part(x, batch.clone());
            backend.dropout(self.0, noise, x, backend.part_mut(&mut backend.slice_mut(&mut y), batch));
        }
        y
    }
}

impl<B: Backend> Operation<B> for Dropout {
    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        Ok(match &cx.noise[at.index] {
            Some(noise) => self.apply(at, noise, &x).into(),
            None => x,
        })
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        Some(match &cx.noise[at.index] {
            Some(noise) => self.apply(at, noise, &g),
            None => g,
        })
    }

    fn linearizes(&self, _: Activation) -> bool {
        true
    }
}
