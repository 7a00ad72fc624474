//! Closed paths through latent vectors, for animations that repeat without a seam.
//!
//! The path through keys ε₀ … ε_{K−1} is z(t) = Σ w_k(t) ε_k with the weights of trigonometric interpolation, w_k(t) = D(t − k),
//! D(s) = sin(πs) / (K sin(πs/K)) for an odd K and sin(πs) / (K tan(πs/K)) for an even one, divided by (Σ w_k²)^½. It meets key k at
//! t = k, has derivatives of every order everywhere, and because the squares of its weights sum to 1, z(t) of independent normal keys is a
//! draw from the same normal distribution at every t: unlike on a straight line between keys, no frame is less typical than another.

use crate::noise::Latent;
use std::f64::consts::PI;

impl Latent {
    /// Returns `frames` latent vectors, evenly spaced in time, on a smooth closed path that begins at the first key and meets all in turn. Keys
    /// lie within `within` of 0 if that is given, and so does the path.
    pub fn closed_path(&self, within: Option<f64>, keys: &[Vec<f32>], frames: usize) -> Vec<Vec<f32>> {
        let keys: Vec<Vec<f32>> =
            keys.iter().map(|key| key.iter().map(|z| self.to_normal(within, *z)).collect()).collect();
        let place = |frame: usize| {
            let weights = weights(keys.len(), keys.len() as f64 * frame as f64 / frames as f64);
            let at = |axis: usize| keys.iter().zip(&weights).map(|(key, weight)| f64::from(key[axis]) * weight).sum();
            let number = |axis: usize| -> f32 {
                let x: f64 = at(axis);
                self.from_normal(within, x as f32)
            };
            (0..keys.first().map_or(0, Vec::len)).map(number).collect()
        };
        (0..frames).map(place).collect()
    }
}

/// Returns the weight of each of `count` keys at time t.
fn weights(count: usize, t: f64) -> Vec<f64> {
    let keys = count as f64;
    let weight = |key: usize| {
        let angle = PI * (t - key as f64) / keys;
        // At a key itself, and a whole turn from it, the quotient has the limit 1.
        if angle.sin().abs() < 1e-9 {
            return 1.0;
        }
        let divisor = if count % 2 == 1 { angle.sin() } else { angle.tan() };
        (keys * angle).sin() / (keys * divisor)
    };
    let weights: Vec<f64> = (0..count).map(weight).collect();
    let norm = weights.iter().map(|weight| weight * weight).sum::<f64>().sqrt();
    weights.into_iter().map(|weight| weight / norm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Distribution;
    use gan_base::Rng;

    fn keys(latent: &Latent, within: Option<f64>, count: usize) -> Vec<Vec<f32>> {
        let mut rng = Rng::new(7);
        let device = candle_core::Device::Cpu;
        let keys = match within {
            Some(most) => latent.sample_within(most, count, &mut rng, &device),
            None => latent.sample(count, &mut rng, &device),
        };
        keys.unwrap().to_vec2().unwrap()
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt()
    }

    #[test]
    fn the_path_meets_its_keys_and_closes_in_steps_of_similar_length() {
        for (distribution, within) in
            [(Distribution::Normal, None), (Distribution::Normal, Some(0.7)), (Distribution::Uniform, None)]
        {
            let latent = Latent { dim: 400, distribution, truncation: None };
            for count in [1, 3, 4, 7] {
                let keys = keys(&latent, within, count);
                let path = latent.closed_path(within, &keys, count * 20);
                assert_eq!(path.len(), count * 20);
                for (key, z) in keys.iter().zip(path.iter().step_by(20)) {
                    assert!(distance(key, z) < 0.02, "{distribution:?}, {count} keys: {}", distance(key, z));
                }
                let steps: Vec<f32> =
                    (0..path.len()).map(|i| distance(&path[i], &path[(i + 1) % path.len()])).collect();
                let longest = steps.iter().copied().fold(0.0, f32::max);
                let mean = steps.iter().sum::<f32>() / steps.len() as f32;
                assert!(longest <= 2.0 * mean, "{distribution:?}, {count} keys: {longest} against {mean}");
            }
        }
    }

    #[test]
    fn every_frame_is_as_typical_as_a_draw() {
        let latent = Latent { dim: 2000, distribution: Distribution::Normal, truncation: None };
        for count in [2, 3, 8] {
            for z in latent.closed_path(None, &keys(&latent, None, count), 37) {
                let variance = z.iter().map(|x| x * x).sum::<f32>() / z.len() as f32;
                assert!((variance - 1.0).abs() < 0.15, "{count} keys: {variance}");
            }
        }
        let uniform = Latent { distribution: Distribution::Uniform, ..latent };
        for z in uniform.closed_path(None, &keys(&uniform, None, 5), 37) {
            let variance = z.iter().map(|x| x * x).sum::<f32>() / z.len() as f32;
            assert!((variance - 1.0 / 3.0).abs() < 0.03 && z.iter().all(|x| x.abs() <= 1.0), "{variance}");
        }
    }
}
