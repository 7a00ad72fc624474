//! Interface of a loss: [`Loss`] with D's and G's part over logits, and the terms that are added to them (an auxiliary classifier's
//! cross-entropy, feature matching). The formulas are in [`crate::losses`], one file each.
//!
//! With D(x) = σ(l): ln D = −ζ(−l) and ln(1 − D) = −ζ(l), finite for every finite logit, where the logarithm of a probability would
//! overflow.

pub use crate::losses::Loss;
use crate::losses::Properties;
use candle_core::{D, Result, Tensor};
use gan_kernels::ops::softplus;

/// Targets of D: 1 and 0, or smoothed (Salimans et al. 2016, arXiv:1606.03498, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labels {
    /// Target of real samples.
    pub real: f64,
    /// Target of generated samples.
    pub fake: f64,
}

/// Kind of samples that logits belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Real samples.
    Real,
    /// Generated samples.
    Fake,
}

impl Labels {
    /// Targets without smoothing.
    pub const HARD: Self = Self { real: 1.0, fake: 0.0 };

    /// Returns the target of samples of one side.
    pub fn of(self, side: Side) -> f64 {
        match side {
            Side::Real => self.real,
            Side::Fake => self.fake,
        }
    }
}

impl Loss {
    /// Returns the properties of the loss.
    pub fn properties(self) -> Properties {
        self.function().properties()
    }

    /// Returns whether real and generated samples are compared with each other, so that neither has a loss alone.
    pub fn is_relativistic(self) -> bool {
        self.properties().is_relativistic
    }

    /// Returns whether a logit above 0 means "real"; otherwise only differences of logits count, and accuracy is undefined.
    pub fn has_decision_threshold(self) -> bool {
        self.properties().has_decision_threshold
    }

    /// Returns D's loss of each logit `[N]` of one side; for relativistic losses, see [`Loss::discriminator`].
    ///
    /// # Errors
    /// If the loss is relativistic, and from candle.
    pub fn discriminator_part(self, side: Side, logits: &Tensor, labels: Labels) -> Result<Tensor> {
        self.function().d_part(side, logits, labels)
    }

    /// Returns D's loss over logits of real samples `[N]` and of generated ones `[M]`, a scalar: the sum of both sides' means. Pairs
    /// need N = M.
    ///
    /// # Errors
    /// If there are pairs to make and N is not M, and from candle.
    pub fn discriminator(self, real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
        self.function().d_loss(real, fake, labels)
    }

    /// Returns D's loss where real `[N]` and generated `[M]` samples are one batch: the mean over all N + M; for relativistic losses,
    /// as [`Loss::discriminator`].
    ///
    /// # Errors
    /// As [`Loss::discriminator`].
    pub fn discriminator_joint(self, real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
        if self.is_relativistic() {
            return self.discriminator(real, fake, labels);
        }
        let part = |side, logits| self.discriminator_part(side, logits, labels);
        Tensor::cat(&[part(Side::Real, real)?, part(Side::Fake, fake)?], 0)?.mean_all()
    }

    /// Returns G's loss over the logits of its samples `[M]`, a scalar; `real` `[N]` are those of real samples, for relativistic losses.
    ///
    /// # Errors
    /// If the loss is relativistic and there is nothing to compare with, and from candle.
    pub fn generator(self, fake: &Tensor, real: Option<&Tensor>) -> Result<Tensor> {
        self.function().g_loss(fake, real)
    }
}

/// Returns the cross-entropy of each logit `[N]` against the probability `target`: −t·ln σ(l) − (1 − t)·ln(1 − σ(l)) =
/// t·ζ(−l) + (1 − t)·ζ(l) `[N]`. (The shorter ζ(l) − t·l would cancel if the output is correct and confident.)
///
/// # Errors
/// From candle.
pub fn cross_entropy(logits: &Tensor, target: f64) -> Result<Tensor> {
    match target {
        1.0 => softplus(&logits.neg()?),
        0.0 => softplus(logits),
        t => (softplus(&logits.neg()?)? * t)? + (softplus(logits)? * (1.0 - t))?,
    }
}

