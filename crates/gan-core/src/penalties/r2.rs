//! R2: ½·E[‖g‖²] at generated samples (Mescheder et al. 2018, arXiv:1801.04406, below equation 9).

use super::{Effect, GradientPenalty, half_square};
use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) const EFFECT: Effect = Effect::Gradient(&R2);

struct R2;

impl GradientPenalty for R2 {
    fn points(&self, _: &Tensor, fake: &Tensor, _: &mut Rng) -> Result<Tensor> {
        Ok(fake.clone())
    }

    fn value(&self, g: &Tensor) -> Result<(f64, Tensor)> {
        half_square(g)
    }
}
