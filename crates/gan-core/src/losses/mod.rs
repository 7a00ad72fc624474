//! Losses, one file each: r stands for D's logit of a real sample, f for that of a generated one, σ for the logistic function and
//! ζ(l) = ln(1 + eˡ) for the softplus.
//!
//! With D(x) = σ(l): ln D = −ζ(−l) and ln(1 − D) = −ζ(l), finite for every finite logit; the logarithm of a probability would overflow.
//!
//! A new loss is a file with a [`LossFunction`] and a line in `losses!` below, from which its name in settings and [`Loss::ALL`] follow.

use candle_core::{D, Result, Tensor, bail};
use gan_kernels::ops::softplus;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Targets of D: 1 and 0, or smoothed (Salimans et al. 2016, arXiv:1606.03498, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labels {
    /// Target of real samples.
    pub real: f64,
    /// Target of generated samples.
    pub fake: f64,
}

/// Kind of samples that logits belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Properties of a loss, independent of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossProperties {
    /// Whether real and generated samples are compared with each other, so that neither has a loss alone.
    pub is_relativistic: bool,
    /// Whether a logit above 0 means "real". If only differences of logits count, accuracy is undefined.
    pub has_threshold: bool,
    /// Whether D's targets can be smoothed.
    pub takes_labels: bool,
    /// Whether G's loss can be below 0, so that its ratios are meaningless.
    pub g_may_be_negative: bool,
}

/// The formulas of a loss. Those of the toolkit are named by [`Loss`]; one of your own needs no name.
pub trait LossFunction: std::fmt::Debug + Send + Sync {
    /// Returns the properties of the loss.
    fn properties(&self) -> LossProperties;

    /// Returns D's loss of each logit `[N]` of one side. A relativistic loss has none and overrides [`LossFunction::discriminator`].
    ///
    /// # Errors
    /// If the loss is relativistic, and from candle.
    fn discriminator_part(&self, _side: Side, _logits: &Tensor, _labels: Labels) -> Result<Tensor> {
        bail!("a relativistic loss compares real and generated samples: neither side has a loss alone")
    }

    /// Returns D's loss over logits of real samples `[N]` and of generated ones `[M]`, a scalar: the sum of both sides' means.
    ///
    /// # Errors
    /// If there are pairs to make and N is not M, and from candle.
    fn discriminator(&self, real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
        let on_real = self.discriminator_part(Side::Real, real, labels)?.mean_all()?;
        let on_fake = self.discriminator_part(Side::Fake, fake, labels)?.mean_all()?;
        on_real + on_fake
    }

    /// Returns D's loss where real `[N]` and generated `[M]` samples are one batch: the mean over all N + M; for relativistic losses,
    /// as [`LossFunction::discriminator`].
    ///
    /// # Errors
    /// As [`LossFunction::discriminator`].
    fn discriminator_joint(&self, real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
        if self.properties().is_relativistic {
            return self.discriminator(real, fake, labels);
        }
        let part = |side, logits| self.discriminator_part(side, logits, labels);
        Tensor::cat(&[part(Side::Real, real)?, part(Side::Fake, fake)?], 0)?.mean_all()
    }

    /// Returns G's loss over the logits of its samples `[M]`, a scalar; `real` `[N]` are those of real samples, for relativistic losses.
    ///
    /// # Errors
    /// If the loss is relativistic and there is nothing to compare with, and from candle.
    fn generator(&self, fake: &Tensor, real: Option<&Tensor>) -> Result<Tensor>;

    /// Returns D's and G's loss of the logits `r` and `f`, with labels 1 and 0, in plain loops.
    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2];
}

/// Defines the enum of all losses, with a variant and a module for each line.
macro_rules! losses {
    ($($module:ident: $name:ident,)*) => {
        $(mod $module;)*

        /// Loss of both networks. Its formulas are in the file of the same name in `gan-core/src/losses`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each is named like the file that describes it")]
        pub enum Loss {
            $($name,)*
        }

        impl Loss {
            /// Every loss.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns its name in settings.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($module),)*
                }
            }

            /// Returns its formulas.
            pub fn function(self) -> Arc<dyn LossFunction> {
                match self {
                    $(Self::$name => Arc::new($module::$name),)*
                }
            }
        }
    };
}

losses! {
    non_saturating: NonSaturating,
    minimax: Minimax,
    least_squares: LeastSquares,
    hinge: Hinge,
    wasserstein: Wasserstein,
    relativistic_average: RelativisticAverage,
    relativistic_pairing: RelativisticPairing,
}

impl Loss {
    /// Returns the properties of the loss.
    pub fn properties(self) -> LossProperties {
        self.function().properties()
    }
}

/// Returns the real samples' logits, which a relativistic loss also needs in G's update.
fn compared_with(real: Option<&Tensor>) -> Result<&Tensor> {
    match real {
        Some(real) => Ok(real),
        None => bail!("a relativistic loss compares with real samples, and there are none"),
    }
}

