//! The passes over all layers: forward, backward, and the same for a directional derivative (a Jacobian-vector product).
//!
//! For the derivative, values x and tangents t go through the layers side by side, as one batch of twice the samples: every convolution is
//! one product for both. If all layers are piecewise linear (leaky ReLU), the values only determine the piece, and the backward pass goes
//! through the tangents alone; before a batch norm it goes through both.

use super::{FusedLayer, FusedSequential, PlannedLayer};
use crate::backend::{Activation, Backend, JvpAdjoints, Memory, PixelMap, size};
use crate::ranks::Ranks;
use candle_core::Result;
use std::sync::Arc;

/// Gradients that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsGrad {
    /// Gradient of the input.
    pub input: bool,
    /// Gradients of the parameters.
    pub parameters: bool,
}

impl NeedsGrad {
    /// Returns whether there is a backward pass.
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

    /// Returns values and tangents after the layer, which `compute` writes from those before it, `both`.
    pub fn jvp(&self, both: &B::Buffer, compute: impl FnOnce([B::Slice<'_>; 2], [B::SliceMut<'_>; 2])) -> B::Buffer {
        let backend = self.backend();
        let half = self.input_len();
        let before = [0..half, half..2 * half].map(|range| backend.part(backend.slice(both), range));
        let mut after = backend.uninit(2 * self.output_len());
        compute(before, backend.split_mut(backend.slice_mut(&mut after), self.output_len()));
        after
    }

    /// Returns the layer's input in the backward pass: what was saved, or else the output of the layer before, recomputed.
    pub fn input(&self, cx: &PassContext<B>) -> Option<Value<B>> {
        if let Some(saved) = &cx.values[self.index] {
            return Some(Value::<B>::clone(saved));
        }
        let before = Self { index: self.index.checked_sub(1)?, ..*self };
        before.planned().layer.operation::<B>().recompute_output(&before, cx).map(Value::<B>::from)
    }
}

/// Destination of the parameters' gradients, if they are needed.
pub(super) type Dtheta<'a, 'd, B> = Option<&'a mut <B as Memory>::SliceMut<'d>>;

/// What a pass is given, and what its forward part saves for its backward part.
#[derive(Debug)]
pub struct PassContext<B: Backend> {
    /// Gradients that the backward pass computes.
    pub needs: NeedsGrad,
    /// Ranks whose batches the statistics of batch norms are taken over.
    pub ranks: Ranks,
    /// Number of equal parts of the batch of which each is normalized by its own statistics.
    pub groups: usize,
    /// Mean and variance of the batch norm that is layer i, at i; `None` takes those of the batch.
    pub given: Vec<Option<[Vec<f32>; 2]>>,
    /// Class of each sample, if they are given.
    pub classes: Option<Arc<Vec<u32>>>,
    /// Random numbers of the dropout that is layer i, at i; `None` without dropout.
    pub noise: Vec<Option<B::Buffer>>,
    /// Input of layer i at i, the last output at the end, if they are needed.
    pub values: Vec<Option<Value<B>>>,
    /// For a directional derivative, the values of layer i's output at i, if its activation reads them.
    pub outputs: Vec<Option<B::Buffer>>,
    /// Statistics of the batch norm that is layer i, at i.
    pub norms: Vec<Option<B::Norm>>,
    /// Adjoints after layer i, before its activation, at i, if it is linearized.
    pub(super) adjoints: Vec<Option<B::Buffer>>,
    /// Values that the residual blocks around the current layer hold.
    pub(super) waiting: Vec<Value<B>>,
    /// The same of the backward pass.
    pub(super) waiting_grads: Vec<B::Buffer>,
    /// The same of a directional derivative's backward pass.
    pub(super) waiting_adjoints: Vec<Adjoint<B>>,
}

/// Numbers between two layers, which later layers and the backward pass may both read.
pub type Value<B> = Arc<<B as Memory>::Buffer>;

/// Returns a value's own numbers, or a copy of them if something else reads them too.
pub(super) fn owned<B: Backend>(backend: &B, value: Value<B>) -> B::Buffer {
    Arc::try_unwrap(value).unwrap_or_else(|shared| backend.copy(backend.slice(&shared)))
}

impl<B: Backend> PassContext<B> {
    /// Returns a pass over `layers`, with the statistics of the batch and without dropout.
    pub fn new(layers: usize, needs: NeedsGrad) -> Self {
        fn nothing<T>(len: usize) -> Vec<Option<T>> {
            (0..=len).map(|_| None).collect()
        }
        Self {
            needs,
            ranks: None,
            groups: 1,
            given: nothing(layers),
            classes: None,
            noise: nothing(layers),
            values: nothing(layers),
            outputs: nothing(layers),
            norms: nothing(layers),
            adjoints: nothing(layers),
            waiting: vec![],
            waiting_grads: vec![],
            waiting_adjoints: vec![],
        }
    }

