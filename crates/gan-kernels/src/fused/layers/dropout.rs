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
    /// Returns x or its gradient after dropout with the saved numbers.
    fn apply<B: Backend>(&self, at: &At<B>, noise: &B::Buffer, x: &B::Buffer) -> B::Buffer {
        let backend = at.backend();
        let x = backend.slice(x);
        let mut y = backend.uninit(backend.len(x));
        backend.dropout(self.0, backend.slice(noise), x, backend.slice_mut(&mut y));
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

    fn has_jvp(&self, _: Activation) -> bool {
        false
    }

    fn linearizes(&self, _: Activation) -> bool {
        true
    }
}
