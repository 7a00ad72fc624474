//! Batch norm followed by a leaky ReLU.

use super::Operation;
use crate::cpu::buffer::Buffer;
use crate::cpu::norm::{Norm, NormAdjoints, NormCall, NormGrads};
use crate::cpu::rows::activation::Activation;
use crate::fused::pass::{Adjoint, At, NeedsGrad, PassContext};
use crate::spec::Sides;
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
    fn call<'a>(&self, at: &At<'a>) -> NormCall<'a> {
        let c = at.planned().input[2];
        let slope = match at.planned().act {
            Activation::LeakyRelu(slope) => slope,
            Activation::Identity | Activation::Tanh => 1.0,
        };
        NormCall { gamma: at.parameters(self.scale, c), beta: at.parameters(self.shift, c), eps: self.eps, slope }
    }

    /// Returns the destinations of both gradients.
    fn grads<'a>(&self, at: &At, dtheta: &'a mut [f32]) -> NormGrads<'a> {
        let both = [self.scale, self.shift].map(|start| start..start + at.planned().input[2]);
        let [gamma, beta] = dtheta.get_disjoint_mut(both).expect("γ and β have places of their own");
        NormGrads { gamma, beta }
    }
}

impl Operation for BatchNorm {
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
        len >= LARGE
    }

    fn recompute_output(&self, at: &At, cx: &PassContext) -> Option<Buffer> {
        let x = cx.values[at.index].as_ref()?;
        let mut y = Buffer::any(x.len());
        cx.norms[at.index].as_ref()?.forward(&self.call(at), x, &mut y);
        Some(y)
    }

    fn forward(&self, at: &At, x: &Buffer, cx: &mut PassContext) -> Result<Buffer> {
        let [h, w, c] = at.planned().input;
        let bias = at.network.bias_left_out(at.index).map(|bias| at.parameters(bias, c));
        let norm = match &cx.given[at.index] {
            Some([mean, variance]) => Norm::of(mean, variance, bias),
            None => Norm::of_batch(x, c, bias, &cx.ranks),
        };
        if norm.count.is_some_and(|count| count < 2) {
            let n = at.samples;
            bail!("batch norm needs more than one number a channel, got [{n}, {c}, {h}, {w}]: use a larger batch");
        }
        let mut y = Buffer::any(x.len());
        norm.forward(&self.call(at), x, &mut y);
        cx.norms[at.index] = Some(norm);
        Ok(y)
    }

    fn backward(
        &self,
        at: &At,
        mut g: Buffer,
        cx: &mut PassContext,
        dtheta: Option<&mut [f32]>,
        _: bool,
    ) -> Option<Buffer> {
        let norm = cx.norms[at.index].as_ref()?;
        let x = cx.values[at.index].as_ref()?;
        let grads = dtheta.map(|dtheta| self.grads(at, dtheta));
        norm.backward(&self.call(at), x, &mut g, grads, &cx.ranks);
        Some(g)
    }

    fn has_jvp(&self, act: Activation) -> bool {
        act.is_piecewise_linear()
    }

    fn jvp(&self, at: &At, both: Buffer, cx: &mut PassContext) -> Result<Buffer> {
        let half = at.output_len();
        let c = at.planned().input[2];
        if half / c.max(1) < 2 {
            bail!("batch norm needs more than one number a channel: use a larger batch");
        }
        let x = &both[..half];
        let norm = Norm::of_batch(x, c, None, &None);
        let call = self.call(at);
        let mut y = Buffer::of(&both);
        let (values, tangents) = y.split_at_mut(half);
        norm.project(&call, x, tangents);
        norm.forward(&call, x, values);
        // The activation was already applied to the values.
        cx.save_and_differentiate(at, at.planned().act, &mut y);
        cx.norms[at.index] = Some(norm);
        cx.values[at.index] = Some(both);
        Ok(y)
    }

    fn jvp_backward(&self, at: &At, cx: &mut PassContext, adjoint: Adjoint, dtheta: &mut [f32]) -> Option<Adjoint> {
        let input = cx.values[at.index].take()?;
        let norm = cx.norms[at.index].take()?;
        let half = at.input_len();
        let (x, tangent) = input.split_at(half);
        let (of_values, of_tangent) = match adjoint.has_values {
            true => (Some(&adjoint.g[..half]), &adjoint.g[half..]),
            false => (None, &adjoint.g[..]),
        };
        let adjoints = NormAdjoints { x, tangent, of_values, of_tangent };
        let mut to = Buffer::any(2 * half);
        norm.jvp_backward(&self.call(at), &adjoints, to.split_at_mut(half), self.grads(at, dtheta));
        Some(Adjoint { g: to, has_values: true })
    }
}
