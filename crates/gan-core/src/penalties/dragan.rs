//! DRAGAN: E[(‖g‖ − 1)²] at real samples plus noise of half their standard deviation (Kodali et al. 2017, arXiv:1705.07215).

use super::{Effect, Form, GradientPenalty, Points};
use crate::random::RandomTensors;
use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) const EFFECT: Effect =
    Effect::Gradient(GradientPenalty { points: Points::Other(points), form: Form::DistanceToOne });

fn points(real: &Tensor, _: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let mean = real.mean_all()?;
    let deviation = real.broadcast_sub(&mean)?.sqr()?.mean_all()?.sqrt()?;
    let noise = rng.uniform_tensor(0.0, 1.0, real.shape(), real.device())?;
    real + (noise.broadcast_mul(&deviation)? * 0.5)?
}
