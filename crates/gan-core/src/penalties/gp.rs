//! Gradient penalty: E[(‖g‖ − 1)²] at points between real and generated samples (WGAN-GP; Gulrajani et al. 2017, arXiv:1704.00028).

use super::{Effect, Form, GradientPenalty, Points, one_each};
use crate::random::RandomTensors;
use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) const EFFECT: Effect =
    Effect::Gradient(GradientPenalty { points: Points::Other(between), form: Form::DistanceToOne });

/// Returns a random point on the line between each real sample and its generated one.
pub(super) fn between(real: &Tensor, fake: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let n = real.dim(0)?.min(fake.dim(0)?);
    let real = real.narrow(0, 0, n)?;
    let fake = fake.narrow(0, 0, n)?;
    let part = rng.uniform_tensor(0.0, 1.0, one_each(&real), real.device())?;
    &fake + (&real - &fake)?.broadcast_mul(&part)?
}
