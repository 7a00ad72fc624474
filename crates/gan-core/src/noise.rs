//! The latent space: where generators start from, and ways through it.

use crate::rng::Rng;
use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};

/// A latent space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latent {
    /// Numbers in a latent vector.
    pub dim: usize,
    /// How they are distributed.
    #[serde(default)]
    pub distribution: Distribution,
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
    /// `n` latent vectors `[n, dim]`, float32.
    ///
    /// # Errors
    /// From candle.
    pub fn sample(&self, n: usize, rng: &mut Rng, device: &Device) -> Result<Tensor> {
        match self.distribution {
            Distribution::Normal => rng.normal_tensor(0.0, 1.0, (n, self.dim), device),
            Distribution::Uniform => rng.uniform_tensor(-1.0, 1.0, (n, self.dim), device),
        }
    }
}

/// Spherical interpolation (Shoemake 1985; for latent spaces White 2016, arXiv:1609.04468) from a to b, `[dim]` each, at
/// t in [0, 1]: sin((1 − t)·Ω)/sin Ω·a + sin(t·Ω)/sin Ω·b with Ω the angle between them.
///
/// Samples of a high-dimensional normal distribution lie near a sphere; a straight line would leave it. Vectors that
/// (nearly) point the same or opposite ways have no arc between them and are joined by the straight line.
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
    fn samples_follow_the_distribution() -> Result<()> {
        let mut rng = Rng::new(1);
        for (distribution, spread) in [(Distribution::Normal, 1.0), (Distribution::Uniform, 1.0 / 3.0)] {
            let z = Latent { dim: 50, distribution }.sample(400, &mut rng, &Device::Cpu)?;
            assert_eq!(z.dims(), [400, 50]);
            let variance: f32 = z.sqr()?.mean_all()?.to_scalar()?;
            assert!((variance - spread).abs() < 0.03, "{distribution:?}: {variance}");
        }
        Ok(())
    }
}
