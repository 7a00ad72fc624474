//! Losses on logits, each as its formula: r stands for D's logit of a real sample, f for that of a generated one, σ for the logistic
//! function, ζ(l) = ln(1 + eˡ) for the softplus.
//!
//! With D(x) = σ(l): ln D = −ζ(−l) and ln(1 − D) = −ζ(l), finite for every finite logit, where the logarithm of a
//! probability would overflow.

use candle_core::{D, Result, Tensor};
use gan_kernels::ops::{relu, softplus};
use serde::{Deserialize, Serialize};

/// What both players minimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// D: E[H(real label, σ(r))] + E[H(fake label, σ(f))], H the cross-entropy. G: −E[ln σ(f)] = E[ζ(−f)]: strong gradients while D
    /// rejects the samples (Goodfellow et al. 2014, arXiv:1406.2661, section 3).
    NonSaturating,
    /// D as before. G: E[ln(1 − σ(f))] = −E[ζ(f)]: the value function of the same paper's equation 1 itself, whose gradient vanishes
    /// when D wins.
    Minimax,
    /// D: ½E[(r − real label)²] + ½E[(f − fake label)²]. G: ½E[(f − 1)²] (LSGAN; Mao et al. 2017, arXiv:1611.04076, equation 9).
    LeastSquares,
    /// D: E[max(0, 1 − r)] + E[max(0, 1 + f)]. G: −E(f) (Lim & Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957,
    /// equations 16 and 17).
    Hinge,
    /// D: E(f) − E(r). G: −E(f) (WGAN; Arjovsky et al. 2017, arXiv:1701.07875). D must be kept from growing steep: by a
    /// penalty, or by clipped weights.
    Wasserstein,
    /// D: E[ζ(−(r − E(f)))] + E[ζ(f − E(r))]. G: the same with both exchanged (Jolicoeur-Martineau 2018, arXiv:1807.00734,
    /// section 4.2).
    RelativisticAverage,
    /// D: E[ζ(−(r − f))] over pairs. G: E[ζ(r − f)] (the relativistic pairing GAN of the same paper's section 4.1, as R3GAN takes it
    /// with R1 and R2: Huang et al. 2024, arXiv:2501.05441, equation 2).
    RelativisticPairing,
}

/// The targets that D is trained towards: 1 and 0, or smoothed (Salimans et al. 2016, arXiv:1606.03498, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labels {
    /// For real samples.
    pub real: f64,
    /// For generated samples.
    pub fake: f64,
}

/// Which samples logits are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Real ones.
    Real,
    /// Generated ones.
    Fake,
}

impl Loss {
    /// Whether real and generated samples are compared with each other, so that neither has a loss alone.
    pub fn compares(self) -> bool {
        matches!(self, Self::RelativisticAverage | Self::RelativisticPairing)
    }

    /// Whether a logit means something only beside another: its zero is anywhere.
    pub fn is_relative(self) -> bool {
        self.compares() || self == Self::Wasserstein
    }

    /// Whether it has labels to smooth.
    pub fn takes_labels(self) -> bool {
        matches!(self, Self::NonSaturating | Self::Minimax | Self::LeastSquares)
    }
}

/// Cross-entropy of each logit `[N]` against the probability `target`: −t·ln σ(l) − (1 − t)·ln(1 − σ(l)) =
/// t·ζ(−l) + (1 − t)·ζ(l) `[N]`. (The shorter ζ(l) − t·l would cancel where the answer is right and sure.)
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

/// D's loss of each logit `[N]` of one side; for losses that compare, see [`discriminator`].
///
/// # Errors
/// If the loss compares both sides, and from candle.
pub fn discriminator_part(loss: Loss, side: Side, logits: &Tensor, labels: Labels) -> Result<Tensor> {
    let label = if side == Side::Real { labels.real } else { labels.fake };
    match (loss, side) {
        (Loss::NonSaturating | Loss::Minimax, _) => cross_entropy(logits, label),
        (Loss::LeastSquares, _) => (logits - label)?.sqr()? * 0.5,
        (Loss::Hinge, Side::Real) => relu(&logits.affine(-1.0, 1.0)?),
        (Loss::Hinge, Side::Fake) => relu(&(logits + 1.0)?),
        (Loss::Wasserstein, Side::Real) => logits.neg(),
        (Loss::Wasserstein, Side::Fake) => Ok(logits.clone()),
        (Loss::RelativisticAverage | Loss::RelativisticPairing, _) => {
            candle_core::bail!("{loss:?} compares real and generated samples: neither side has a loss alone")
        }
    }
}

