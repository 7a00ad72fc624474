//! R2: ½·E[‖g‖²] at generated samples (Mescheder et al. 2018, arXiv:1801.04406, below equation 9).

use super::{Effect, GradientPenalty, half_square};

pub(super) const EFFECT: Effect =
    Effect::Gradient(GradientPenalty { points: |_, fake, _| Ok(fake.clone()), value: half_square });
