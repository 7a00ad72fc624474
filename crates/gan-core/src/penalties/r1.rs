//! R1: ½·E[‖g‖²] at real samples (Mescheder et al. 2018, arXiv:1801.04406, equation 9).

use super::{Effect, Form, GradientPenalty, Points};
use crate::Side;

pub(super) const EFFECT: Effect =
    Effect::Gradient(GradientPenalty { points: Points::Of(Side::Real), form: Form::HalfSquare });
