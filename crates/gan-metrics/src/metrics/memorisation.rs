//! Memorisation: distances from generated samples to the nearest training sample, compared with those of real samples.
//!
//! A generator that has learned the distribution is as far from the training set as real samples that were not used for training are; one
//! that has memorised it is closer (Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in Generative
//! Models", 2020, compare the same two sets of distances). If no real samples were held out, the level is the distance from training samples
//! to the nearest *other* training sample, so that no training sample is left out of the search.
//!
//! Copies of images are searched among [`pictures`] of 16×16 pixels, and also mirrored: they are close to their original even if they are
//! blurred or shifted by a pixel. The features of a network are used where they tell single images apart: see
//! [`FeatureSpace::finds_copies`](crate::embed::FeatureSpace::finds_copies).

use super::{Better, DataKind, Inputs, Metric, Needs};
use crate::embed::area_means;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::pairs::{Nearest, nearest_among, nearest_except_own};
use candle_core::Tensor;
use rayon::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

/// How close generated samples are to the training set. Distances are Euclidean, in the features' units.
#[derive(Clone, Debug, PartialEq)]
pub struct Memorisation {
    /// Distance from each generated sample to the nearest training sample.
    pub generated: Vec<f64>,
    /// Median distance of generated samples over that of real samples: below 1 they are closer to the training data than real data are.
    pub ratio: f64,
    /// Generated samples closer than this count as copies.
    pub threshold: f64,
    /// Share of copies, in [0, 1].
    pub copies: f64,
}

/// Percentile of real samples' distances below which a generated sample counts as a copy.
const PERCENTILE: f64 = 1.0;
/// Maximum number of training samples whose distances to the others are the level of real samples.
const LEVEL: usize = 2000;
/// Rows and columns of a picture.
const SIDE: usize = 16;

/// Training samples, and how far real samples are from them.
#[derive(Clone, Debug)]
pub struct TrainingSet<'a> {
    samples: &'a Features,
    /// Whether the samples are pictures, which are also compared with the mirror images.
    are_pictures: bool,
}

impl<'a> TrainingSet<'a> {
    /// Returns training samples `[M, D]`.
    ///
    /// # Errors
    /// If there are none or numbers are not finite.
    pub fn new(samples: &'a Features) -> Result<Self> {
        check(samples, "training")?;
        Ok(Self { samples, are_pictures: false })
    }

    /// Returns training samples that are [`pictures`].
    ///
    /// # Errors
    /// As [`TrainingSet::new`].
    pub fn of_pictures(samples: &'a Features) -> Result<Self> {
        Ok(Self { are_pictures: true, ..Self::new(samples)? })
    }

    /// Returns the distance from each of `samples` `[N, D]` to the nearest training sample. Distances are exact to f64; it needs the memory
    /// of a copy of the sets and a few MiB.
    ///
    /// # Errors
    /// If there are none, widths differ or numbers are not finite.
    pub fn distances(&self, samples: &Features, what: &'static str) -> Result<Vec<f64>> {
        check(samples, what)?;
        self.samples.check_width(samples)?;
        Ok(self.nearest(samples, |samples| nearest_among(samples, self.samples, 1)))
    }

