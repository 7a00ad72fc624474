//! Whether generated samples are copies: how near they come to training samples, against how near those come to each other.

use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use crate::pairs::{Nearest, nearest_among, nearest_others};

/// The share of real samples that are nearer to another than a near copy is.
const PERCENTILE: f64 = 0.01;

/// How near generated samples come to training samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Memory {
    /// Median distance of generated samples to the nearest training sample, over the median distance of training samples to the nearest
    /// other one. About 1 for new samples of the same distribution; towards 0 for copies.
    pub ratio: f64,
    /// The share of generated samples that are nearer to a training sample than all but 1 % of the training samples are to another;
    /// about 0.01 for new samples.
    pub near_copies: f64,
    /// The nearest training sample of each generated one, and the distance `[N]`.
    pub nearest: Vec<(usize, f64)>,
}

/// Compares `generated` `[N, D]` with `train` `[M, D]`. N·M + M² distances, in bounded memory.
///
/// # Errors
/// [`Error::TooFew`] below one generated or two training samples, [`Error::Mismatch`] where widths differ, [`Error::Values`] where half of
/// the training samples are copies of others.
pub fn memory(generated: &Features, train: &Features) -> Result<Memory> {
    same_width(generated, train)?;
    for (what, set, needed) in [("generated", generated, 1), ("training", train, 2)] {
        if set.len() < needed {
            let (found, advice) = (set.len(), "give more");
            return Err(Error::TooFew { metric: "nearest neighbours", what, found, needed, advice });
        }
        set.check_finite(what)?;
    }
    let first = |nearest: &Nearest| nearest.found[0];
    let nearest: Vec<(usize, f64)> =
        nearest_among(generated, train, 1).iter().map(first).map(|(squared, at)| (at, squared.sqrt())).collect();
    let own = sorted(nearest_others(train, 1).iter().map(|nearest| first(nearest).0.sqrt()));
    let made = sorted(nearest.iter().map(|(_, distance)| *distance));
    if median(&own) == 0.0 {
        let problem = "half of them are copies of each other, so copies mean nothing: remove the duplicates".into();
        return Err(Error::Values { what: "training samples".into(), problem });
    }
    let near = own[(own.len() as f64 * PERCENTILE) as usize];
    let near_copies = made.partition_point(|distance| *distance < near) as f64 / made.len() as f64;
    Ok(Memory { ratio: median(&made) / median(&own), near_copies, nearest })
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_core::Rng;

    fn drawn(n: usize, seed: u64) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * 3).map(|_| rng.normal()).collect(), 3).unwrap()
    }

    #[test]
    fn it_is_what_plain_loops_find() {
        let (generated, train) = (drawn(40, 1), drawn(70, 2));
        let distance = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt()
        };
        let found = memory(&generated, &train).unwrap();
        for (row, (at, d)) in generated.rows().zip(&found.nearest) {
            let all: Vec<f64> = train.rows().map(|other| distance(row, other)).collect();
            let least = all.iter().copied().fold(f64::INFINITY, f64::min);
            assert!((least - d).abs() < 1e-9 && (all[*at] - least).abs() < 1e-9);
        }
        let own = sorted((0..70).map(|i| {
            let others = (0..70).filter(|j| *j != i).map(|j| distance(train.row(i), train.row(j)));
            others.fold(f64::INFINITY, f64::min)
        }));
        let made = sorted(found.nearest.iter().map(|n| n.1));
        assert!((found.ratio - median(&made) / median(&own)).abs() < 1e-9);
        let near = made.iter().filter(|d| **d < own[0]).count() as f64 / 40.0;
        assert!((found.near_copies - near).abs() < 1e-12);
    }

    #[test]
    fn copies_are_found_and_new_samples_are_not() {
        let train = drawn(400, 2);
        let new = memory(&drawn(300, 3), &train).unwrap();
        assert!((0.8..1.3).contains(&new.ratio) && new.near_copies < 0.05, "{new:?}");
        let mut copies = train.first(300);
        let jitter = drawn(300, 4);
        copies =
            Features::new(copies.values().iter().zip(jitter.values()).map(|(x, j)| x + 1e-4 * j).collect(), 3).unwrap();
        let copied = memory(&copies, &train).unwrap();
        assert!(copied.ratio < 0.01 && copied.near_copies > 0.95, "{} {}", copied.ratio, copied.near_copies);
    }

    #[test]
    fn what_cannot_be_compared_is_said() {
        let same = Features::new(vec![1.0; 30], 3).unwrap();
        assert!(memory(&drawn(5, 1), &same).unwrap_err().to_string().contains("duplicates"));
        assert!(memory(&drawn(5, 1), &drawn(1, 1)).unwrap_err().to_string().contains("1 training samples are too few"));
    }
}
