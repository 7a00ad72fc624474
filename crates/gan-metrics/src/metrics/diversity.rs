//! Diversity of generated samples relative to real ones: near 0 if the generator has collapsed.
//!
//! The mean distance between pairs of samples in feature space; with perceptual distances between images this is the
//! diversity of Zhu et al., "Toward Multimodal Image-to-Image Translation", 2017.

use super::{Better, DataKind, Metric};
use crate::error::{Error, Result};
use crate::features::{Features, check_sets};
use crate::pairs::squared;
use gan_base::Rng;
use rayon::prelude::*;

/// Returns the mean distance between pairs of generated samples `[M, D]` over that between pairs of real ones `[N, D]`: 1 if they are as
/// diverse, towards 0 the closer they are to collapse. It takes up to `pairs` pairs of each set, or all if there are no more.
/// Both sets draw in the same way from `rng`, one after the other.
///
/// # Errors
/// For fewer than two samples in either set, without pairs, if widths differ, numbers are not finite, or all real samples are the same.
pub fn diversity(real: &Features, generated: &Features, pairs: usize, rng: &mut Rng) -> Result<f64> {
    check_sets(real, generated, 2, "diversity", "a pair takes two; hundreds make it meaningful")?;
    if pairs == 0 {
        return Err(Error::mismatch("pairs for diversity", "0", "at least 1", "take as many as there are samples"));
    }
    let real = mean_distance(real, pairs, rng);
    let generated = mean_distance(generated, pairs, rng);
    if real == 0.0 {
        let problem = "all compared ones are the same, there is no diversity to relate to: take other samples";
        return Err(Error::values("real features", problem));
    }
    Ok(generated / real)
}

fn mean_distance(set: &Features, pairs: usize, rng: &mut Rng) -> f64 {
    let chosen = choose(set.len(), pairs, rng);
    let distances: Vec<f64> = chosen.par_iter().map(|(i, j)| squared(set.row(*i), set.row(*j)).sqrt()).collect();
    distances.iter().sum::<f64>() / chosen.len() as f64
}

/// Returns all pairs of different samples if there are no more than `limit`, or else `limit` random pairs.
fn choose(len: usize, limit: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    if len as u128 * (len as u128 - 1) / 2 <= limit as u128 {
        return (0..len).flat_map(|j| (0..j).map(move |i| (i, j))).collect();
    }
    let mut pair = || {
        let i = rng.below(len);
        let other = rng.below(len - 1);
        (i, if other < i { other } else { other + 1 })
    };
    (0..limit).map(|_| pair()).collect()
}

/// Maximum number of pairs for the metric.
const PAIRS: usize = 20_000;

/// The mean distance between pairs relative to real samples.
pub static RELATIVE_DIVERSITY: Metric = Metric {
    in_training: DataKind::ALL,
    ..Metric::new("diversity", "Diversity, real = 1", Better::Higher, "Zhu et al. 2017, arXiv:1711.11586", |inputs| {
        let [real, generated] = inputs.neighbours;
        Ok(diversity(real, generated, PAIRS, &mut inputs.rng("diversity"))?.into())
    })
};

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: u64, n: usize, scale: f32) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * 5).map(|_| rng.normal() * scale).collect(), 5).unwrap()
    }

    fn of(real: &Features, generated: &Features, pairs: usize) -> Result<f64> {
        diversity(real, generated, pairs, &mut Rng::new(1))
    }

    #[test]
    fn of_all_pairs_is_the_plain_mean_and_drawn_pairs_come_near() {
        let set = made(1, 40, 1.0);
        let (mut sum, mut count) = (0.0, 0.0);
        for (i, a) in set.rows().enumerate() {
            for b in set.rows().skip(i + 1) {
                let square: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                (sum, count) = (sum + square.sqrt(), count + 1.0);
            }
        }
        let of_pairs = |pairs| mean_distance(&set, pairs, &mut Rng::new(1));
        assert!((of_pairs(780) - sum / count).abs() < 1e-12);
        assert_eq!(of(&set, &set, 780).unwrap(), 1.0);
        assert!((of_pairs(779) / of_pairs(780) - 1.0).abs() < 0.1);
    }

    #[test]
    fn scales_with_the_spread_and_vanishes_on_collapse() {
        let real = made(1, 30, 1.0);
        let half = Features::new(real.values().iter().map(|x| x * 0.5 + 3.0).collect(), 5).unwrap();
        assert!((of(&real, &half, 1000).unwrap() - 0.5).abs() < 1e-6);
        assert_eq!(of(&real, &Features::new(vec![2.0; 50], 5).unwrap(), 20).unwrap(), 0.0);
    }

    #[test]
    fn drawn_pairs_are_of_different_samples_and_reach_all() {
        let pairs = choose(6, 14, &mut Rng::new(1));
        assert_eq!(pairs.len(), 14);
        let many: Vec<_> = (0..40).flat_map(|seed| choose(6, 14, &mut Rng::new(seed))).collect();
        assert!(many.iter().all(|(i, j)| i != j && *i < 6 && *j < 6));
        assert!((0..36).filter(|at| at / 6 != at % 6).all(|at| many.contains(&(at / 6, at % 6))));
    }

    #[test]
    fn bad_input_is_an_error() {
        let set = made(1, 5, 1.0);
        assert!(of(&made(1, 1, 1.0), &set, 9).unwrap_err().to_string().contains("1 real sample is too few"));
        assert!(of(&set, &set, 0).is_err());
        assert!(of(&Features::new(vec![2.0; 50], 5).unwrap(), &set, 9).unwrap_err().to_string().contains("the same"));
    }
}
