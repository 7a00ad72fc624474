//! The passes over all layers: forward, backward, and the same for a directional derivative (a Jacobian-vector product).
//!
//! For the derivative, values x and tangents t go through the layers side by side, as one batch of twice the samples: every convolution is
//! one product for both. If all layers are piecewise linear (leaky ReLU), the values only determine the piece, and the backward pass goes
//! through the tangents alone; before a batch norm it goes through both.

use super::{FusedLayer, FusedSequential, PlannedLayer};
use crate::backend::{Activation, Backend, PixelMap, size};
use crate::ranks::Ranks;
use candle_core::Result;

/// Gradients that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NeedsGrad {
    pub input: bool,
    pub parameters: bool,
}

impl NeedsGrad {
    pub fn anything(self) -> bool {
        self.input || self.parameters
    }
}

/// A layer of a network in a pass over a batch.
pub(super) struct At<'a, B: Backend> {
    pub network: &'a FusedSequential<B>,
    /// All parameters.
    pub theta: B::Slice<'a>,
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
    pub fn backend(&self) -> &'a B {
        &self.network.backend
    }

    pub fn planned(&self) -> &'a PlannedLayer {
        &self.network.layers[self.index]
    }

    /// Returns the number of values in the batch before the layer.
    pub fn input_len(&self) -> usize {
        self.samples * size(self.planned().input)
    }

    /// Returns the number of values in the batch after the layer.
    pub fn output_len(&self) -> usize {
        self.samples * size(self.planned().output)
    }

    pub fn map(&self) -> PixelMap {
        PixelMap { samples: self.samples, input: self.planned().input, output: self.planned().output }
    }

    pub fn parameters(&self, start: usize, len: usize) -> B::Slice<'a> {
        self.backend().part(self.theta, start..start + len)
    }

    /// Returns the same layer in a pass over `batches` batches at once.
    pub fn times(&self, batches: usize) -> Self {
        Self { samples: batches * self.samples, ..*self }
    }

    /// Recomputes the output of the layer before, which was not saved.
    pub fn recompute_input(&self, saved: &SavedForBackward<B>) -> Option<B::Buffer> {
        let before = Self { index: self.index.checked_sub(1)?, ..*self };
        before.planned().layer.operation::<B>().recompute_output(&before, saved)
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
        Self { needs, values: nothing(layers + 1), norms: nothing(layers + 1), noise: nothing(layers + 1), ranks }
    }
}

fn nothing<T>(len: usize) -> Vec<Option<T>> {
    (0..len).map(|_| None).collect()
}

/// A forward pass.
pub(super) struct ForwardPass<'n, B: Backend> {
    /// Given mean and variance of each remaining batch norm; `None` takes those of the batch.
    pub given: Option<std::slice::Iter<'n, [Vec<f32>; 2]>>,
    pub saved: SavedForBackward<B>,
}

impl<B: Backend> ForwardPass<'_, B> {
    /// Returns a pass of a layer that saves nothing.
    pub fn without_gradient() -> Self {
        let needs = NeedsGrad { input: false, parameters: false };
        Self { given: Some([].iter()), saved: SavedForBackward::new(0, needs, None) }
    }
}

/// A backward pass.
pub(super) struct BackwardPass<'d, B: Backend> {
    pub saved: SavedForBackward<B>,
    /// Destination of the parameters' gradients, if they are needed.
    pub dtheta: Option<B::SliceMut<'d>>,
}

impl<B: Backend> BackwardPass<'_, B> {
    /// Returns a pass through layers that have saved nothing.
    pub fn without_parameters(layers: usize) -> Self {
        let needs = NeedsGrad { input: true, parameters: false };
        Self { saved: SavedForBackward::new(layers, needs, None), dtheta: None }
    }
}

/// Values and tangents of one forward pass that the backward pass of a directional derivative needs.
pub(super) struct JvpSaved<B: Backend> {
    /// Input of layer i at i, values and tangents, if the layer reads it.
    pub inputs: Vec<Option<B::Buffer>>,
    /// Values of layer i's output at i, if its activation reads them.
    pub outputs: Vec<Option<B::Buffer>>,
    /// Statistics of the batch norm that is layer i, at i.
    pub norms: Vec<Option<B::Norm>>,
}

impl<B: Backend> JvpSaved<B> {
    /// Saves the values, which are already the output of an activation, and applies its derivative to the tangents.
    pub fn save_and_differentiate(&mut self, at: &At<B>, act: Activation, y: &mut B::Buffer) {
        if act == Activation::Identity {
            return;
        }
        let backend = at.backend();
        let half = at.output_len();
        let values = backend.copy(backend.part(backend.slice(y), 0..half));
        let [_, tangents] = backend.split_mut(backend.slice_mut(y), half);
        backend.activation_grad(act, backend.slice(&values), tangents);
        self.outputs[at.index] = Some(values);
    }
}

/// Adjoints in the backward pass of a directional derivative.
pub(super) struct Adjoint<B: Backend> {
    /// Adjoint of the tangents, preceded by that of the values if it is not zero.
    pub g: B::Buffer,
    pub has_values: bool,
}

impl<B: Backend> Adjoint<B> {
    /// Returns the number of batches that it contains.
    pub fn batches(&self) -> usize {
        if self.has_values { 2 } else { 1 }
    }
}

