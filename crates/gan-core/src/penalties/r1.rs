//! R1: ½·E[‖g‖²] at real samples (Mescheder et al. 2018, arXiv:1801.04406, equation 9).

use super::{Effect, GradientPenalty, half_square};

pub(super) const EFFECT: Effect =
    Effect::Gradient(GradientPenalty { points: |real, _, _| Ok(real.clone()), value: half_square });
