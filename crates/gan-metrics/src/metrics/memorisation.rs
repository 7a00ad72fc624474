//! Memorisation: distances from generated samples to the nearest training sample, compared with those of real samples that were
//! not used for training.
//!
//! A generator that has learned the distribution is as far from the training set as held-out real samples are; one that
//! has memorised it is closer (Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative
//! Models", 2020, compare the same two sets of distances).

use super::{Better, DataKind, Inputs, Metric, Needs};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::pairs::nearest_among;
use rayon::prelude::*;
use std::sync::Arc;

/// How close generated samples are to the training set. Distances are Euclidean, in the features' units.
#[derive(Clone, Debug, PartialEq)]
pub struct Memorisation {
    /// Distance from each generated sample to the nearest training sample.
    pub generated: Vec<f64>,
    /// Distance from each held-out sample to the nearest training sample.
    pub held_out: Vec<f64>,
    /// Median distance of generated samples over that of held-out samples: below 1 they are closer to the training data than real
    /// data are.
    pub ratio: f64,
    /// Generated samples closer than this count as copies.
    pub threshold: f64,
    /// Share of copies, in [0, 1].
    pub copies: f64,
}

/// Percentile of held-out distances below which a generated sample counts as a copy.
const PERCENTILE: f64 = 1.0;

/// Compares generated `[N, D]` and held-out real samples `[H, D]` by their distances to the training set `[M, D]`. Distances are exact to f64;
/// it needs the memory of a copy of the sets and a few MiB.
///
/// # Errors
/// If a set is empty, widths differ, numbers are not finite, or half of the held-out samples are training samples.
pub fn memorisation(generated: &Features, held_out: &Features, training: &Features) -> Result<Memorisation> {
    for (set, what) in [(generated, "generated"), (held_out, "held-out"), (training, "training")] {
        set.check_count(1, "nearest neighbours", what, "hundreds make it meaningful")?;
    }
    let generated = nearest(generated, training)?;
    let held_out = nearest(held_out, training)?;
    let usual = percentile(&held_out, 50.0);
    if usual == 0.0 {
        let problem = "at least half of them are training samples too: hold out others";
        return Err(Error::values("held-out samples", problem));
    }
    let threshold = percentile(&held_out, PERCENTILE);
    let near = generated.iter().filter(|distance| **distance < threshold).count();
    let copies = near as f64 / generated.len() as f64;
    let ratio = percentile(&generated, 50.0) / usual;
    Ok(Memorisation { generated, held_out, ratio, threshold, copies })
}

/// Returns the distance from each of `samples` `[N, D]` to the nearest of `training` `[M, D]`.
///
/// # Errors
/// If widths differ or numbers are not finite.
pub fn nearest(samples: &Features, training: &Features) -> Result<Vec<f64>> {
    samples.check_width(training)?;
    training.check_finite("training")?;
    samples.check_finite("compared")?;
    Ok(nearest_among(samples, training, 1).iter().map(|nearest| nearest.found[0].0.sqrt()).collect())
}

/// Returns a percentile, interpolated linearly like numpy's `percentile`.
fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.par_sort_unstable_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 * percent / 100.0;
    let low = place.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}

const PAPER: &str = "Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675";

/// Computes the distances of both figures once.
fn distances(inputs: &Inputs<'_>) -> Result<Arc<Memorisation>> {
    inputs.shared(|| memorisation(inputs.generated, inputs.held_out, inputs.train))
}

/// The median distance to the nearest training sample, relative to that of real samples.
pub static NEAREST_DISTANCE: Metric = Metric {
    needs: Needs::TrainingSamples,
    in_training: &[DataKind::Classes, DataKind::Images],
    aliases: &["memorization"],
    ..Metric::new(
        "memorisation",
        "Distance to the nearest training sample, real = 1",
        Better::Higher,
        PAPER,
        |inputs| Ok(distances(inputs)?.ratio.into()),
    )
};

/// The share of samples closer to a training sample than almost any real one is.
pub static NEAR_COPIES: Metric = Metric {
    needs: Needs::TrainingSamples,
    in_training: &[DataKind::Classes, DataKind::Images],
    ..Metric::new("near_copies", "Near copies of training samples", Better::Lower, PAPER, |inputs| {
        Ok(distances(inputs)?.copies.into())
    })
};

#[cfg(test)]
mod tests {
    use super::*;
    use gan_base::Rng;

    fn made(seed: u64, n: usize, dim: usize) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * dim).map(|_| rng.normal()).collect(), dim).unwrap()
    }

    #[test]
    fn the_nearest_are_those_of_plain_loops() {
        let (samples, training) = (made(1, 70, 9), made(2, 90, 9));
        let found = nearest(&samples, &training).unwrap();
        for (i, row) in samples.rows().enumerate() {
            let to = |other: &[f32]| crate::pairs::squared(row, other).sqrt();
            let best = training.rows().map(to).fold(f64::INFINITY, f64::min);
            assert_eq!(found[i], best);
        }
    }

    #[test]
    fn fresh_samples_look_like_held_out_ones_and_copies_do_not() {
        let (training, held_out) = (made(1, 600, 6), made(2, 300, 6));
        let fresh = memorisation(&made(3, 300, 6), &held_out, &training).unwrap();
        assert!((0.9..1.1).contains(&fresh.ratio), "{}", fresh.ratio);
        assert!(fresh.copies < 0.05);
        let (copies, noise) = (training.first(300), made(4, 300, 6));
        let noisy = copies.values().iter().zip(noise.values()).map(|(x, e)| x + 0.01 * e);
        let copied = memorisation(&Features::new(noisy.collect(), 6).unwrap(), &held_out, &training).unwrap();
        assert!(copied.ratio < 0.1 && copied.copies == 1.0);
    }

    #[test]
    fn half_copies_are_a_share_of_half() {
        let (training, held_out) = (made(1, 200, 6), made(2, 100, 6));
        let away = Features::new(made(3, 50, 6).values().iter().map(|x| x + 9.0).collect(), 6).unwrap();
        let mut mixed = training.first(50);
        mixed.append(&away).unwrap();
        assert_eq!(memorisation(&mixed, &held_out, &training).unwrap().copies, 0.5);
    }

    #[test]
    fn percentiles_are_numpys() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!((percentile(&values, 50.0), percentile(&values, 100.0), percentile(&values, 0.0)), (2.5, 4.0, 1.0));
        assert!((percentile(&values, 1.0) - 1.03).abs() < 1e-12);
        assert_eq!(percentile(&[7.0], 50.0), 7.0);
    }

    #[test]
    fn bad_input_is_an_error() {
        let (a, none) = (made(1, 5, 3), Features::empty(3));
        assert!(memorisation(&none, &a, &a).unwrap_err().to_string().contains("0 generated samples"));
        assert!(memorisation(&a, &none, &a).unwrap_err().to_string().contains("0 held-out samples"));
        assert!(memorisation(&a, &a, &none).unwrap_err().to_string().contains("0 training samples"));
        assert!(memorisation(&a, &a, &a).unwrap_err().to_string().contains("hold out others"));
        assert!(nearest(&a, &made(1, 5, 4)).is_err());
    }
}