/// D's loss over logits of real samples `[N]` and of generated ones `[M]`, a scalar: the sum of both sides' means. Pairs need N = M.
///
/// # Errors
/// If there are pairs to make and N is not M, and from candle.
pub fn discriminator(loss: Loss, real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
    match loss {
        Loss::RelativisticAverage => {
            let on_real = softplus(&fake.mean_all()?.broadcast_sub(real)?)?.mean_all()?;
            let on_fake = softplus(&fake.broadcast_sub(&real.mean_all()?)?)?.mean_all()?;
            on_real + on_fake
        }
        Loss::RelativisticPairing => softplus(&(fake - real)?)?.mean_all(),
        _ => {
            let [on_real, on_fake] = [(Side::Real, real), (Side::Fake, fake)]
                .map(|(side, logits)| discriminator_part(loss, side, logits, labels)?.mean_all());
            on_real? + on_fake?
        }
    }
}

/// D's loss where real `[N]` and generated `[M]` samples are one batch: the mean over all N + M; where the loss compares them, as
/// [`discriminator`].
///
/// # Errors
/// As [`discriminator`].
pub fn discriminator_joint(loss: Loss, real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
    if loss.compares() {
        return discriminator(loss, real, fake, labels);
    }
    let part = |side, logits| discriminator_part(loss, side, logits, labels);
    Tensor::cat(&[part(Side::Real, real)?, part(Side::Fake, fake)?], 0)?.mean_all()
}

/// G's loss over the logits of its samples `[M]`, a scalar; `real` `[N]` are those of real samples, for losses that compare.
///
/// # Errors
/// If the loss compares and there is nothing to compare with, and from candle.
pub fn generator(loss: Loss, fake: &Tensor, real: Option<&Tensor>) -> Result<Tensor> {
    match (loss, real) {
        (Loss::NonSaturating, _) => cross_entropy(fake, 1.0)?.mean_all(),
        (Loss::Minimax, _) => softplus(fake)?.mean_all()?.neg(),
        (Loss::LeastSquares, _) => (fake - 1.0)?.sqr()?.mean_all()? * 0.5,
        (Loss::Hinge | Loss::Wasserstein, _) => fake.mean_all()?.neg(),
        // The players' parts are exchanged.
        (Loss::RelativisticAverage | Loss::RelativisticPairing, Some(real)) => {
            discriminator(loss, fake, real, Labels { real: 1.0, fake: 0.0 })
        }
        (Loss::RelativisticAverage | Loss::RelativisticPairing, None) => {
            candle_core::bail!("{loss:?} compares with real samples, and there are none")
        }
    }
}

/// E[−ln p(class)] of an auxiliary classifier's logits `[N, classes]` for the samples' classes `[N]` u32 (AC-GAN; Odena et al. 2016,
/// arXiv:1610.09585, equation 3).
///
/// # Errors
/// From candle, if the shapes differ or a class is not there.
pub fn auxiliary(logits: &Tensor, classes: &Tensor) -> candle_core::Result<Tensor> {
    // ln Σ exp, with the largest taken out so that nothing overflows.
    let largest = logits.max_keepdim(D::Minus1)?.detach();
    let centred = logits.broadcast_sub(&largest)?;
    let total = centred.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let own = centred.gather(&classes.unsqueeze(1)?, D::Minus1)?;
    (total - own)?.mean_all()
}

