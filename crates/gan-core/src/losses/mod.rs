//! Losses, one file each: r stands for D's logit of a real sample, f for that of a generated one, σ for the logistic function, ζ(l) = ln(1
//! + eˡ) for the softplus.
//!
//! A new loss is a file with a [`LossFunction`] and a line in [`losses!`] below: its name in settings, the enum and everything that uses
//! [`Loss::ALL`] follow.

use crate::loss::{Labels, Side};
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

/// D's and G's part of a loss, and its properties.
pub trait LossFunction: Sync {
    /// Returns the properties of the loss.
    fn properties(&self) -> Properties;

    /// Returns D's loss of each logit `[N]` of one side.
    ///
    /// # Errors
    /// If the loss is relativistic, so that neither side has a loss alone, and from candle.
    fn d_part(&self, side: Side, logits: &Tensor, labels: Labels) -> Result<Tensor>;

    /// Returns D's loss over logits of real samples `[N]` and of generated ones `[M]`, a scalar: the sum of both sides' means.
    ///
    /// # Errors
    /// If there are pairs to make and N is not M, and from candle.
    fn d_loss(&self, real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
        let on_real = self.d_part(Side::Real, real, labels)?.mean_all()?;
        let on_fake = self.d_part(Side::Fake, fake, labels)?.mean_all()?;
        on_real + on_fake
    }

    /// Returns G's loss over the logits of its samples `[M]`, a scalar; `real` `[N]` are those of real samples, for relativistic losses.
    ///
    /// # Errors
    /// If the loss is relativistic and `real` is missing, and from candle.
    fn g_loss(&self, fake: &Tensor, real: Option<&Tensor>) -> Result<Tensor>;

    /// Returns D's and G's loss of the logits `r` and `f`, with labels 1 and 0, in plain loops.
    #[cfg(test)]
    fn by_hand(&self, r: &[f64], f: &[f64]) -> [f64; 2];
}

/// Properties of a loss, independent of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Whether real and generated samples are compared with each other, so that neither has a loss alone.
    pub is_relativistic: bool,
    /// Whether a logit above 0 means "real". If only differences of logits count, accuracy is undefined.
    pub has_decision_threshold: bool,
    /// Whether D's targets can be smoothed.
    pub takes_labels: bool,
    /// Whether G's loss can be below 0, so that its ratios are meaningless.
    pub g_loss_may_be_negative: bool,
}

/// Defines the enum of all losses, with a variant and a module for each line.
macro_rules! losses {
    ($($module:ident: $name:ident,)*) => {
        $(mod $module;)*

        /// Loss of both networks. Its formulas are in the file of the same name in `gan_core::losses`.
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
            pub fn function(self) -> &'static dyn LossFunction {
                match self {
                    $(Self::$name => &$module::$name,)*
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

/// Returns the error of a loss that has no part for one side alone.
fn needs_both_sides<T>() -> Result<T> {
    candle_core::bail!("a relativistic loss compares real and generated samples: neither side has a loss alone")
}

/// Returns the real samples' logits, which a relativistic loss also needs in G's update.
fn compared_with(real: Option<&Tensor>) -> Result<&Tensor> {
    match real {
        Some(real) => Ok(real),
        None => candle_core::bail!("a relativistic loss compares with real samples, and there are none"),
    }
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
    use gan_kernels::testing::test_device;

    const LABELS: Labels = Labels { real: 1.0, fake: 0.0 };

    fn scalar(t: Tensor) -> f64 {
        t.to_scalar().unwrap()
    }

    fn logits(values: &[f64]) -> Tensor {
        Tensor::new(values, test_device()).unwrap()
    }

    #[test]
    fn every_loss_is_its_formula() -> Result<()> {
        let r = [0.3, -1.2, 2.5];
        let f = [-0.5, 2.0, 0.1];
        for loss in Loss::ALL {
            let [d, g] = loss.function().by_hand(&r, &f);
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
            let claimed = loss.properties();
            let alone =
                loss.discriminator_part(Side::Real, &real, LABELS).is_ok() && loss.generator(&fake, None).is_ok();
            assert_eq!(!alone, claimed.is_relativistic, "{loss:?}");
            // If there is a decision threshold, D's loss changes when all logits are shifted equally.
            let d = |by: f64, labels| {
                Ok::<_, candle_core::Error>(scalar(loss.discriminator(&(&real + by)?, &(&fake + by)?, labels)?))
            };
            let moved = (d(0.0, LABELS)? - d(3.0, LABELS)?).abs();
            assert_eq!(moved > 1e-3, claimed.has_decision_threshold, "{loss:?}");
            let smoothed = (d(0.0, LABELS)? - d(0.0, Labels { real: 0.9, fake: 0.1 })?).abs();
            assert_eq!(smoothed > 1e-3, claimed.takes_labels, "{loss:?}");
            let lowest =
                [-5.0, 0.0, 5.0].map(|l| scalar(loss.generator(&logits(&[l]), Some(&logits(&[0.0]))).unwrap()));
            assert_eq!(lowest.iter().any(|g| *g < 0.0), claimed.g_loss_may_be_negative, "{loss:?}");
        }
        Ok(())
    }

    #[test]
    fn names_in_settings_are_those_of_the_files() {
        for loss in Loss::ALL {
            assert_eq!(serde_json::to_value(loss).unwrap(), loss.name());
        }
    }
}
