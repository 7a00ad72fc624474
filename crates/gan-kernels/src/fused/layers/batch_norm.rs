//! Batch norm followed by a leaky ReLU.

use super::Operation;
use crate::backend::{Activation, Backend, NormCall, NormGrads, Sides};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
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

impl BatchNorm {
    fn call<'a, B: Backend>(&self, at: &At<'a, B>) -> NormCall<'a, B> {
        let c = at.planned().input[2];
        NormCall {
            gamma: at.parameters(self.scale, c),
            beta: at.parameters(self.shift, c),
            eps: self.eps,
            slope: slope(at),
        }
    }

    /// Calls `f` with the destinations of both gradients.
    fn with_grads<B: Backend>(&self, at: &At<B>, dtheta: &mut B::SliceMut<'_>, f: impl FnOnce(NormGrads<B>)) {
        with_grads(at.backend(), [self.scale, self.shift], at.planned().input[2], dtheta, f);
    }
}

/// Returns the slope below zero of the activation behind a norm.
pub(super) fn slope<B: Backend>(at: &At<B>) -> f32 {
    match at.planned().act {
        Activation::LeakyRelu(slope) => slope,
        Activation::Identity | Activation::Tanh => 1.0,
    }
}

/// Calls `f` with the destinations of the gradients by γ and β, of `len` numbers each.
pub(super) fn with_grads<B: Backend>(
    backend: &B,
    [scale, shift]: [usize; 2],
    len: usize,
    dtheta: &mut B::SliceMut<'_>,
    f: impl FnOnce(NormGrads<B>),
) {
    let both = backend.part_mut(dtheta, scale.min(shift)..scale.max(shift) + len);
    let [low, high] = backend.split_mut(both, scale.abs_diff(shift));
    let (gamma, beta) = if scale < shift { (low, high) } else { (high, low) };
    f(NormGrads { gamma, beta });
}

/// Returns the statistics by which a norm normalizes its input: given ones, or those of the batch.
pub(super) fn statistics<B: Backend>(at: &At<B>, x: B::Slice<'_>, cx: &PassContext<B>) -> Result<B::Norm> {
    let backend = at.backend();
    let c = at.planned().input[2];
    let bias = at.network.bias_left_out(at.index).map(|bias| at.parameters(bias, c));
    let norm = match &cx.given[at.index] {
        Some([mean, variance]) => backend.norm_of(mean, variance, bias),
        None if cx.groups > 1 => backend.norm_of_groups(x, c, bias, cx.groups),
        None => backend.norm_of_batch(x, c, bias, &cx.ranks),
    };
    match backend.norm_count(&norm) {
        Some(count) if count < 2 => too_few(at),
        _ => Ok(norm),
    }
}

/// Returns the statistics of the batch, of its values `x` in a directional derivative.
pub(super) fn jvp_statistics<B: Backend>(at: &At<B>, x: B::Slice<'_>) -> Result<B::Norm> {
    let c = at.planned().input[2];
    if at.output_len() / c.max(1) < 2 {
        return too_few(at);
    }
    Ok(at.backend().norm_of_batch(x, c, None, &None))
}

fn too_few<T, B: Backend>(at: &At<B>) -> Result<T> {
    let [h, w, c] = at.planned().input;
    let n = at.samples;
    bail!("batch norm needs more than one number a channel, got [{n}, {c}, {h}, {w}]: use a larger batch")
}

impl<B: Backend> Operation<B> for BatchNorm {
    fn parameters(&self, [_, _, c]: Sides) -> Vec<(usize, usize)> {
        vec![(self.scale, c), (self.shift, c)]
    }

    fn fuses(&self, act: Activation) -> bool {
        matches!(act, Activation::LeakyRelu(_))
    }

    fn reads_input(&self, _: NeedsGrad) -> bool {
        true
    }

    fn recomputes_output(&self, len: usize) -> bool {
        len >= B::RECOMPUTES_FROM
    }

    fn recompute_output(&self, at: &At<B>, cx: &PassContext<B>) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        let x = backend.slice(&x);
        let mut y = backend.uninit(backend.len(x));
        backend.norm(&self.call(at), cx.norms[at.index].as_ref()?, x, backend.slice_mut(&mut y));
        Some(y)
    }

    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let x = backend.slice(&x);
        let norm = statistics(at, x, cx)?;
        let mut y = backend.uninit(backend.len(x));
        backend.norm(&self.call(at), &norm, x, backend.slice_mut(&mut y));
        cx.norms[at.index] = Some(norm);
        Ok(y.into())
    }

    fn backward(
        &self,
        at: &At<B>,
        mut g: B::Buffer,
        cx: &mut PassContext<B>,
        dtheta: Dtheta<B>,
        _: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        let call = self.call(at);
        let norm = cx.norms[at.index].as_ref()?;
        let x = at.input(cx)?;
        let x = backend.slice(&x);
        let ranks = &cx.ranks;
        let to = backend.slice_mut(&mut g);
        match dtheta {
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

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let half = at.output_len();
        let x = backend.part(backend.slice(&both), 0..half);
        let norm = jvp_statistics(at, x)?;
        let call = self.call(at);
        let mut y = backend.copy(backend.slice(&both));
        let [values, tangents] = backend.split_mut(backend.slice_mut(&mut y), half);
        backend.norm_jvp(&call, &norm, x, tangents);
        backend.norm(&call, &norm, x, values);
        // The activation was already applied to the values.
        cx.save_and_differentiate(at, at.planned().act, &mut y);
        cx.norms[at.index] = Some(norm);
        cx.values[at.index] = Some(both);
        Ok(y.into())
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let input = cx.values[at.index].take()?;
        let norm = cx.norms[at.index].take()?;
        let call = self.call(at);
        Some(adjoint.before(backend, &input, |after, to| {
            self.with_grads(at, dtheta, |grads| backend.norm_jvp_grad(&call, &norm, after, to, grads));
        }))
    }
}
