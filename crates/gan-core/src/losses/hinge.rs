//! The hinge loss (Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, equations 16 and 17).
//!
//! D: E[max(0, 1 − r)] + E[max(0, 1 + f)]. G: −E(f).

use super::{Labels, LossFunction, LossProperties, Side};
use candle_core::{Result, Tensor};
use gan_kernels::ops::relu;

#[derive(Debug)]
pub(super) struct Hinge;

impl LossFunction for Hinge {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: true, takes_labels: false, g_may_be_negative: true }
    }

    fn discriminator_part(&self, side: Side, logits: &Tensor, _: Labels) -> Result<Tensor> {
        match side {
            Side::Real => relu(&logits.affine(-1.0, 1.0)?),
            Side::Fake => relu(&(logits + 1.0)?),
        }
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        fake.mean_all()?.neg()
    }

    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2] {
        use super::by_hand::mean;
        [mean(r, |l| (1.0 - l).max(0.0)) + mean(f, |l| (1.0 + l).max(0.0)), -mean(f, |l| l)]
    }
}
