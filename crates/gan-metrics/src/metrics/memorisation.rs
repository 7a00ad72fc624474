//! Does a generator copy? Distances from generated samples to the nearest training sample, beside those of real samples that
//! were not trained on.
//!
//! A generator that has learned the distribution lies as far from the training set as held-out real samples do; one that
//! has memorised it lies nearer (Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative
//! Models", 2020, compare the same two sets of distances).

use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo, Needs};
use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use crate::pairs::nearest_among;
use rayon::prelude::*;
use std::sync::Arc;

/// For each sample its nearest training sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nearest {
    /// Euclidean distances `[N]`, in the features' units.
    pub distances: Vec<f64>,
    /// Numbers of the training samples `[N]`, the first of equally near ones.
    pub indices: Vec<usize>,
}

/// How near generated samples come to the training set.
#[derive(Clone, Debug, PartialEq)]
pub struct Memorisation {
    /// Generated → training.
    pub generated: Nearest,
    /// Held-out → training.
    pub held_out: Nearest,
    /// Median distance of generated over that of held-out samples: below 1 they are nearer to the training data than real
    /// data are.
    pub ratio: f64,
    /// Generated samples nearer than this count as copies.
    pub threshold: f64,
    /// The share of copies, in [0, 1].
    pub copies: f64,
}

/// The percentile of held-out distances below which a generated sample counts as a copy.
pub const PERCENTILE: f64 = 1.0;

/// The nearest of `training` `[M, D]` to each of `samples` `[N, D]`. Distances are exact to f64; memory is a copy of both sets and
/// a few MiB.
///
/// # Errors
/// If there are no training samples, widths differ or numbers are not finite.
pub fn nearest(samples: &Features, training: &Features) -> Result<Nearest> {
    same_width(samples, training)?;
    training.check_finite("training")?;
    samples.check_finite("compared")?;
    enough(training, "training")?;
    let found = nearest_among(samples, training, 1);
    let (distances, indices) = found.iter().map(|nearest| (nearest.found[0].0.sqrt(), nearest.found[0].1)).unzip();
    Ok(Nearest { distances, indices })
}

/// Compares generated `[N, D]` and held-out real samples `[H, D]` by their distances to the training set `[M, D]`.
///
/// # Errors
/// If a set is empty, widths differ, numbers are not finite, or half the held-out samples are training samples.
pub fn memorisation(generated: &Features, held_out: &Features, training: &Features) -> Result<Memorisation> {
    enough(generated, "generated")?;
    enough(held_out, "held-out")?;
    let (generated, held_out) = (nearest(generated, training)?, nearest(held_out, training)?);
    let usual = percentile(&held_out.distances, 50.0);
    if usual == 0.0 {
        let problem = "at least half of them are training samples too: hold out others";
        return Err(Error::Values { what: "held-out samples".into(), problem: problem.into() });
    }
    let threshold = percentile(&held_out.distances, PERCENTILE);
    let near = generated.distances.iter().filter(|distance| **distance < threshold).count();
    let copies = near as f64 / generated.distances.len() as f64;
    let ratio = percentile(&generated.distances, 50.0) / usual;
    Ok(Memorisation { generated, held_out, ratio, threshold, copies })
}

fn enough(set: &Features, what: &'static str) -> Result<()> {
    match set.is_empty() {
        true => {
            let advice = "hundreds make it meaningful";
            Err(Error::TooFew { metric: "nearest neighbours", what, found: 0, needed: 1, advice })
        }
        false => Ok(()),
    }
}

/// Between the two values around it in proportion, as numpy's `percentile`.
fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.par_sort_unstable_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 * percent / 100.0;
    let (low, share) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * share
}

const PAPER: &str = "Meehan, Chaudhuri and Dasgupta 2020, arXiv:2004.05675";

/// Both figures' distances, which are computed together.
fn distances(inputs: &Inputs<'_>) -> Result<Arc<Memorisation>> {
    inputs.shared(|| memorisation(inputs.generated, inputs.held_out, inputs.train))
}

/// The distance to the nearest training sample, relative to that of real samples.
#[derive(Clone, Copy, Debug)]
pub struct NearestDistance;

impl Metric for NearestDistance {
    fn info(&self) -> MetricInfo {
        let title = "Distance to the nearest training sample, real = 1";
        MetricInfo {
            needs: Needs::TrainingSamples,
            in_training: &[DataKind::Classes, DataKind::Images],
            aliases: &["memorization"],
            ..MetricInfo::new("memorisation", title, Better::Higher, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok(distances(inputs)?.ratio.into())
    }
}

/// The share of samples closer to a training sample than almost any real one is.
#[derive(Clone, Copy, Debug)]
pub struct NearCopies;

impl Metric for NearCopies {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::TrainingSamples,
            in_training: &[DataKind::Classes, DataKind::Images],
            ..MetricInfo::new("near_copies", "Near copies of training samples", Better::Lower, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok(distances(inputs)?.copies.into())
    }
}

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
            assert_eq!((found.distances[i], to(training.row(found.indices[i]))), (best, best));
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
        assert_eq!(copied.generated.indices, (0..300).collect::<Vec<_>>());
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
    fn bad_input_is_told() {
        let (a, none) = (made(1, 5, 3), Features::empty(3));
        assert!(memorisation(&none, &a, &a).unwrap_err().to_string().contains("0 generated samples"));
        assert!(memorisation(&a, &none, &a).unwrap_err().to_string().contains("0 held-out samples"));
        assert!(memorisation(&a, &a, &none).unwrap_err().to_string().contains("0 training samples"));
        assert!(memorisation(&a, &a, &a).unwrap_err().to_string().contains("hold out others"));
        assert!(nearest(&a, &made(1, 5, 4)).is_err());
    }
}
