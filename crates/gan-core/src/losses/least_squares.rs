//! The least-squares loss (LSGAN; Mao et al. 2017, arXiv:1611.04076, equation 9).
//!
//! D: ½E[(r − real label)²] + ½E[(f − fake label)²]. G: ½E[(f − 1)²].

use super::{Labels, LossFunction, LossProperties, Side};
use candle_core::{Result, Tensor};

#[derive(Debug)]
pub(super) struct LeastSquares;

impl LossFunction for LeastSquares {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: false, has_threshold: true, takes_labels: true, g_may_be_negative: false }
    }

    fn discriminator_part(&self, side: Side, logits: &Tensor, labels: Labels) -> Result<Tensor> {
        (logits - labels.of(side))?.sqr()? * 0.5
    }

    fn generator(&self, fake: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        (fake - 1.0)?.sqr()?.mean_all()? * 0.5
    }

    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2] {
        use super::by_hand::mean;
        [0.5 * (mean(r, |l| (l - 1.0).powi(2)) + mean(f, |l| l * l)), 0.5 * mean(f, |l| (l - 1.0).powi(2))]
    }
}
