//! The relativistic pairing loss (Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1), as R3GAN uses it with R1 and R2 (Huang et al.
//! 2024, arXiv:2501.05441, equation 2).
//!
//! D: E[ζ(−(r − f))] over pairs. G: E[ζ(r − f)].

use super::{Labels, LossFunction, LossProperties, compared_with};
use candle_core::{Result, Tensor};
use gan_kernels::ops::softplus;

#[derive(Debug)]
pub(super) struct RelativisticPairing;

impl LossFunction for RelativisticPairing {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: true, has_threshold: false, takes_labels: false, g_may_be_negative: false }
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, _: Labels) -> Result<Tensor> {
        softplus(&(fake - real)?)?.mean_all()
    }

    fn generator(&self, fake: &Tensor, real: Option<&Tensor>) -> Result<Tensor> {
        self.discriminator(fake, compared_with(real)?, Labels::HARD)
    }

    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2] {
        use super::by_hand::zeta;
        let pairs = |sign: f64| r.iter().zip(f).map(|(r, f)| zeta(sign * (f - r))).sum::<f64>() / r.len() as f64;
        [pairs(1.0), pairs(-1.0)]
    }
}