/// Returns E[−ln p(class)] of an auxiliary classifier's logits `[N, classes]` for the samples' classes `[N]` u32 (AC-GAN; Odena et al.
/// 2016, arXiv:1610.09585, equation 3).
///
/// # Errors
/// From candle, if the shapes differ or a class is out of range.
pub fn auxiliary(logits: &Tensor, classes: &Tensor) -> candle_core::Result<Tensor> {
    // ln Σ exp, with the maximum taken out so that nothing overflows.
    let largest = logits.max_keepdim(D::Minus1)?.detach();
    let centred = logits.broadcast_sub(&largest)?;
    let total = centred.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let own = centred.gather(&classes.unsqueeze(1)?, D::Minus1)?;
    (total - own)?.mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use gan_kernels::testing::test_device;

    fn scalar(t: Tensor) -> f64 {
        t.to_dtype(candle_core::DType::F64).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn values_are_those_of_the_formulas() -> Result<()> {
        let real = Tensor::new(&[0.3f64, -1.2], test_device())?;
        let fake = Tensor::new(&[-0.5f64, 2.0, 0.1], test_device())?;
        let d = |l: f64| 1.0 / (1.0 + (-l).exp());
        let h = |l: f64, t: f64| -(t * d(l).ln() + (1.0 - t) * (1.0 - d(l)).ln());
        let labels = Labels { real: 0.9, fake: 0.1 };
        let of_real = [0.3, -1.2].map(|l| h(l, 0.9)).iter().sum::<f64>();
        let of_fake = [-0.5, 2.0, 0.1].map(|l| h(l, 0.1)).iter().sum::<f64>();
        assert!(
            (scalar(Loss::NonSaturating.discriminator(&real, &fake, labels)?) - of_real / 2.0 - of_fake / 3.0).abs()
                < 1e-12
        );
        assert!(
            (scalar(Loss::NonSaturating.discriminator_joint(&real, &fake, labels)?) - (of_real + of_fake) / 5.0).abs()
                < 1e-12
        );
        let mean = |f: &dyn Fn(f64) -> f64| [-0.5, 2.0, 0.1].iter().map(|l| f(*l)).sum::<f64>() / 3.0;
        assert!((scalar(Loss::NonSaturating.generator(&fake, None)?) + mean(&|l| d(l).ln())).abs() < 1e-12);
        assert!((scalar(Loss::Minimax.generator(&fake, None)?) - mean(&|l| (1.0 - d(l)).ln())).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn classes_have_their_loss() -> Result<()> {
        let logits = Tensor::new(&[[0.5f64, -1.0, 2.0], [300.0, 1.0, -1.0]], test_device())?;
        let by_hand = |l: [f64; 3], class: usize| l.iter().map(|x| (x - l[class]).exp()).sum::<f64>().ln();
        let expected = (by_hand([0.5, -1.0, 2.0], 1) + by_hand([300.0, 1.0, -1.0], 0)) / 2.0;
        assert!((scalar(auxiliary(&logits, &Tensor::new(&[1u32, 0], test_device())?)?) - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn sure_answers_keep_their_small_losses_and_gradients() -> Result<()> {
        for l in [10f32, 16.0, 20.0, 40.0] {
            let exact = (-f64::from(l)).exp().ln_1p();
            let logit = Var::new(&[l], test_device())?;
            let loss = cross_entropy(&logit, 1.0)?.mean_all()?;
            assert!((scalar(loss.clone()) / exact - 1.0).abs() < 1e-5, "loss at {l}");
            let gradient = f64::from(loss.backward()?.get(&logit).unwrap().to_vec1::<f32>()?[0]);
            let exact = -1.0 / (1.0 + f64::from(l).exp());
            assert!((gradient / exact - 1.0).abs() < 1e-5, "gradient at {l}: {gradient:e} against {exact:e}");
        }
        Ok(())
    }

    #[test]
    fn extreme_logits_give_finite_values_and_gradients() -> Result<()> {
        for logit in [-1e4f32, -17.0, 0.0, 17.0, 1e4] {
            let l = Var::new(&[logit], test_device())?;
            for loss in [
                Loss::NonSaturating.generator(&l, None)?,
                Loss::Minimax.generator(&l, None)?,
                Loss::Hinge.generator(&l, None)?,
                Loss::RelativisticPairing.generator(&l, Some(&l.detach()))?,
                Loss::NonSaturating.discriminator(&l, &l, Labels::HARD)?,
                Loss::RelativisticAverage.discriminator(&l, &l, Labels::HARD)?,
            ] {
                assert!(scalar(loss.clone()).is_finite(), "loss at {logit}");
                let grad = loss.backward()?.get(&l).unwrap().to_vec1::<f32>()?[0];
                assert!(grad.is_finite() && grad.abs() <= 1.0, "gradient {grad} at {logit}");
            }
        }
        Ok(())
    }
}
