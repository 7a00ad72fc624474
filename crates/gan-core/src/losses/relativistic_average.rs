//! The relativistic average loss (Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.2).
//!
//! D: E[ζ(−(r − E(f)))] + E[ζ(f − E(r))]. G: the same with both exchanged.

use super::{Labels, LossFunction, LossProperties, compared_with};
use candle_core::{Result, Tensor};
use gan_kernels::ops::softplus;

#[derive(Debug)]
pub(super) struct RelativisticAverage;

impl LossFunction for RelativisticAverage {
    fn properties(&self) -> LossProperties {
        LossProperties { is_relativistic: true, has_threshold: false, takes_labels: false, g_may_be_negative: false }
    }

    fn discriminator(&self, real: &Tensor, fake: &Tensor, _: Labels) -> Result<Tensor> {
        let on_real = softplus(&fake.mean_all()?.broadcast_sub(real)?)?.mean_all()?;
        let on_fake = softplus(&fake.broadcast_sub(&real.mean_all()?)?)?.mean_all()?;
        on_real + on_fake
    }

    fn generator(&self, fake: &Tensor, real: Option<&Tensor>) -> Result<Tensor> {
        self.discriminator(fake, compared_with(real)?, Labels::HARD)
    }

    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2] {
        use super::by_hand::{mean, zeta};
        let mean_r = mean(r, |l| l);
        let mean_f = mean(f, |l| l);
        [
            mean(r, |l| zeta(mean_f - l)) + mean(f, |l| zeta(l - mean_r)),
            mean(f, |l| zeta(mean_r - l)) + mean(r, |l| zeta(l - mean_f)),
        ]
    }
}
