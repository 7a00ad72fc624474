//! Batch norm followed by a leaky ReLU.

use super::Operation;
use crate::backend::{Activation, Backend, NormAdjoints, NormCall, NormGrads, Sides, size};
use crate::fused::jvp::{Adjoint, JvpPass, JvpSaved};
use crate::fused::pass::{At, BackwardPass, ForwardPass, NeedsGrad, Normalise, SavedForBackward};
use candle_core::{Result, bail};

/// Batch norm; γ and β have one number per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Index of γ's first number in the parameters.
    pub scale: usize,
    /// Index of β's first number in the parameters.
    pub shift: usize,
    /// Added to the variance.
    pub eps: f64,
}

/// Size from which the output is recomputed from the input in the backward pass instead of being saved: half of a
/// generator's memory for a hundredth of its time.
const LARGE: usize = 1 << 21;

impl BatchNorm {
    fn call<'a, B: Backend>(&self, at: &At<B>, theta: B::Slice<'a>) -> NormCall<'a, B> {
        let c = at.planned().input[2];
        let part = |start: usize| at.network.backend.part(theta, start..start + c);
        let slope = match at.planned().act {
            Activation::LeakyRelu(slope) => slope,
            _ => 1.0,
        };
        NormCall { gamma: part(self.scale), beta: part(self.shift), eps: self.eps, slope }
    }

    /// Calls `f` with the destinations of both gradients.
    fn with_grads<B: Backend>(&self, at: &At<B>, dtheta: &mut B::SliceMut<'_>, f: impl FnOnce(NormGrads<B>)) {
        let (backend, c) = (&at.network.backend, at.planned().input[2]);
        let first = self.scale.min(self.shift);
        let mut both = backend.part_mut(dtheta, first..self.scale.max(self.shift) + c);
        let [low, high] = backend.split_mut(&mut both, self.scale.abs_diff(self.shift));
        let (gamma, beta) = if self.scale < self.shift { (low, high) } else { (high, low) };
        f(NormGrads { gamma, beta });
    }
}

impl<B: Backend> Operation<B> for BatchNorm {
    fn output(&self, input: Sides) -> Result<Sides> {
        Ok(input)
    }

    fn parameters(&self, [_, _, c]: Sides) -> Vec<(usize, usize)> {
        vec![(self.scale, c), (self.shift, c)]
    }

    fn fuses(&self, act: Activation) -> bool {
        matches!(act, Activation::LeakyRelu(_))
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn is_made_again(&self, len: usize) -> bool {
        len >= LARGE
    }

    fn made_again(&self, at: &At<B>, theta: B::Slice<'_>, saved: &SavedForBackward<B>) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        let x = backend.slice(saved.values[at.index].as_ref()?);
        let mut y = backend.uninit(backend.len(x));
        backend.norm(&self.call(at, theta), saved.norms[at.index].as_ref()?, x, backend.slice_mut(&mut y));
        Some(y)
    }

    fn forward(&self, at: &At<B>, x: &B::Buffer, pass: &mut ForwardPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let [h, w, c] = at.planned().input;
        let x = backend.slice(x);
        let bias = at.network.bias_left_out(at.index).map(|bias| backend.part(pass.theta, bias..bias + c));
        let norm = match &mut pass.normalise {
            Normalise::Given(all) => {
                let Some(([mean, variance], rest)) = all.split_first() else {
                    bail!("a batch norm of {c} channels was given no statistics");
                };
                *all = rest;
                backend.norm_of(mean, variance, bias)
            }
            Normalise::Batch(ranks) => backend.norm_of_batch(x, c, bias, ranks),
        };
        if backend.norm_count(&norm).is_some_and(|count| count < 2) {
            let n = at.samples;
            bail!("batch norm needs more than one number a channel, got [{n}, {c}, {h}, {w}]: use a larger batch");
        }
        let mut y = backend.uninit(backend.len(x));
        backend.norm(&self.call(at, pass.theta), &norm, x, backend.slice_mut(&mut y));
        pass.saved.norms[at.index] = Some(norm);
        Ok(y)
    }

    fn backward(&self, at: &At<B>, mut g: B::Buffer, pass: &mut BackwardPass<B>, _: bool) -> Option<B::Buffer> {
        let backend = &at.network.backend;
        let call = self.call(at, pass.theta);
        let norm = pass.saved.norms[at.index].as_ref()?;
        let x = backend.slice(pass.saved.values[at.index].as_ref()?);
        let ranks = &pass.saved.ranks;
        let to = backend.slice_mut(&mut g);
        match &mut pass.dtheta {
            Some(dtheta) => {
                self.with_grads(at, dtheta, |grads| backend.norm_grad(&call, norm, x, to, Some(grads), ranks));
            }
            None => backend.norm_grad(&call, norm, x, to, None, ranks),
        }
        Some(g)
    }

    fn has_jvp(&self, act: Activation) -> bool {
        act.is_piecewise_linear()
    }

    fn jvp(&self, at: &At<B>, both: B::Buffer, pass: &mut JvpPass<B>) -> Result<B::Buffer> {
        let backend = &at.network.backend;
        let (half, c) = (at.samples * size(at.planned().output), at.planned().input[2]);
        if half / c.max(1) < 2 {
            bail!("batch norm needs more than one number a channel: use a larger batch");
        }
        let x = backend.part(backend.slice(&both), 0..half);
        let norm = backend.norm_of_batch(x, c, None, &None);
        let call = self.call(at, pass.theta);
        let mut y = backend.copy(backend.slice(&both));
        let [values, tangents] = backend.halves_mut(&mut y, half);
        backend.norm_jvp(&call, &norm, x, tangents);
        backend.norm(&call, &norm, x, values);
        // The activation was already applied to the values.
        pass.save_and_differentiate(at, at.planned().act, &mut y);
        pass.saved.norms[at.index] = Some(norm);
        pass.saved.inputs[at.index] = Some(both);
        Ok(y)
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        saved: &mut JvpSaved<B>,
        adjoint: Adjoint<B>,
        theta: B::Slice<'_>,
        dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = &at.network.backend;
        let both = saved.inputs[at.index].take()?;
        let norm = saved.norms[at.index].take()?;
        let half = at.samples * size(at.planned().input);
        let (both, g) = (backend.slice(&both), backend.slice(&adjoint.g));
        let of_tangent = if adjoint.has_values { backend.part(g, half..2 * half) } else { g };
        let adjoints = NormAdjoints {
            x: backend.part(both, 0..half),
            tangent: backend.part(both, half..2 * half),
            of_values: adjoint.has_values.then(|| backend.part(g, 0..half)),
            of_tangent,
        };
        let mut to = backend.uninit(2 * half);
        let halves = backend.halves_mut(&mut to, half);
        let call = self.call(at, theta);
        self.with_grads(at, dtheta, |grads| backend.norm_jvp_grad(&call, &norm, &adjoints, halves, grads));
        Some(Adjoint { g: to, has_values: true })
    }
}
