//! The forward and the backward pass over all layers.

use super::{FusedSequential, PlannedLayer};
use crate::backend::{Backend, PixelMap};
use crate::ranks::Ranks;
use candle_core::Result;

/// Gradients that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NeedsGrad {
    pub input: bool,
    pub parameters: bool,
}

impl NeedsGrad {
    pub const NOTHING: Self = Self { input: false, parameters: false };

    pub fn anything(self) -> bool {
        self.input || self.parameters
    }
}

/// Statistics that batch norm uses.
pub(super) enum Normalise<'a> {
    /// Statistics of the batch, or of all ranks' batches.
    Batch(&'a Ranks),
    /// Given mean and variance of each remaining norm, in turn.
    Given(&'a [[Vec<f32>; 2]]),
}

/// A layer of a network in a pass over a batch.
pub(super) struct At<'a, B: Backend> {
    pub network: &'a FusedSequential<B>,
    pub index: usize,
    pub samples: usize,
}

impl<B: Backend> Clone for At<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Backend> Copy for At<'_, B> {}

impl<'a, B: Backend> At<'a, B> {
    pub fn planned(&self) -> &'a PlannedLayer {
        &self.network.layers[self.index]
    }

    pub fn map(&self) -> PixelMap {
        PixelMap { samples: self.samples, input: self.planned().input, output: self.planned().output }
    }

    /// Recomputes the output of the layer before, which was not saved.
    pub fn input_again(&self, theta: B::Slice<'_>, saved: &SavedForBackward<B>) -> Option<B::Buffer> {
        let before = Self { index: self.index.checked_sub(1)?, ..*self };
        before.planned().layer.operation::<B>().made_again(&before, theta, saved)
    }
}

/// Values of one forward pass that the backward pass needs.
pub(super) struct SavedForBackward<B: Backend> {
    pub needs: NeedsGrad,
    /// Input of layer i at i, the last output at the end, if they are needed.
    pub values: Vec<Option<B::Buffer>>,
    /// Statistics of the batch norm that is layer i, at i.
    pub norms: Vec<Option<B::Norm>>,
    /// Random numbers of the dropout that is layer i, at i; `None` without dropout.
    pub noise: Vec<Option<B::Buffer>>,
    /// Ranks whose batches the statistics are taken over.
    pub ranks: Ranks,
}

impl<B: Backend> SavedForBackward<B> {
    fn new(layers: usize, needs: NeedsGrad, ranks: Ranks) -> Self {
        let nothing = || (0..=layers).map(|_| None).collect();
        Self { needs, values: nothing(), norms: (0..=layers).map(|_| None).collect(), noise: nothing(), ranks }
    }

    /// Returns each batch norm's statistics in turn.
    pub fn norms(&self) -> impl Iterator<Item = &B::Norm> {
        self.norms.iter().flatten()
    }
}

/// A forward pass.
pub(super) struct ForwardPass<'t, 'n, B: Backend> {
    pub theta: B::Slice<'t>,
    pub normalise: Normalise<'n>,
    pub needs: NeedsGrad,
    pub saved: SavedForBackward<B>,
}

impl<'t, B: Backend> ForwardPass<'t, '_, B> {
    /// Returns a pass of a layer that saves nothing.
    pub fn without_gradient(theta: B::Slice<'t>) -> Self {
        let needs = NeedsGrad::NOTHING;
        Self { theta, normalise: Normalise::Given(&[]), needs, saved: SavedForBackward::new(0, needs, None) }
    }
}

/// A backward pass.
pub(super) struct BackwardPass<'t, 'd, B: Backend> {
    pub theta: B::Slice<'t>,
    pub saved: SavedForBackward<B>,
    /// Destination of the parameters' gradients, if they are needed.
    pub dtheta: Option<B::SliceMut<'d>>,
}

impl<'t, B: Backend> BackwardPass<'t, '_, B> {
    /// Returns a pass through layers that save nothing.
    pub fn without_saved(layers: usize, theta: B::Slice<'t>) -> Self {
        let needs = NeedsGrad { input: true, parameters: false };
        Self { theta, saved: SavedForBackward::new(layers, needs, None), dtheta: None }
    }
}

impl<B: Backend> FusedSequential<B> {
    /// Runs forward: x `[n, H, W, C]` -> the output `[n, H', W', C']`, and what is saved. `noise` has the numbers of
    /// each dropout in turn.
    pub(super) fn forward(
        &self,
        x: B::Buffer,
        samples: usize,
        theta: B::Slice<'_>,
        normalise: Normalise,
        noise: Vec<B::Buffer>,
        needs: NeedsGrad,
    ) -> Result<(B::Buffer, SavedForBackward<B>)> {
        let ranks = match normalise {
            Normalise::Batch(ranks) => ranks.clone(),
            Normalise::Given(_) => None,
        };
        let saved = SavedForBackward::new(self.layers.len(), needs, ranks);
        let mut pass = ForwardPass { theta, normalise, needs, saved };
        let mut noise = noise.into_iter();
        let mut value = x;
        for (index, planned) in self.layers.iter().enumerate() {
            let operation = planned.layer.operation::<B>();
            if operation.wants_noise() {
                pass.saved.noise[index] = noise.next();
            }
            let output = operation.forward(&At { network: self, index, samples }, &value, &mut pass)?;
            if self.saves_input(index, &value, needs) {
                pass.saved.values[index] = Some(value);
            }
            value = output;
        }
        let reads_output = |planned: &PlannedLayer| planned.layer.operation::<B>().reads_output(planned.act);
        if needs.anything() && self.layers.last().is_some_and(reads_output) {
            pass.saved.values[self.layers.len()] = Some(self.backend.copy(self.backend.slice(&value)));
        }
        Ok((value, pass.saved))
    }

    /// Returns whether the backward pass reads `value`, the input of layer `index`, and it cannot be recomputed.
    fn saves_input(&self, index: usize, value: &B::Buffer, needs: NeedsGrad) -> bool {
        if !needs.anything() {
            return false;
        }
        let before = index.checked_sub(1).map(|i| &self.layers[i]);
        if before.is_some_and(|before| before.layer.operation::<B>().reads_output(before.act)) {
            return true;
        }
        let len = self.backend.len(self.backend.slice(value));
        let made_again = before.is_some_and(|before| before.layer.operation::<B>().is_made_again(len));
        self.layers[index].layer.operation::<B>().reads_input(needs) && !made_again
    }

    /// Returns the input's gradient `[n, H, W, C]` from the output's `[n, H', W', C']`, if it is needed; writes the parameters' gradients
    /// to `dtheta`, if they are needed.
    pub(super) fn backward(
        &self,
        saved: SavedForBackward<B>,
        samples: usize,
        theta: B::Slice<'_>,
        mut g: B::Buffer,
        dtheta: Option<B::SliceMut<'_>>,
    ) -> Option<B::Buffer> {
        let needs = saved.needs;
        let mut pass = BackwardPass { theta, saved, dtheta };
        for (index, planned) in self.layers.iter().enumerate().rev() {
            let goes_on = needs.input || (needs.parameters && self.has_parameters_before(index));
            let at = At { network: self, index, samples };
            g = planned.layer.operation::<B>().backward(&at, g, &mut pass, goes_on)?;
            // Later layers are done.
            pass.saved.values[index + 1] = None;
            pass.saved.norms[index] = None;
        }
        needs.input.then_some(g)
    }
}
