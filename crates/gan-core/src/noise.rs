//! The latent space: sampling and interpolation.

use crate::random::RandomTensors;
use candle_core::{Device, Result, Tensor};
use gan_base::{Rng, memory};
use serde::{Deserialize, Serialize};

/// A latent space.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latent {
    /// Size of a latent vector.
    pub dim: usize,
    /// Distribution of the numbers.
    #[serde(default)]
    pub distribution: Distribution,
    /// Maximum absolute value of numbers when generating ([`Latent::sample_within`]); training and evaluation use the whole distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<f64>,
}

/// The distribution of each latent number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// N(0, 1).
    #[default]
    Normal,
    /// U[−1, 1).
    Uniform,
}

impl Latent {
    /// Returns `n` latent vectors `[n, dim]`, float32.
    ///
    /// # Errors
    /// If that many do not fit into memory, and from candle.
    pub fn sample(&self, n: usize, rng: &mut Rng, device: &Device) -> Result<Tensor> {
        self.check_count(n)?;
        match self.distribution {
            Distribution::Normal => rng.normal_tensor(0.0, 1.0, (n, self.dim), device),
            Distribution::Uniform => rng.uniform_tensor(-1.0, 1.0, (n, self.dim), device),
        }
    }

    /// Returns `n` latent vectors `[n, dim]` with no number further than `most` from 0: others are resampled (the truncation trick; Brock
    /// et al. 2018, arXiv:1809.11096, section 3.1). This gives less variety and mostly better samples. Uniform numbers are drawn from
    /// [−most, most) if that is narrower.
    ///
    /// # Errors
    /// If `most` is not above 0 or that many do not fit into memory, and from candle.
    pub fn sample_within(&self, most: f64, n: usize, rng: &mut Rng, device: &Device) -> Result<Tensor> {
        // Below this, nearly every draw would be rejected.
        if most.is_nan() || most < 0.01 {
            candle_core::bail!("latent vectors within {most} of 0 cannot be drawn: expected at least 0.01")
        }
        self.check_count(n)?;
        let most = most as f32;
        let draw = |rng: &mut Rng| match self.distribution {
            Distribution::Uniform => rng.uniform(-most.min(1.0), most.min(1.0)),
            Distribution::Normal => loop {
                let x = rng.normal();
                if x.abs() <= most {
                    break x;
                }
            },
        };
        let values: Vec<f32> = (0..n * self.dim).map(|_| draw(rng)).collect();
        Tensor::from_vec(values, (n, self.dim), device)
    }

    /// Fails if `n` latent vectors do not fit into memory.
    fn check_count(&self, n: usize) -> Result<()> {
        let bytes = (n as u64).saturating_mul(self.dim as u64).saturating_mul(4);
        let what = format!("{n} latent vectors of {} numbers", self.dim);
        match memory::check(bytes) {
            Ok(()) if bytes < i64::MAX as u64 => Ok(()),
            Ok(()) => candle_core::bail!("{what} are beyond any memory"),
            Err(shortage) => candle_core::bail!("for {what} {shortage}: make fewer samples at a time"),
        }
    }
}

/// Interpolates spherically (Shoemake 1985; for latent spaces White 2016, arXiv:1609.04468) from a to b, `[dim]` each, at t in [0, 1]:
/// sin((1 − t)·Ω)/sin Ω·a + sin(t·Ω)/sin Ω·b with Ω the angle between them.
///
/// Samples of a high-dimensional normal distribution lie near a sphere, which a straight line would leave. Vectors with (nearly) the same
/// or opposite directions have no unique arc between them and are joined by a straight line.
pub fn slerp(a: &[f32], b: &[f32], t: f32) -> Vec<f32> {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let omega = cosine.clamp(-1.0, 1.0).acos();
    let t = f64::from(t);
    let (from, to) = match omega.sin() {
        sine if sine > 1e-4 => (((1.0 - t) * omega).sin() / sine, (t * omega).sin() / sine),
        _ => (1.0 - t, t),
    };
    a.iter().zip(b).map(|(a, b)| (from * f64::from(*a) + to * f64::from(*b)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slerp_stays_on_the_sphere_and_meets_its_ends() {
        let (a, b) = ([3.0, 0.0], [0.0, 3.0]);
        assert_eq!(slerp(&a, &b, 0.0), [3.0, 0.0]);
        let half = slerp(&a, &b, 0.5);
        assert!((half[0] - 4.5f32.sqrt()).abs() < 1e-6 && (half[1] - 4.5f32.sqrt()).abs() < 1e-6);
        assert_eq!(slerp(&a, &a, 0.3), a);
        let opposite = slerp(&a, &[-3.0, 0.0], 0.5);
        assert!(opposite.iter().all(|x| x.abs() < 1e-6));
    }

    #[test]
    fn truncated_samples_stay_within_and_keep_their_shape() -> Result<()> {
        for distribution in [Distribution::Normal, Distribution::Uniform] {
            let latent = Latent { dim: 50, distribution, truncation: None };
            let z = latent.sample_within(0.7, 400, &mut Rng::new(1), &Device::Cpu)?;
            let values: Vec<f32> = z.flatten_all()?.to_vec1()?;
            let largest = values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
            assert!((0.69..=0.7).contains(&largest));
            // The variance of a normal distribution truncated at ± a: 1 − 2aφ(a)/(2Φ(a) − 1), here 0.1529; of a uniform one a²/3.
            let variance = values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32;
            let expected = if distribution == Distribution::Normal { 0.1529 } else { 0.49 / 3.0 };
            assert!((variance - expected).abs() < 0.003, "{distribution:?}: {variance}");
        }
        assert!(
            Latent { dim: 1, distribution: Distribution::Normal, truncation: None }
                .sample_within(0.0, 1, &mut Rng::new(1), &Device::Cpu)
                .is_err()
        );
        Ok(())
    }

    #[test]
    fn impossibly_large_latents_are_refused() {
        for (dim, n) in [(100, usize::MAX), (usize::MAX, 2), (usize::MAX, usize::MAX), (1 << 40, 1 << 40)] {
            let latent = Latent { dim, distribution: Distribution::Normal, truncation: None };
            let error = latent.sample(n, &mut Rng::new(1), &Device::Cpu).unwrap_err().to_string();
            assert!(error.contains("latent vectors"), "{error}");
            assert!(latent.sample_within(0.7, n, &mut Rng::new(1), &Device::Cpu).is_err());
        }
    }

    #[test]
    fn samples_follow_the_distribution() -> Result<()> {
        let mut rng = Rng::new(1);
        for (distribution, spread) in [(Distribution::Normal, 1.0), (Distribution::Uniform, 1.0 / 3.0)] {
            let z = Latent { dim: 50, distribution, truncation: None }.sample(400, &mut rng, &Device::Cpu)?;
            assert_eq!(z.dims(), [400, 50]);
            let variance: f32 = z.sqr()?.mean_all()?.to_scalar()?;
            assert!((variance - spread).abs() < 0.03, "{distribution:?}: {variance}");
        }
        Ok(())
    }
}
