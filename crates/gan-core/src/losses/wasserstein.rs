//! The Wasserstein loss (WGAN; Arjovsky et al. 2017, arXiv:1701.07875).
//!
//! D: E(f) − E(r). G: −E(f). A penalty or clipped weights must keep D from becoming steep. Only differences of logits count.

use super::{Labels, LossFunction, LossProperties, Side};
use candle_core::{Result, Tensor};

#[derive(Debug)]
pub(super) struct Wasserstein;

impl LossFunction for Wasserstein {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: false, takes_labels: false, g_may_be_negative: true }
    }

    fn discriminator_part(&self, side: Side, logits: &Tensor, _: Labels) -> Result<Tensor> {
        match side {
            Side::Real => logits.neg(),
            Side::Fake => Ok(logits.clone()),
        }
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        fake.mean_all()?.neg()
    }

    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2] {
        use super::by_hand::mean;
        [mean(f, |l| l) - mean(r, |l| l), -mean(f, |l| l)]
    }
}
