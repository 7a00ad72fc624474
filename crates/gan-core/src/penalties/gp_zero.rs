//! Zero-centered gradient penalty: E[‖g‖²] at points between real and generated samples (Thanh-Tung et al. 2019, arXiv:1902.03984).

use super::{Effect, GradientPenalty, gp::between, mean, squares};
use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) const EFFECT: Effect = Effect::Gradient(&GpZero);

struct GpZero;

impl GradientPenalty for GpZero {
    fn points(&self, real: &Tensor, fake: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        between(real, fake, rng)
    }

    fn value(&self, g: &Tensor) -> Result<(f64, Tensor)> {
        Ok((mean(&squares(g)?)?, (g * 2.0)?))
    }
}