/// ‖E[f(x)] − E[f(G(z))]‖² of D's features `[N, …]` (feature matching; Salimans et al. 2016, arXiv:1606.03498, section 3.1).
///
/// # Errors
/// From candle, if the shapes differ.
pub fn feature_matching(real: &Tensor, fake: &Tensor) -> candle_core::Result<Tensor> {
    (real.detach().mean(0)? - fake.mean(0)?)?.sqr()?.sum_all()
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
            (scalar(discriminator(Loss::NonSaturating, &real, &fake, labels)?) - of_real / 2.0 - of_fake / 3.0).abs()
                < 1e-12
        );
        assert!(
            (scalar(discriminator_joint(Loss::NonSaturating, &real, &fake, labels)?) - (of_real + of_fake) / 5.0).abs()
                < 1e-12
        );
        let mean = |f: &dyn Fn(f64) -> f64| [-0.5, 2.0, 0.1].iter().map(|l| f(*l)).sum::<f64>() / 3.0;
        assert!((scalar(generator(Loss::NonSaturating, &fake, None)?) + mean(&|l| d(l).ln())).abs() < 1e-12);
        assert!((scalar(generator(Loss::Minimax, &fake, None)?) - mean(&|l| (1.0 - d(l)).ln())).abs() < 1e-12);
        Ok(())
    }

    const LABELS: Labels = Labels { real: 1.0, fake: 0.0 };

    /// Each loss in plain loops: D's and G's.
    fn by_hand(loss: Loss, r: &[f64], f: &[f64]) -> [f64; 2] {
        let mean = |all: &[f64], of: &dyn Fn(f64) -> f64| all.iter().map(|l| of(*l)).sum::<f64>() / all.len() as f64;
        let zeta = |l: f64| l.exp().ln_1p();
        let (mr, mf) = (mean(r, &|l| l), mean(f, &|l| l));
        match loss {
            Loss::NonSaturating => [mean(r, &|l| zeta(-l)) + mean(f, &zeta), mean(f, &|l| zeta(-l))],
            Loss::Minimax => [mean(r, &|l| zeta(-l)) + mean(f, &zeta), -mean(f, &zeta)],
            Loss::LeastSquares => {
                [0.5 * (mean(r, &|l| (l - 1.0).powi(2)) + mean(f, &|l| l * l)), 0.5 * mean(f, &|l| (l - 1.0).powi(2))]
            }
            Loss::Hinge => [mean(r, &|l| (1.0 - l).max(0.0)) + mean(f, &|l| (1.0 + l).max(0.0)), -mf],
            Loss::Wasserstein => [mf - mr, -mf],
            Loss::RelativisticAverage => [
                mean(r, &|l| zeta(mf - l)) + mean(f, &|l| zeta(l - mr)),
                mean(f, &|l| zeta(mr - l)) + mean(r, &|l| zeta(l - mf)),
            ],
            Loss::RelativisticPairing => {
                let pairs =
                    |sign: f64| r.iter().zip(f).map(|(r, f)| zeta(sign * (f - r))).sum::<f64>() / r.len() as f64;
                [pairs(1.0), pairs(-1.0)]
            }
        }
    }

    const ALL: [Loss; 7] = [
        Loss::NonSaturating,
        Loss::Minimax,
        Loss::LeastSquares,
        Loss::Hinge,
        Loss::Wasserstein,
        Loss::RelativisticAverage,
        Loss::RelativisticPairing,
    ];

    #[test]
    fn every_loss_is_its_formula() -> Result<()> {
        let (r, f) = ([0.3f64, -1.2, 2.5], [-0.5f64, 2.0, 0.1]);
        let (real, fake) = (Tensor::new(&r, test_device())?, Tensor::new(&f, test_device())?);
        for loss in ALL {
            let [d, g] = by_hand(loss, &r, &f);
            assert!((scalar(discriminator(loss, &real, &fake, LABELS)?) - d).abs() < 1e-12, "{loss:?}");
            assert!((scalar(generator(loss, &fake, Some(&real))?) - g).abs() < 1e-12, "{loss:?}");
            if loss.compares() {
                assert!(
                    generator(loss, &fake, None).is_err()
                        && discriminator_part(loss, Side::Real, &real, LABELS).is_err()
                );
            }
        }
        Ok(())
    }

    #[test]
    fn classes_and_features_have_their_losses() -> Result<()> {
        let logits = Tensor::new(&[[0.5f64, -1.0, 2.0], [300.0, 1.0, -1.0]], test_device())?;
        let by_hand = |l: [f64; 3], class: usize| l.iter().map(|x| (x - l[class]).exp()).sum::<f64>().ln();
        let expected = (by_hand([0.5, -1.0, 2.0], 1) + by_hand([300.0, 1.0, -1.0], 0)) / 2.0;
        assert!((scalar(auxiliary(&logits, &Tensor::new(&[1u32, 0], test_device())?)?) - expected).abs() < 1e-12);
        let (real, fake) =
            (Tensor::new(&[[1.0f64, 2.0], [3.0, 4.0]], test_device())?, Tensor::new(&[[0.0f64, 1.0]], test_device())?);
        assert_eq!(scalar(feature_matching(&real, &fake)?), 2.0 * 2.0 + 2.0 * 2.0);
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
                generator(Loss::NonSaturating, &l, None)?,
                generator(Loss::Minimax, &l, None)?,
                generator(Loss::Hinge, &l, None)?,
                generator(Loss::RelativisticPairing, &l, Some(&l.detach()))?,
                discriminator(Loss::NonSaturating, &l, &l, LABELS)?,
                discriminator(Loss::RelativisticAverage, &l, &l, LABELS)?,
            ] {
                assert!(scalar(loss.clone()).is_finite(), "loss at {logit}");
                let grad = loss.backward()?.get(&l).unwrap().to_vec1::<f32>()?[0];
                assert!(grad.is_finite() && grad.abs() <= 1.0, "gradient {grad} at {logit}");
            }
        }
        Ok(())
    }
}
