//! Multiplication by a learned slope: PReLU, and the gate of a branch.

use super::Operation;
use crate::backend::{Backend, Sides};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value};
use candle_core::Result;

/// Multiplies numbers by a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearnedSlope {
    /// Index of the slope in the parameters.
    pub slope: usize,
    /// Which numbers are multiplied.
    pub applies: SlopeApplies,
}

/// Numbers to which a learned slope applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlopeApplies {
    /// All of them.
    Everywhere,
    /// Those that are not above zero: PReLU.
    BelowZero,
}

impl LearnedSlope {
    /// Returns the numbers whose signs decide where the slope applies: the values before the layer.
    fn side<'a, B: Backend>(&self, at: &At<B>, x: B::Slice<'a>) -> Option<B::Slice<'a>> {
        match self.applies {
            SlopeApplies::Everywhere => None,
            SlopeApplies::BelowZero => Some(at.backend().part(x, 0..at.input_len())),
        }
    }

    /// Returns `x` after the slope.
    fn apply<B: Backend>(&self, at: &At<B>, side: Option<B::Slice<'_>>, x: B::Slice<'_>) -> B::Buffer {
        let backend = at.backend();
        let mut y = backend.uninit(backend.len(x));
        backend.learned_slope(at.parameters(self.slope, 1), side, x, backend.slice_mut(&mut y));
        y
    }

    fn slope_grad<B: Backend>(
        &self,
        at: &At<B>,
        side: Option<B::Slice<'_>>,
        [x, g]: [B::Slice<'_>; 2],
        dtheta: &mut B::SliceMut<'_>,
    ) {
        let sum = at.backend().part_mut(dtheta, self.slope..self.slope + 1);
        at.backend().learned_slope_grad(side, x, g, sum);
    }
}

impl<B: Backend> Operation<B> for LearnedSlope {
    fn parameters(&self, _: Sides) -> Vec<(usize, usize)> {
        vec![(self.slope, 1)]
    }

    fn reads_input(&self, needs: NeedsGrad) -> bool {
        needs.parameters || self.applies == SlopeApplies::BelowZero
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let x = at.backend().slice(&x);
        Ok(self.apply(at, self.side(at, x), x).into())
    }

    fn backward(
        &self,
        at: &At<B>,
        g: B::Buffer,
        cx: &mut PassContext<B>,
        dtheta: Dtheta<B>,
        goes_on: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        let g = backend.slice(&g);
        let input = match <Self as Operation<B>>::reads_input(self, cx.needs) {
            true => Some(at.input(cx)?),
            false => None,
        };
        let x = input.as_ref().map(|x| backend.slice(x));
        let side = x.and_then(|x| self.side(at, x));
        if let (Some(x), Some(dtheta)) = (x, dtheta) {
            self.slope_grad(at, side, [x, g], dtheta);
        }
        goes_on.then(|| self.apply(at, side, g))
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let x = at.backend().slice(&both);
        let y = self.apply(at, self.side(at, x), x);
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
        let both = cx.values[at.index].take()?;
        let both = backend.slice(&both);
        let side = self.side(at, both);
        let start = (2 - adjoint.batches()) * at.input_len();
        let g = backend.slice(&adjoint.g);
        self.slope_grad(at, side, [backend.part(both, start..2 * at.input_len()), g], dtheta);
        Some(Adjoint { g: self.apply(at, side, g), has_values: adjoint.has_values })
    }
}