    /// Saves the values, which are already the output of an activation, and applies its derivative to the tangents.
    pub(super) fn save_and_differentiate(&mut self, at: &At<B>, act: Activation, y: &mut B::Buffer) {
        if act == Activation::Identity {
            return;
        }
        let backend = at.backend();
        let half = at.output_len();
        let values = backend.copy(backend.part(backend.slice(y), 0..half));
        let [_, tangents] = backend.split_mut(backend.slice_mut(y), half);
        backend.activation_grad(act, backend.slice(&values), tangents);
        // Where the slope changes with the values, their adjoints read the tangents too.
        self.outputs[at.index] = Some(if act.is_piecewise_linear() { values } else { backend.copy(backend.slice(y)) });
    }
}

impl<B: Backend> PassContext<B> {
    /// Returns tangents, or adjoints, multiplied by the slopes of the layer's activation at its saved output.
    pub(super) fn after_activation(&self, at: &At<B>, act: Activation, mut tangents: B::Buffer) -> B::Buffer {
        let backend = at.backend();
        if let Some(y) = self.values[at.index + 1].as_ref().filter(|_| act != Activation::Identity) {
            backend.activation_grad(act, backend.slice(y), backend.slice_mut(&mut tangents));
        }
        tangents
    }
}

/// Adjoints in the backward pass of a directional derivative.
#[derive(Debug)]
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

    /// Calls `f` with each batch of `len` numbers that it contains.
    pub fn for_each(&mut self, backend: &B, len: usize, mut f: impl FnMut(B::SliceMut<'_>)) {
        let [first, second] = backend.split_mut(backend.slice_mut(&mut self.g), len);
        f(first);
        if self.has_values {
            f(second);
        }
    }

    /// Returns the adjoints of values and tangents before a layer, which `compute` writes from what is before it, `both`, and these.
    pub fn before(
        self,
        backend: &B,
        both: &B::Buffer,
        compute: impl FnOnce(&JvpAdjoints<B>, [B::SliceMut<'_>; 2]),
    ) -> Self {
        let len = backend.len(backend.slice(both)) / 2;
        let mut g = backend.uninit(2 * len);
        compute(&self.after(backend, both), backend.split_mut(backend.slice_mut(&mut g), len));
        Self { g, has_values: true }
    }

    /// Returns these adjoints with the values and tangents before the layer, `both`.
    fn after<'a>(&'a self, backend: &B, both: &'a B::Buffer) -> JvpAdjoints<'a, B> {
        let (both, g) = (backend.slice(both), backend.slice(&self.g));
        let [half, len] = [backend.len(both) / 2, backend.len(g)];
        let start = if self.has_values { len / 2 } else { 0 };
        JvpAdjoints {
            x: backend.part(both, 0..half),
            tangent: backend.part(both, half..2 * half),
            of_values: self.has_values.then(|| backend.part(g, 0..start)),
            of_tangent: backend.part(g, start..len),
        }
    }

    /// Returns the adjoints before a layer's activation from those after it; `y` is what was saved of its output.
    fn before_activation(mut self, at: &At<B>, act: Activation, y: &B::Buffer) -> Self {
        let backend = at.backend();
        let len = at.output_len();
        if act.is_piecewise_linear() {
            self.for_each(backend, len, |g| backend.activation_grad(act, backend.slice(y), g));
            return self;
        }
        self.before(backend, y, |adjoints, to| backend.activation_jvp_grad(act, adjoints, to))
    }
}

impl<B: Backend> FusedSequential<B> {
    /// Runs forward: x `[n, H, W, C]` -> the output `[n, H', W', C']`.
    ///
    /// # Errors
    /// If a batch norm gets fewer than two numbers per channel.
    pub fn forward<'a>(
        &'a self,
        x: impl Into<Value<B>>,
        samples: usize,
        theta: B::Slice<'a>,
        cx: &mut PassContext<B>,
    ) -> Result<Value<B>> {
        let mut value: Value<B> = x.into();
        for (index, planned) in self.layers.iter().enumerate() {
            let at = At { network: self, theta, index, samples };
            if self.saves_input(index, &value, cx.needs) {
                cx.values[index] = Some(Value::<B>::clone(&value));
            }
            value = planned.layer.operation::<B>().forward(&at, value, cx)?;
        }
        if cx.needs.anything() && self.layers.last().is_some_and(Self::reads_output) {
            cx.values[self.layers.len()] = Some(Value::<B>::clone(&value));
        }
        Ok(value)
    }

    fn reads_output(planned: &PlannedLayer) -> bool {
        planned.layer.operation::<B>().reads_output(planned.act)
    }

    /// Returns whether the backward pass reads `value`, the input of layer `index`, and it cannot be recomputed.
    fn saves_input(&self, index: usize, value: &B::Buffer, needs: NeedsGrad) -> bool {
        if !needs.anything() {
            return false;
        }
        let Some(before) = index.checked_sub(1) else { return self.reads_input(0, needs) };
        if Self::reads_output(&self.layers[before]) {
            return true;
        }
        let len = self.backend.len(self.backend.slice(value));
        self.reads_input(index, needs) && !self.recomputes_output(before, len)
    }

    fn reads_input(&self, index: usize, needs: NeedsGrad) -> bool {
        self.layers[index].layer.operation::<B>().reads_input(needs)
    }

    /// Returns whether the output of layer `index`, of `len` numbers, is recomputed in the backward pass: from a saved input, or from one that
    /// is recomputed itself.
    fn recomputes_output(&self, index: usize, len: usize) -> bool {
        let planned = &self.layers[index];
        let operation = planned.layer.operation::<B>();
        let has_input = || {
            let input_len = len / size(planned.output).max(1) * size(planned.input);
            planned.layer.is_norm() || index.checked_sub(1).is_some_and(|i| self.recomputes_output(i, input_len))
        };
        operation.recomputes_output(len) && has_input()
    }

    /// Returns the input's gradient `[n, H, W, C]` from the output's `[n, H', W', C']`, if it is needed; writes the parameters' gradients
    /// to `dtheta`, if they are needed.
    ///
    /// # Panics
    /// If `cx` is not from a forward pass of this network that saved what is needed.
    pub fn backward<'a>(
        &'a self,
        mut cx: PassContext<B>,
        samples: usize,
        theta: B::Slice<'a>,
        mut g: B::Buffer,
        mut dtheta: Option<B::SliceMut<'_>>,
    ) -> Option<B::Buffer> {
        let needs = cx.needs;
        for (index, planned) in self.layers.iter().enumerate().rev() {
            let goes_on = needs.input || (needs.parameters && self.has_parameters_before(index));
            let at = At { network: self, theta, index, samples };
            let before = planned.layer.operation::<B>().backward(&at, g, &mut cx, dtheta.as_mut(), goes_on);
            assert!(before.is_some() || !goes_on, "layer {index} lacks what its forward pass saved");
            g = before?;
            // Later layers are done.
            cx.values[index + 1] = None;
            cx.norms[index] = None;
        }
        needs.input.then_some(g)
    }

    /// Runs values and tangents `[2n, H, W, C]` forward with the classes and the noise in `cx`, and returns the output's tangents and what
    /// is saved.
    ///
    /// # Errors
    /// If a batch norm gets fewer than two numbers per channel.
    pub fn jvp_forward<'a>(
        &'a self,
        both: B::Buffer,
        samples: usize,
        theta: B::Slice<'a>,
        mut cx: PassContext<B>,
    ) -> Result<(B::Buffer, PassContext<B>)> {
        let mut both = Value::<B>::from(both);
        for (index, planned) in self.layers.iter().enumerate() {
            let at = At { network: self, theta, index, samples };
            both = planned.layer.operation::<B>().jvp(&at, both, &mut cx)?;
        }
        let half = samples * size(self.output());
        let tangents = self.backend.part(self.backend.slice(&both), half..2 * half);
        Ok((self.backend.copy(tangents), cx))
    }

    /// Computes the parameters' gradient from that of the tangents `[n, H', W', C']`.
    pub fn jvp_backward<'a>(
        &'a self,
        mut cx: PassContext<B>,
        samples: usize,
        theta: B::Slice<'a>,
        g: B::Buffer,
        mut dtheta: B::SliceMut<'_>,
    ) {
        let mut adjoint = Adjoint { g, has_values: false };
        for (index, planned) in self.layers.iter().enumerate().rev() {
            let at = At { network: self, theta, index, samples };
            if let Some(y) = cx.outputs[index].take() {
                let act = if let FusedLayer::Activation(act) = planned.layer { act } else { planned.act };
                adjoint = adjoint.before_activation(&at, act, &y);
            }
            match planned.layer.operation::<B>().jvp_backward(&at, &mut cx, adjoint, &mut dtheta) {
                Some(before) if self.has_parameters_before(index) => adjoint = before,
                Some(_) | None => return,
            }
        }
    }
}
