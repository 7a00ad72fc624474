//! Losses on logits, each as its formula. σ is the logistic function, ζ(l) = ln(1 + eˡ) the softplus.
//!
//! With D(x) = σ(l): ln D = −ζ(−l) and ln(1 − D) = −ζ(l), finite for every finite logit, where the logarithm of a
//! probability would overflow.

use candle_core::{Result, Tensor};
use gan_kernels::softplus;
use serde::{Deserialize, Serialize};

/// What the generator minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// −E[ln D(G(z))]: strong gradients while D rejects the samples (Goodfellow et al. 2014, arXiv:1406.2661, section 3).
    NonSaturating,
    /// E[ln(1 − D(G(z)))]: the value function of the paper's equation 1 itself, whose gradient vanishes when D wins.
    Minimax,
}

/// The targets that D is trained towards: 1 and 0, or smoothed (Salimans et al. 2016, arXiv:1606.03498, section 3.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labels {
    /// For real samples.
    pub real: f64,
    /// For generated samples.
    pub fake: f64,
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

/// D's loss over logits of real samples `[N]` and of generated ones `[M]`, each averaged by itself:
/// E[H(real label, D(x))] + E[H(fake label, D(G(z)))], a scalar.
///
/// # Errors
/// From candle.
pub fn discriminator(real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
    discriminator_part(real, labels.real)? + discriminator_part(fake, labels.fake)?
}

/// One of the two terms of [`discriminator`]: the mean of H(label, D) over logits `[N]`.
///
/// # Errors
/// From candle.
pub fn discriminator_part(logits: &Tensor, label: f64) -> Result<Tensor> {
    cross_entropy(logits, label)?.mean_all()
}

/// D's loss where real `[N]` and generated `[M]` samples are one batch: the mean over all N + M.
///
/// # Errors
/// From candle.
pub fn discriminator_joint(real: &Tensor, fake: &Tensor, labels: Labels) -> Result<Tensor> {
    let all = Tensor::cat(&[cross_entropy(real, labels.real)?, cross_entropy(fake, labels.fake)?], 0)?;
    all.mean_all()
}

/// G's loss over the logits of its samples `[N]`, a scalar.
///
/// # Errors
/// From candle.
pub fn generator(loss: Loss, fake: &Tensor) -> Result<Tensor> {
    match loss {
        Loss::NonSaturating => cross_entropy(fake, 1.0)?.mean_all(),
        Loss::Minimax => softplus(fake)?.mean_all()?.neg(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn scalar(t: Tensor) -> f64 {
        t.to_dtype(candle_core::DType::F64).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn values_are_those_of_the_formulas() -> Result<()> {
        let real = Tensor::new(&[0.3f64, -1.2], &Device::Cpu)?;
        let fake = Tensor::new(&[-0.5f64, 2.0, 0.1], &Device::Cpu)?;
        let d = |l: f64| 1.0 / (1.0 + (-l).exp());
        let h = |l: f64, t: f64| -(t * d(l).ln() + (1.0 - t) * (1.0 - d(l)).ln());
        let labels = Labels { real: 0.9, fake: 0.1 };
        let of_real = [0.3, -1.2].map(|l| h(l, 0.9)).iter().sum::<f64>();
        let of_fake = [-0.5, 2.0, 0.1].map(|l| h(l, 0.1)).iter().sum::<f64>();
        assert!((scalar(discriminator(&real, &fake, labels)?) - of_real / 2.0 - of_fake / 3.0).abs() < 1e-12);
        assert!((scalar(discriminator_joint(&real, &fake, labels)?) - (of_real + of_fake) / 5.0).abs() < 1e-12);
        let mean = |f: &dyn Fn(f64) -> f64| [-0.5, 2.0, 0.1].iter().map(|l| f(*l)).sum::<f64>() / 3.0;
        assert!((scalar(generator(Loss::NonSaturating, &fake)?) + mean(&|l| d(l).ln())).abs() < 1e-12);
        assert!((scalar(generator(Loss::Minimax, &fake)?) - mean(&|l| (1.0 - d(l)).ln())).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn sure_answers_keep_their_small_losses_and_gradients() -> Result<()> {
        for l in [10f32, 16.0, 20.0, 40.0] {
            let exact = (-f64::from(l)).exp().ln_1p();
            let logit = Var::new(&[l], &Device::Cpu)?;
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
            let l = Var::new(&[logit], &Device::Cpu)?;
            for loss in [
                generator(Loss::NonSaturating, &l)?,
                generator(Loss::Minimax, &l)?,
                discriminator(&l, &l, Labels { real: 1.0, fake: 0.0 })?,
            ] {
                assert!(scalar(loss.clone()).is_finite(), "loss at {logit}");
                let grad = loss.backward()?.get(&l).unwrap().to_vec1::<f32>()?[0];
                assert!(grad.is_finite() && grad.abs() <= 1.0, "gradient {grad} at {logit}");
            }
        }
        Ok(())
    }
}