    /// Returns the distance from training samples to the nearest other one, 2,000 at most. Copies within the training set count once.
    fn among_themselves(&self) -> Result<Vec<f64>> {
        let mut seen = HashSet::new();
        let first = |i: &usize| seen.insert(self.samples.row(*i).iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        let unique = self.samples.pick(&(0..self.samples.len()).filter(first).collect::<Vec<_>>());
        unique.check_count(2, "nearest neighbours", "different training", "hundreds make it meaningful")?;
        let distances = self.nearest(&unique.first(LEVEL), |samples| nearest_except_own(samples, &unique, 1));
        // An image and its mirror image in the same set say nothing about others.
        Ok(distances.into_iter().filter(|distance| *distance > 0.0).collect())
    }

    /// Returns the distance to the nearest that `search` finds for each sample and for its mirror image.
    fn nearest(&self, samples: &Features, search: impl Fn(&Features) -> Vec<Nearest>) -> Vec<f64> {
        let squared = |found: Vec<Nearest>| found.into_iter().map(|nearest| nearest.found[0].0).collect::<Vec<f64>>();
        let mut distances = squared(search(samples));
        if self.are_pictures {
            let of_mirrored = squared(search(&mirrored(samples)));
            distances.iter_mut().zip(of_mirrored).for_each(|(a, b)| *a = a.min(b));
        }
        distances.into_iter().map(f64::sqrt).collect()
    }

    /// Returns the distances of real samples: of those that were held out `[H, D]`, or else of training samples to each other.
    ///
    /// # Errors
    /// If widths differ, numbers are not finite, or half of the samples are training samples.
    pub fn level(&self, held_out: Option<&Features>) -> Result<Level> {
        let distances = match held_out {
            Some(held_out) => self.distances(held_out, "held-out")?,
            None => self.among_themselves()?,
        };
        if distances.is_empty() {
            return Err(Error::values("training samples", "they are all the same: take different ones"));
        }
        let median = percentile(&distances, 50.0);
        if median == 0.0 {
            let problem = "at least half of them are training samples too: hold out others";
            return Err(Error::values("held-out samples", problem));
        }
        Ok(Level { median, threshold: percentile(&distances, PERCENTILE) })
    }

    /// Compares the distances of generated samples `[N, D]` with the level of real ones.
    ///
    /// # Errors
    /// As [`TrainingSet::distances`].
    pub fn compare(&self, generated: &Features, level: &Level) -> Result<Memorisation> {
        let generated = self.distances(generated, "generated")?;
        let Level { median, threshold } = *level;
        let near = generated.iter().filter(|distance| **distance < threshold).count();
        let copies = near as f64 / generated.len() as f64;
        let ratio = percentile(&generated, 50.0) / median;
        Ok(Memorisation { generated, ratio, threshold, copies })
    }
}

/// Distances of real samples to the nearest training sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Their median.
    pub median: f64,
    /// Their first percentile.
    pub threshold: f64,
}

fn check(samples: &Features, what: &'static str) -> Result<()> {
    samples.check_count(1, "nearest neighbours", what, "hundreds make it meaningful")?;
    samples.check_finite(what)
}

/// Returns images `[N, C, H, W]` as means over 16×16 areas, `[N, C·16·16]`.
///
/// # Errors
/// From candle, and if these are no images.
pub fn pictures(images: &Tensor) -> Result<Features> {
    let (_, c, h, w) = images.dims4()?;
    let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
    Features::new(area_means(&values, [h, w], [SIDE, SIDE]), c * SIDE * SIDE)
}

