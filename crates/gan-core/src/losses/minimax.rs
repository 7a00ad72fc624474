//! The minimax loss, the value function itself (Goodfellow et al. 2014, arXiv:1406.2661, equation 1).
//!
//! D: as with the non-saturating loss. G: E[ln(1 − σ(f))] = −E[ζ(f)], whose gradient vanishes when D wins.

use super::{Labels, LossFunction, LossProperties, Side, cross_entropy};
use candle_core::{Result, Tensor};
use gan_kernels::ops::softplus;

#[derive(Debug)]
pub(super) struct Minimax;

impl LossFunction for Minimax {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: true, takes_labels: true, g_may_be_negative: true }
    }

    fn discriminator_part(&self, side: Side, logits: &Tensor, labels: Labels) -> Result<Tensor> {
        cross_entropy(logits, labels.of(side))
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        softplus(fake)?.mean_all()?.neg()
    }

    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2] {
        use super::by_hand::{mean, zeta};
        [mean(r, |l| zeta(-l)) + mean(f, zeta), -mean(f, zeta)]
    }
}
