//! Zero-centered gradient penalty: E[‖g‖²] at points between real and generated samples (Thanh-Tung et al. 2019, arXiv:1902.03984).

use super::{Effect, GradientPenalty, Points, gp::between, mean, squares};
use candle_core::{Result, Tensor};

pub(super) const EFFECT: Effect = Effect::Gradient(GradientPenalty { points: Points::Other(between), value });

fn value(g: &Tensor) -> Result<(f64, Tensor)> {
    Ok((mean(&squares(g)?)?, (g * 2.0)?))
}
