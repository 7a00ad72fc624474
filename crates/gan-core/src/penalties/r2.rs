//! R2: ½·E[‖g‖²] at generated samples (Mescheder et al. 2018, arXiv:1801.04406, below equation 9).

use super::{Effect, Form, GradientPenalty, Points};
use crate::Side;

pub(super) const EFFECT: Effect =
    Effect::Gradient(GradientPenalty { points: Points::Of(Side::Fake), form: Form::HalfSquare });