/// Returns the cross-entropy of each logit `[N]` against the probability `target`: −t·ln σ(l) − (1 − t)·ln(1 − σ(l)) =
/// t·ζ(−l) + (1 − t)·ζ(l) `[N]`. (The shorter ζ(l) − t·l would cancel if the output is correct and confident.)
fn cross_entropy(logits: &Tensor, target: f64) -> Result<Tensor> {
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
pub fn auxiliary_loss(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    // ln Σ exp, with the maximum taken out so that nothing overflows.
    let largest = logits.max_keepdim(D::Minus1)?.detach();
    let centred = logits.broadcast_sub(&largest)?;
    let total = centred.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let own = centred.gather(&classes.unsqueeze(1)?, D::Minus1)?;
    (total - own)?.mean_all()
}

#[cfg(test)]
mod by_hand {
    //! What the losses' formulas are made of, in plain loops.

    pub fn mean(all: &[f64], of: impl Fn(f64) -> f64) -> f64 {
        all.iter().map(|l| of(*l)).sum::<f64>() / all.len() as f64
    }

    pub fn zeta(l: f64) -> f64 {
        l.exp().ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use gan_kernels::testing::test_device;

    const LABELS: Labels = Labels { real: 1.0, fake: 0.0 };

    fn scalar(t: Tensor) -> f64 {
        t.to_dtype(candle_core::DType::F64).unwrap().to_scalar().unwrap()
    }

    fn logits(values: &[f64]) -> Tensor {
        Tensor::new(values, test_device()).unwrap()
    }

    #[test]
    fn every_loss_is_its_formula() -> Result<()> {
        let r = [0.3, -1.2, 2.5];
        let f = [-0.5, 2.0, 0.1];
        for loss in Loss::ALL {
            let loss = loss.function();
            let [d, g] = loss.by_hand(&r, &f);
            assert!((scalar(loss.discriminator(&logits(&r), &logits(&f), LABELS)?) - d).abs() < 1e-12, "{loss:?}");
            assert!((scalar(loss.generator(&logits(&f), Some(&logits(&r)))?) - g).abs() < 1e-12, "{loss:?}");
        }
        Ok(())
    }

    #[test]
    fn every_loss_has_the_properties_that_it_claims() -> Result<()> {
        let real = logits(&[0.3, -1.2, 3.5]);
        let fake = logits(&[-0.5, 2.0, 0.1]);
        for loss in Loss::ALL {
            let loss = loss.function();
            let claimed = loss.properties();
            let alone =
                loss.discriminator_part(Side::Real, &real, LABELS).is_ok() && loss.generator(&fake, None).is_ok();
            assert_eq!(!alone, claimed.is_relativistic, "{loss:?}");
            // If there is a decision threshold, D's loss changes when all logits are shifted equally.
            let d = |by: f64, labels| {
                Ok::<_, candle_core::Error>(scalar(loss.discriminator(&(&real + by)?, &(&fake + by)?, labels)?))
            };
            let moved = (d(0.0, LABELS)? - d(3.0, LABELS)?).abs();
            assert_eq!(moved > 1e-3, claimed.has_threshold, "{loss:?}");
            let smoothed = (d(0.0, LABELS)? - d(0.0, Labels { real: 0.9, fake: 0.1 })?).abs();
            assert_eq!(smoothed > 1e-3, claimed.takes_labels, "{loss:?}");
            let lowest =
                [-5.0, 0.0, 5.0].map(|l| scalar(loss.generator(&logits(&[l]), Some(&logits(&[0.0]))).unwrap()));
            assert_eq!(lowest.iter().any(|g| *g < 0.0), claimed.g_may_be_negative, "{loss:?}");
        }
        Ok(())
    }

    #[test]
    fn names_in_settings_are_those_of_the_files() {
        for loss in Loss::ALL {
            assert_eq!(serde_json::to_value(loss).unwrap(), loss.name());
        }
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
            (scalar(Loss::NonSaturating.function().discriminator(&real, &fake, labels)?)
                - of_real / 2.0
                - of_fake / 3.0)
                .abs()
                < 1e-12
        );
        assert!(
            (scalar(Loss::NonSaturating.function().discriminator_joint(&real, &fake, labels)?)
                - (of_real + of_fake) / 5.0)
                .abs()
                < 1e-12
        );
        let mean = |f: &dyn Fn(f64) -> f64| [-0.5, 2.0, 0.1].iter().map(|l| f(*l)).sum::<f64>() / 3.0;
        assert!((scalar(Loss::NonSaturating.function().generator(&fake, None)?) + mean(&|l| d(l).ln())).abs() < 1e-12);
        assert!(
            (scalar(Loss::Minimax.function().generator(&fake, None)?) - mean(&|l| (1.0 - d(l)).ln())).abs() < 1e-12
        );
        Ok(())
    }

    #[test]
    fn classes_have_their_loss() -> Result<()> {
        let logits = Tensor::new(&[[0.5f64, -1.0, 2.0], [300.0, 1.0, -1.0]], test_device())?;
        let by_hand = |l: [f64; 3], class: usize| l.iter().map(|x| (x - l[class]).exp()).sum::<f64>().ln();
        let expected = (by_hand([0.5, -1.0, 2.0], 1) + by_hand([300.0, 1.0, -1.0], 0)) / 2.0;
        assert!((scalar(auxiliary_loss(&logits, &Tensor::new(&[1u32, 0], test_device())?)?) - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn confident_correct_logits_keep_small_losses_and_gradients() -> Result<()> {
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
                Loss::NonSaturating.function().generator(&l, None)?,
                Loss::Minimax.function().generator(&l, None)?,
                Loss::Hinge.function().generator(&l, None)?,
                Loss::RelativisticPairing.function().generator(&l, Some(&l.detach()))?,
                Loss::NonSaturating.function().discriminator(&l, &l, Labels::HARD)?,
                Loss::RelativisticAverage.function().discriminator(&l, &l, Labels::HARD)?,
            ] {
                assert!(scalar(loss.clone()).is_finite(), "loss at {logit}");
                let grad = loss.backward()?.get(&l).unwrap().to_vec1::<f32>()?[0];
                assert!(grad.is_finite() && grad.abs() <= 1.0, "gradient {grad} at {logit}");
            }
        }
        Ok(())
    }
}
