//! R1: ½·E[‖g‖²] at real samples (Mescheder et al. 2018, arXiv:1801.04406, equation 9).

use super::{Effect, GradientPenalty, half_square};
use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) const EFFECT: Effect = Effect::Gradient(&R1);

struct R1;

impl GradientPenalty for R1 {
    fn points(&self, real: &Tensor, _: &Tensor, _: &mut Rng) -> Result<Tensor> {
        Ok(real.clone())
    }

    fn value(&self, g: &Tensor) -> Result<(f64, Tensor)> {
        half_square(g)
    }
}
