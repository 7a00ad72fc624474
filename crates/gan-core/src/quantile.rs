//! Quantiles: moves latent numbers between a latent space, truncated or not, and the standard normal distribution, so that each number keeps
//! the probability of a smaller one.
//!
//! Truncation by resampling gives other latent vectors for another threshold. Moved by quantiles, the same vector can be compared at several.

use crate::noise::{Distribution, Latent};

/// Smallest probability of a tail. The number there, 7, is beyond any draw.
const LEAST_TAIL: f64 = 1e-12;

impl Latent {
    /// Returns the number of N(0, 1) at the quantile of `z`, a number of this space within `within` of 0 if that is given
    /// ([`Latent::sample_within`]): Φ⁻¹(F(z)).
    pub fn to_normal(&self, within: Option<f64>, z: f32) -> f32 {
        let size = f64::from(z.abs());
        let tail_probability = match (self.distribution, within) {
            (Distribution::Normal, None) => return z,
            (Distribution::Normal, Some(most)) => (tail(size) - tail(most)) / (1.0 - 2.0 * tail(most)),
            (Distribution::Uniform, within) => (1.0 - size / bound(within)) / 2.0,
        };
        (tail_quantile(tail_probability) as f32).copysign(z)
    }

    /// Returns the number of this space, within `within` of 0 if that is given, at the quantile of the number `x` of N(0, 1): F⁻¹(Φ(x)).
    pub fn from_normal(&self, within: Option<f64>, x: f32) -> f32 {
        let probability = tail(f64::from(x.abs()));
        let size = match (self.distribution, within) {
            (Distribution::Normal, None) => return x,
            (Distribution::Normal, Some(most)) => {
                tail_quantile(tail(most) + probability * (1.0 - 2.0 * tail(most))).min(most)
            }
            (Distribution::Uniform, within) => bound(within) * (1.0 - 2.0 * probability),
        };
        (size as f32).copysign(x)
    }
}

/// Returns the bound of a uniform distribution.
fn bound(within: Option<f64>) -> f64 {
    within.map_or(1.0, |most| most.min(1.0))
}

/// Returns the probability that a number of N(0, 1) is above `x`.
fn tail(x: f64) -> f64 {
    libm::erfc(x / std::f64::consts::SQRT_2) / 2.0
}

/// Returns the x, 0 or more, with [`tail`] `probability`, at most ½. The tail is convex, so Newton's method from 0 approaches x from below and
/// never passes it.
fn tail_quantile(probability: f64) -> f64 {
    // A NaN stays one.
    let probability = if probability < LEAST_TAIL { LEAST_TAIL } else { probability };
    let mut x = 0.0;
    for _ in 0..100 {
        let density = (-x * x / 2.0_f64).exp() / std::f64::consts::TAU.sqrt();
        let step = (tail(x) - probability) / density;
        x += step;
        if step.is_nan() || step <= 1e-12 {
            break;
        }
    }
    if x < 0.0 { 0.0 } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(distribution: Distribution) -> Latent {
        Latent { dim: 1, distribution, truncation: None }
    }

    #[test]
    fn quantiles_equal_those_of_tables() {
        // P(Z > 1.959964) = 0.025 and P(Z > 4.753424) = 1e-6.
        assert!((tail_quantile(0.025) - 1.959_964).abs() < 1e-6);
        assert!((tail_quantile(1e-6) - 4.753_424).abs() < 1e-6);
        assert!(tail_quantile(0.5).abs() < 1e-9 && tail_quantile(f64::NAN).is_nan());
        let uniform = space(Distribution::Uniform);
        assert!((uniform.from_normal(None, 1.959_964) - 0.95).abs() < 1e-6);
        assert!((uniform.from_normal(Some(0.5), -1.959_964) + 0.475).abs() < 1e-6);
    }

    #[test]
    fn both_directions_are_inverse_and_monotonic() {
        for distribution in [Distribution::Normal, Distribution::Uniform] {
            for within in [None, Some(0.05), Some(0.7), Some(2.0)] {
                let mut before = f32::NEG_INFINITY;
                for step in -30..=30 {
                    let x = step as f32 / 10.0;
                    let z = space(distribution).from_normal(within, x);
                    assert!(z > before && within.is_none_or(|most| f64::from(z.abs()) <= most + 1e-6), "{z}");
                    let back = space(distribution).to_normal(within, z);
                    assert!((back - x).abs() < 2e-3, "{distribution:?} {within:?}: {x} became {z} and {back}");
                    before = z;
                }
            }
        }
    }

    #[test]
    fn moved_numbers_follow_the_truncated_distribution() {
        let mut rng = gan_base::Rng::new(3);
        let latent = space(Distribution::Normal);
        let moved: Vec<f32> = (0..20_000).map(|_| latent.from_normal(Some(0.7), rng.normal())).collect();
        // The variance of a normal distribution truncated at ± 0.7 is 0.1529.
        let variance = moved.iter().map(|z| z * z).sum::<f32>() / moved.len() as f32;
        assert!((variance - 0.1529).abs() < 0.003, "{variance}");
    }
}
