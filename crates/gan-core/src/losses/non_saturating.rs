//! The non-saturating loss (Goodfellow et al. 2014, arXiv:1406.2661, section 3).
//!
//! D: E[H(real label, σ(r))] + E[H(fake label, σ(f))], H the cross-entropy. G: −E[ln σ(f)] = E[ζ(−f)]: strong gradients while D wins.

use super::{Labels, LossFunction, LossProperties, Side, cross_entropy};
use candle_core::{Result, Tensor};

#[derive(Debug)]
pub(super) struct NonSaturating;

impl LossFunction for NonSaturating {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: true, takes_labels: true, g_may_be_negative: false }
    }

    fn discriminator_part(&self, side: Side, logits: &Tensor, labels: Labels) -> Result<Tensor> {
        cross_entropy(logits, labels.of(side))
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        cross_entropy(fake, 1.0)?.mean_all()
    }

    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2] {
        use super::by_hand::{mean, zeta};
        [mean(r, |l| zeta(-l)) + mean(f, zeta), mean(f, |l| zeta(-l))]
    }
}
