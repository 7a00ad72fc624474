//! How different a generator's samples are from each other, beside how different real ones are: near 0 it has collapsed.
//!
//! The mean distance between pairs of samples in feature space; with perceptual distances between images this is the
//! diversity of Zhu et al., "Toward Multimodal Image-to-Image Translation", 2017.

use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo};
use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use crate::pairs::squared;
use gan_base::Rng;
use rayon::prelude::*;

/// Mean distances between pairs within each set, in the features' units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diversity {
    /// Among real samples.
    pub real: f64,
    /// Among generated samples.
    pub generated: f64,
    /// Generated over real: 1 as diverse as real samples, towards 0 the nearer to collapse.
    pub ratio: f64,
}

/// Compares how diverse generated `[M, D]` and real `[N, D]` samples are, by up to `pairs` pairs of each (all, where there are
/// no more). Both sets draw the same way from `rng`, one after the other.
///
/// # Errors
/// Below two samples in either set, without pairs, if widths differ, numbers are not finite, or all real samples are the same.
pub fn diversity(real: &Features, generated: &Features, pairs: usize, rng: &mut Rng) -> Result<Diversity> {
    same_width(real, generated)?;
    let mut of = |set, what| mean_distance(set, pairs, rng, what);
    let (real, generated) = (of(real, "real")?, of(generated, "generated")?);
    if real == 0.0 {
        let problem = "all compared ones are the same, there is no diversity to relate to: take other samples";
        return Err(Error::Values { what: "real features".into(), problem: problem.into() });
    }
    Ok(Diversity { real, generated, ratio: generated / real })
}

fn mean_distance(set: &Features, pairs: usize, rng: &mut Rng, what: &'static str) -> Result<f64> {
    set.check_finite(what)?;
    if set.len() < 2 {
        let advice = "a pair takes two; hundreds make it meaningful";
        return Err(Error::TooFew { metric: "diversity", what, found: set.len(), needed: 2, advice });
    }
    if pairs == 0 {
        let (what, found, expected) = ("pairs for diversity".into(), "0".into(), "at least 1".into());
        return Err(Error::Mismatch { what, found, expected, advice: "take as many as there are samples".into() });
    }
    let chosen = choose(set.len(), pairs, rng);
    let distances: Vec<f64> = chosen.par_iter().map(|(i, j)| squared(set.row(*i), set.row(*j)).sqrt()).collect();
    Ok(distances.iter().sum::<f64>() / chosen.len() as f64)
}

/// All pairs of different samples if there are no more than `limit`, else `limit` drawn ones.
fn choose(len: usize, limit: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    if len as u128 * (len as u128 - 1) / 2 <= limit as u128 {
        return (0..len).flat_map(|j| (0..j).map(move |i| (i, j))).collect();
    }
    let mut pair = || {
        let (i, other) = (rng.below(len), rng.below(len - 1));
        (i, if other < i { other } else { other + 1 })
    };
    (0..limit).map(|_| pair()).collect()
}

/// Pairs that the metric is taken over.
const PAIRS: usize = 20_000;

/// The mean pairwise distance relative to real samples'.
#[derive(Clone, Copy, Debug)]
pub struct RelativeDiversity;

impl Metric for RelativeDiversity {
    fn info(&self) -> MetricInfo {
        use DataKind::{Classes, Images, ManyClasses, Points, PointsAroundModes};
        MetricInfo {
            in_training: &[Classes, ManyClasses, Images, PointsAroundModes, Points],
            ..MetricInfo::new("diversity", "Diversity, real = 1", Better::Higher, "Zhu et al. 2017, arXiv:1711.11586")
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok(diversity(inputs.real, inputs.generated, PAIRS, &mut inputs.rng("diversity"))?.ratio.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: u64, n: usize, scale: f32) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * 5).map(|_| rng.normal() * scale).collect(), 5).unwrap()
    }

    fn of(real: &Features, generated: &Features, pairs: usize) -> Result<Diversity> {
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
        let all = of(&set, &set, 780).unwrap();
        assert!((all.real - sum / count).abs() < 1e-12);
        assert_eq!(all.ratio, 1.0);
        let drawn = of(&set, &set, 779).unwrap();
        assert!((drawn.real / all.real - 1.0).abs() < 0.1);
    }

    #[test]
    fn scales_with_the_spread_and_vanishes_on_collapse() {
        let real = made(1, 30, 1.0);
        let half = Features::new(real.values().iter().map(|x| x * 0.5 + 3.0).collect(), 5).unwrap();
        assert!((of(&real, &half, 1000).unwrap().ratio - 0.5).abs() < 1e-6);
        assert_eq!(of(&real, &Features::new(vec![2.0; 50], 5).unwrap(), 20).unwrap().ratio, 0.0);
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
    fn bad_input_is_told() {
        let set = made(1, 5, 1.0);
        assert!(of(&made(1, 1, 1.0), &set, 9).unwrap_err().to_string().contains("1 real sample is too few"));
        assert!(of(&set, &set, 0).is_err());
        assert!(of(&Features::new(vec![2.0; 50], 5).unwrap(), &set, 9).unwrap_err().to_string().contains("the same"));
    }
}