/// Batch norm's statistics and dropout's random numbers for a forward pass.
pub(super) struct Inputs<'a, B: Backend> {
    /// Given mean and variance of each batch norm; `None` takes those of the batch.
    pub given: Option<&'a [[Vec<f32>; 2]]>,
    /// Ranks whose batches the statistics are taken over.
    pub ranks: Ranks,
    /// Random numbers of each dropout in turn.
    pub noise: Vec<B::Buffer>,
}

impl<B: Backend> FusedSequential<B> {
    /// Runs forward: x `[n, H, W, C]` -> the output `[n, H', W', C']`, and what is saved.
    pub(super) fn forward<'a>(
        &'a self,
        x: B::Buffer,
        samples: usize,
        theta: B::Slice<'a>,
        inputs: Inputs<B>,
        needs: NeedsGrad,
    ) -> Result<(B::Buffer, SavedForBackward<B>)> {
        let saved = SavedForBackward::new(self.layers.len(), needs, inputs.ranks);
        let mut pass = ForwardPass { given: inputs.given.map(|all| all.iter()), saved };
        let mut noise = inputs.noise.into_iter();
        let mut value = x;
        for (index, planned) in self.layers.iter().enumerate() {
            if matches!(planned.layer, FusedLayer::Dropout(_)) {
                pass.saved.noise[index] = noise.next();
            }
            let at = At { network: self, theta, index, samples };
            let output = planned.layer.operation::<B>().forward(&at, &value, &mut pass)?;
            if self.saves_input(index, &value, needs) {
                pass.saved.values[index] = Some(value);
            }
            value = output;
        }
        if needs.anything() && self.layers.last().is_some_and(Self::reads_output) {
            pass.saved.values[self.layers.len()] = Some(self.backend.copy(self.backend.slice(&value)));
        }
        Ok((value, pass.saved))
    }

    fn reads_output(planned: &PlannedLayer) -> bool {
        planned.layer.operation::<B>().reads_output(planned.act)
    }

    /// Returns whether the backward pass reads `value`, the input of layer `index`, and it cannot be recomputed.
    fn saves_input(&self, index: usize, value: &B::Buffer, needs: NeedsGrad) -> bool {
        if !needs.anything() {
            return false;
        }
        let before = index.checked_sub(1).map(|i| &self.layers[i]);
        if before.is_some_and(Self::reads_output) {
            return true;
        }
        let len = self.backend.len(self.backend.slice(value));
        let recomputed = before.is_some_and(|before| before.layer.operation::<B>().recomputes_output(len));
        self.layers[index].layer.operation::<B>().reads_input(needs) && !recomputed
    }

    /// Returns the input's gradient `[n, H, W, C]` from the output's `[n, H', W', C']`, if it is needed; writes the parameters' gradients
    /// to `dtheta`, if they are needed.
    pub(super) fn backward<'a>(
        &'a self,
        saved: SavedForBackward<B>,
        samples: usize,
        theta: B::Slice<'a>,
        mut g: B::Buffer,
        dtheta: Option<B::SliceMut<'_>>,
    ) -> Option<B::Buffer> {
        let needs = saved.needs;
        let mut pass = BackwardPass { saved, dtheta };
        for (index, planned) in self.layers.iter().enumerate().rev() {
            let goes_on = needs.input || (needs.parameters && self.has_parameters_before(index));
            let at = At { network: self, theta, index, samples };
            g = planned.layer.operation::<B>().backward(&at, g, &mut pass, goes_on)?;
            // Later layers are done.
            pass.saved.values[index + 1] = None;
            pass.saved.norms[index] = None;
        }
        needs.input.then_some(g)
    }

    /// Runs values and tangents `[2n, H, W, C]` forward, and returns the output's tangents and what is saved.
    pub(super) fn jvp_forward<'a>(
        &'a self,
        mut both: B::Buffer,
        samples: usize,
        theta: B::Slice<'a>,
    ) -> Result<(B::Buffer, JvpSaved<B>)> {
        let layers = self.layers.len();
        let mut saved = JvpSaved { inputs: nothing(layers), outputs: nothing(layers), norms: nothing(layers) };
        for (index, planned) in self.layers.iter().enumerate() {
            let at = At { network: self, theta, index, samples };
            both = planned.layer.operation::<B>().jvp(&at, both, &mut saved)?;
        }
        let half = samples * size(self.output());
        let tangents = self.backend.part(self.backend.slice(&both), half..2 * half);
        Ok((self.backend.copy(tangents), saved))
    }

    /// Computes the parameters' gradient from that of the tangents `[n, H', W', C']`.
    pub(super) fn jvp_backward<'a>(
        &'a self,
        mut saved: JvpSaved<B>,
        samples: usize,
        theta: B::Slice<'a>,
        g: B::Buffer,
        mut dtheta: B::SliceMut<'_>,
    ) {
        let backend = &self.backend;
        let mut adjoint = Adjoint { g, has_values: false };
        for (index, planned) in self.layers.iter().enumerate().rev() {
            let at = At { network: self, theta, index, samples };
            if let Some(y) = saved.outputs[index].take() {
                let act = if let FusedLayer::Activation(act) = planned.layer { act } else { planned.act };
                let [first, second] = backend.split_mut(backend.slice_mut(&mut adjoint.g), at.output_len());
                backend.activation_grad(act, backend.slice(&y), first);
                if adjoint.has_values {
                    backend.activation_grad(act, backend.slice(&y), second);
                }
            }
            match planned.layer.operation::<B>().jvp_backward(&at, &mut saved, adjoint, &mut dtheta) {
                Some(before) if self.has_parameters_before(index) => adjoint = before,
                Some(_) | None => return,
            }
        }
    }
}
