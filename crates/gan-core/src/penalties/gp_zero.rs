//! Zero-centered gradient penalty: E[‖g‖²] at points between real and generated samples (Thanh-Tung et al. 2019, arXiv:1902.03984).

use super::{Effect, Form, GradientPenalty, Points, gp::between};

pub(super) const EFFECT: Effect =
    Effect::Gradient(GradientPenalty { points: Points::Other(between), form: Form::Square });