/// Returns pictures with left and right exchanged.
fn mirrored(pictures: &Features) -> Features {
    let mut mirrored = pictures.clone();
    mirrored.map(|values| values.chunks_exact_mut(SIDE).for_each(<[f32]>::reverse));
    mirrored
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

/// Computes the distances of both figures once, and the level of real samples once for all sets.
fn distances(inputs: &Inputs<'_>) -> Result<Arc<Memorisation>> {
    let training =
        TrainingSet { are_pictures: inputs.copies.are_pictures, ..TrainingSet::new(inputs.copies.training)? };
    let level = inputs.shared_of_real(|| training.level(inputs.copies.held_out))?;
    inputs.shared(|| training.compare(inputs.copies.generated, &level))
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

    fn compared(generated: &Features, held_out: Option<&Features>, training: &Features) -> Result<Memorisation> {
        let training = TrainingSet::new(training)?;
        training.compare(generated, &training.level(held_out)?)
    }

    /// `n` images of a few random waves, `[n, 3, 64, 64]`: different, and smooth as photographs are.
    fn images(seed: u64, n: usize) -> Vec<f32> {
        let mut rng = Rng::new(seed);
        let mut values = Vec::with_capacity(n * 3 * 64 * 64);
        for _ in 0..n * 3 {
            let waves: Vec<[f32; 4]> = (0..6)
                .map(|_| [rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), rng.uniform(0.0, 6.3), rng.uniform(0.1, 0.4)])
                .collect();
            for (y, x) in (0..64).flat_map(|y| (0..64).map(move |x| (y as f32, x as f32))) {
                values.push(waves.iter().map(|[a, b, phase, height]| height * (a * x + b * y + phase).sin()).sum());
            }
        }
        values
    }

    /// Pictures of the images whose pixel (x, y) is the mean of `from` at the columns that `columns` returns for x.
    fn changed(from: &[f32], columns: impl Fn(usize) -> Vec<usize>) -> Features {
        let row = |row: &[f32]| {
            let mean = |x: usize| columns(x).iter().map(|x| row[*x]).sum::<f32>() / columns(x).len() as f32;
            (0..64).map(mean).collect::<Vec<_>>()
        };
        let values: Vec<f32> = from.chunks(64).flat_map(row).collect();
        let n = values.len() / (3 * 64 * 64);
        pictures(&Tensor::from_vec(values, (n, 3, 64, 64), &candle_core::Device::Cpu).unwrap()).unwrap()
    }

    #[test]
    fn mirrored_shifted_and_blurred_copies_of_images_are_found_and_new_images_are_not() {
        let of = images(1, 100);
        let training = changed(&of, |x| vec![x]);
        let training = TrainingSet::of_pictures(&training).unwrap();
        let level = training.level(None).unwrap();
        let found = |generated: Features| training.compare(&generated, &level).unwrap();
        let far = 63;
        for (what, copies) in [
            ("mirrored", changed(&of, |x| vec![far - x])),
            ("shifted", changed(&of, |x| vec![(x + 1).min(far)])),
            ("mirrored and shifted", changed(&of, |x| vec![(far - x + 1).min(far)])),
            ("blurred", changed(&of, |x| vec![x.saturating_sub(1), x, (x + 1).min(far)])),
        ] {
            let found = found(copies);
            assert!(found.copies > 0.95 && found.ratio < 0.5, "{what}: {} {}", found.copies, found.ratio);
        }
        let honest = found(changed(&images(2, 100), |x| vec![x]));
        assert!(honest.copies < 0.1 && (0.8..1.2).contains(&honest.ratio), "{} {}", honest.copies, honest.ratio);
    }

    #[test]
    fn copies_within_the_training_set_do_not_hide_copies_of_it() {
        let of = images(1, 60);
        let mut training = changed(&of, |x| vec![x]);
        let twice = training.clone();
        training.append(&twice.first(40)).unwrap();
        training.append(&mirrored(&twice.first(20))).unwrap();
        let training = TrainingSet::of_pictures(&training).unwrap();
        let level = training.level(None).unwrap();
        assert!(level.threshold > 0.0);
        assert_eq!(training.compare(&twice, &level).unwrap().copies, 1.0);
        let same = Features::new(vec![1.0; 30], 3).unwrap();
        assert!(TrainingSet::new(&same).unwrap().level(None).is_err());
    }

    #[test]
    fn the_nearest_are_those_of_plain_loops() {
        let (samples, training) = (made(1, 70, 9), made(2, 90, 9));
        let found = TrainingSet::new(&training).unwrap().distances(&samples, "compared").unwrap();
        for (i, row) in samples.rows().enumerate() {
            let to = |other: &[f32]| crate::pairs::squared(row, other).sqrt();
            let best = training.rows().map(to).fold(f64::INFINITY, f64::min);
            assert_eq!(found[i], best);
        }
    }

    #[test]
    fn fresh_samples_look_like_held_out_ones_and_copies_do_not() {
        let (training, held_out) = (made(1, 600, 6), made(2, 300, 6));
        let fresh = compared(&made(3, 300, 6), Some(&held_out), &training).unwrap();
        assert!((0.9..1.1).contains(&fresh.ratio), "{}", fresh.ratio);
        assert!(fresh.copies < 0.05);
        let (copies, noise) = (training.first(300), made(4, 300, 6));
        let noisy = copies.values().iter().zip(noise.values()).map(|(x, e)| x + 0.01 * e);
        let copied = compared(&Features::new(noisy.collect(), 6).unwrap(), Some(&held_out), &training).unwrap();
        assert!(copied.ratio < 0.1 && copied.copies == 1.0);
    }

    #[test]
    fn half_copies_are_a_share_of_half() {
        let (training, held_out) = (made(1, 200, 6), made(2, 100, 6));
        let away = Features::new(made(3, 50, 6).values().iter().map(|x| x + 9.0).collect(), 6).unwrap();
        let mut mixed = training.first(50);
        mixed.append(&away).unwrap();
        assert_eq!(compared(&mixed, Some(&held_out), &training).unwrap().copies, 0.5);
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
        let (a, b, none) = (made(1, 5, 3), made(2, 5, 3), Features::empty(3));
        let message =
            |generated, held_out, training| compared(generated, Some(held_out), training).unwrap_err().to_string();
        assert!(message(&b, &a, &a).contains("hold out others"));
        assert!(message(&none, &b, &a).contains("0 generated samples"));
        assert!(message(&a, &none, &a).contains("0 held-out samples"));
        assert!(message(&a, &a, &none).contains("0 training samples"));
        assert!(message(&made(1, 5, 4), &b, &a).contains("3 and 4 numbers"));
    }
}
