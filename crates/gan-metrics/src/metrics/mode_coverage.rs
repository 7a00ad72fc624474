//! Mode coverage: how many of the data's known modes a generator reaches, how cleanly and how evenly.
//!
//! Source: the protocol of PacGAN (Lin, Khetan, Fanti, Oh 2018, arXiv:1712.04086, section 4.1 for points, 4.2 for Stacked MNIST),
//! read together with its public code (github.com/fjxmlzn/PacGAN):
//! - A sample belongs to its nearest mode. It is of high quality if it is less than 3σ away from it, in Euclidean distance.
//! - A mode is found if at least one high-quality sample belongs to it.
//! - p is the share of each mode among the *high-quality* samples; those in between belong to none.
//! - The reverse KL is KL(p ‖ q) = Σ p·ln(p/q) in nats, q the data's shares, by default uniform; 0 is best. Given uniform q
//!   and M modes it is ln M less the entropy of p, so a generator of one mode has ln M.
//!
//! The public code writes down the Jensen–Shannon divergence of p and q for points, and KL(p ‖ q) with uniform q for
//! Stacked MNIST; both stand in [`Coverage`].

use super::inputs::lacks;
use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo, Needs, inception_score};
use crate::error::{Error, Result};
use crate::features::Features;
use gan_base::messages::counted;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Samples that the protocol takes for points in the plane.
pub const POINTS: usize = 2_500;
/// Samples that the protocol takes for Stacked MNIST.
pub const STACKED: usize = 26_000;
/// A sample of high quality is nearer to its mode than this many standard deviations.
pub const RADIUS: f64 = 3.0;

/// Where the data's modes are.
#[derive(Clone, Debug, PartialEq)]
pub struct Modes {
    /// `[M, D]`, in the data's units.
    centres: Vec<Vec<f64>>,
    sigma: f64,
    /// q `[M]`, which adds up to 1.
    shares: Vec<f64>,
}

/// How samples spread over modes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Samples looked at.
    pub samples: usize,
    /// `[M]`: of these, the high-quality ones of each mode.
    pub counts: Vec<usize>,
    /// KL(p ‖ q) in nats, 0 or more. None where it is no number: no sample is of high quality, or one is of a mode whose share
    /// in the data is 0.
    pub reverse_kl: Option<f64>,
    /// Jensen–Shannon divergence of p and q in nats, 0 to ln 2; none where no sample is of high quality.
    pub jensen_shannon: Option<f64>,
}

impl Coverage {
    /// How many modes M there are.
    pub fn modes(&self) -> usize {
        self.counts.len()
    }

    /// How many of the modes are found.
    pub fn found(&self) -> usize {
        self.counts.iter().filter(|count| **count > 0).count()
    }

    /// The share of samples of high quality, 0 to 1.
    pub fn high_quality(&self) -> f64 {
        self.counts.iter().sum::<usize>() as f64 / self.samples as f64
    }

    /// From the counts of each mode and the data's shares.
    fn new(samples: usize, counts: Vec<usize>, shares: &[f64]) -> Self {
        let total = counts.iter().sum::<usize>();
        let p: Vec<f64> = counts.iter().map(|count| *count as f64 / total as f64).collect();
        let mixture: Vec<f64> = p.iter().zip(shares).map(|(p, q)| (p + q) / 2.0).collect();
        let some = |value: f64| (total > 0 && value.is_finite()).then_some(value.max(0.0));
        let reverse_kl = some(kl(&p, shares));
        let jensen_shannon = some((kl(&p, &mixture) + kl(shares, &mixture)) / 2.0);
        Self { samples, counts, reverse_kl, jensen_shannon }
    }
}

impl Modes {
    /// Modes around `centres` `[M, D]` with standard deviation `sigma` of each coordinate, all equally likely.
    ///
    /// # Errors
    /// [`Error::Values`] where there are none, they differ in dimension, or a number is no usable one.
    pub fn new(centres: &[impl AsRef<[f64]>], sigma: f64) -> Result<Self> {
        let centres: Vec<Vec<f64>> = centres.iter().map(|centre| centre.as_ref().to_vec()).collect();
        let dim = centres.first().map_or(0, Vec::len);
        if dim == 0 || centres.iter().any(|c| c.len() != dim || !c.iter().all(|x| x.is_finite())) {
            let problem =
                "expected one or more centres with as many finite coordinates each: curves, for example, have no modes";
            return Err(Error::Values { what: counted(centres.len(), "mode"), problem: problem.into() });
        }
        if !(sigma.is_finite() && sigma > 0.0) {
            let problem =
                format!("found a standard deviation of {sigma}, expected one above 0: it says what is near a mode");
            return Err(Error::Values { what: "modes".into(), problem });
        }
        let shares = uniform(centres.len());
        Ok(Self { centres, sigma, shares })
    }

    /// The same modes with the data's `shares` `[M]` of each, or numbers in their proportion.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where they are not one for each mode; [`Error::Values`] where they are no shares.
    pub fn with_shares(self, shares: &[f64]) -> Result<Self> {
        let shares = normalised(shares, self.centres.len())?;
        Ok(Self { shares, ..self })
    }

    /// Coordinates of a point.
    pub fn dim(&self) -> usize {
        self.centres[0].len()
    }

    /// How `samples` `[N, D]`, in the data's own units, spread over the modes. The protocol takes [`POINTS`] of them.
    ///
    /// # Errors
    /// If there are no samples, their dimension is another, or they are not finite.
    pub fn coverage(&self, samples: &Features) -> Result<Coverage> {
        if samples.is_empty() {
            return Err(none("mode coverage"));
        }
        if samples.dim() != self.dim() {
            let (found, expected) = (counted(samples.dim(), "coordinate"), format!("{}, as modes", self.dim()));
            let advice = "compare points with the modes of their own data".into();
            return Err(Error::Mismatch { what: "samples".into(), found, expected, advice });
        }
        samples.check_finite("generated")?;
        let rows: Vec<&[f32]> = samples.rows().collect();
        let near: Vec<Option<usize>> = rows.par_iter().map(|row| self.mode_of(row)).collect();
        let mut counts = vec![0; self.centres.len()];
        near.into_iter().flatten().for_each(|mode| counts[mode] += 1);
        Ok(Coverage::new(samples.len(), counts, &self.shares))
    }

    /// The mode of a point `[D]`, if it is of high quality; of two that are equally near, the first.
    fn mode_of(&self, point: &[f32]) -> Option<usize> {
        let squared = |centre: &Vec<f64>| -> f64 {
            centre.iter().zip(point).map(|(c, x)| (f64::from(*x) - c) * (f64::from(*x) - c)).sum()
        };
        let distances = self.centres.iter().map(squared).enumerate();
        let (mode, nearest) = distances.min_by(|a, b| a.1.total_cmp(&b.1))?;
        (nearest.sqrt() < RADIUS * self.sigma).then_some(mode)
    }
}

/// Coverage of classes: `labels` `[N]`, each from 0 to `modes` − 1, as a classifier gives them to samples. Every sample counts.
/// q are the data's `shares` `[M]`, or numbers in their proportion; uniform where not given.
///
/// Stacked MNIST: `of_labels(&joint(&[red, green, blue], 10)?, 1000, None)` over [`STACKED`] samples.
///
/// # Errors
/// If there are no samples, a label is no mode's, or the shares are not one for each mode.
pub fn of_labels(labels: &[u32], modes: usize, shares: Option<&[f64]>) -> Result<Coverage> {
    if labels.is_empty() {
        return Err(none("mode coverage"));
    }
    let shares = shares.map_or_else(|| Ok(uniform(modes)), |shares| normalised(shares, modes))?;
    let mut counts = vec![0; modes];
    for &label in labels {
        *counts.get_mut(label as usize).ok_or_else(|| no_such_class(label, modes))? += 1;
    }
    Ok(Coverage::new(labels.len(), counts, &shares))
}

/// One label a sample from several: `parts` `[K][N]`, each from 0 to `classes` − 1, become the digits of a number of that base, the
/// first in front. For Stacked MNIST, 100·red + 10·green + blue.
///
/// # Errors
/// If the parts differ in length, a label is too large, or the numbers do not fit.
pub fn joint(parts: &[&[u32]], classes: u32) -> Result<Vec<u32>> {
    let samples = parts.first().map_or(0, |part| part.len());
    if let Some(part) = parts.iter().find(|part| part.len() != samples) {
        let (found, expected) = (format!("{} and {samples} samples", part.len()), "the same for all parts".into());
        let advice = "classify every part of every sample".into();
        return Err(Error::Mismatch { what: "labels".into(), found, expected, advice });
    }
    let append = |number: u32, label: u32| match (label < classes, number.checked_mul(classes)) {
        (true, Some(shifted)) => shifted.checked_add(label).ok_or_else(|| no_such_class(label, classes as usize)),
        _ => Err(no_such_class(label, classes as usize)),
    };
    (0..samples).map(|i| parts.iter().try_fold(0, |number, part| append(number, part[i]))).collect()
}

/// Σ p·ln(p/q) over p > 0.
fn kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum()
}

fn uniform(modes: usize) -> Vec<f64> {
    vec![1.0 / modes as f64; modes]
}

/// Shares that add up to 1.
fn normalised(shares: &[f64], modes: usize) -> Result<Vec<f64>> {
    if shares.len() != modes {
        let (found, expected) = (format!("{} shares", shares.len()), format!("{modes}, one for each mode"));
        let advice = "count the data's samples of every mode".into();
        return Err(Error::Mismatch { what: "modes".into(), found, expected, advice });
    }
    let total: f64 = shares.iter().sum();
    if !(total.is_finite() && total > 0.0) || shares.iter().any(|share| *share < 0.0) {
        let problem =
            format!("expected numbers of 0 or more, found some that add up to {total}: give each mode's count");
        return Err(Error::Values { what: "shares of modes".into(), problem });
    }
    Ok(shares.iter().map(|share| share / total).collect())
}

fn none(metric: &'static str) -> Error {
    Error::TooFew { metric, what: "generated", found: 0, needed: 1, advice: "generate some" }
}

fn no_such_class(label: u32, classes: usize) -> Error {
    let (found, expected) = (format!("class {label}"), format!("0 to {}", classes.saturating_sub(1)));
    let advice = "say how many classes the classifier has".into();
    Error::Mismatch { what: "labels".into(), found, expected, advice }
}

/// What counts as a mode.
#[derive(Clone, Debug)]
pub enum ModesOf {
    /// Places among points.
    Points(Modes),
    /// The classes of the network.
    Classes,
}

const PAPER: &str = "Lin, Khetan, Fanti and Oh 2018, arXiv:1712.04086";

/// All figures' counts, which are taken once.
fn counts(inputs: &Inputs<'_>) -> Result<Arc<Coverage>> {
    inputs.shared(|| match inputs.modes {
        Some(ModesOf::Points(modes)) => modes.coverage(&inputs.generated.first(POINTS)),
        Some(ModesOf::Classes) => {
            let counts = inception_score::score(inputs, "modes")?.histogram;
            let labels = (0..).zip(&counts).flat_map(|(class, count)| std::iter::repeat_n(class, *count as usize));
            of_labels(&labels.collect::<Vec<u32>>(), counts.len(), None)
        }
        None => Err(lacks("modes", "modes to count")),
    })
}

/// How many modes are reached.
#[derive(Clone, Copy, Debug)]
pub struct ModesReached;

impl Metric for ModesReached {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::Modes,
            in_training: &[DataKind::ManyClasses, DataKind::PointsAroundModes],
            aliases: &["mode_coverage"],
            ..MetricInfo::new("modes", "Modes reached", Better::Higher, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok((counts(inputs)?.found() as f64).into())
    }
}

/// The share of samples within 3σ of a mode.
#[derive(Clone, Copy, Debug)]
pub struct HighQuality;

impl Metric for HighQuality {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::Modes,
            in_training: &[DataKind::PointsAroundModes],
            ..MetricInfo::new("high_quality", "Samples within 3σ of a mode", Better::Higher, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        Ok(counts(inputs)?.high_quality().into())
    }
}

/// The KL divergence of the modes' shares from the real ones.
#[derive(Clone, Copy, Debug)]
pub struct ReverseKl;

impl Metric for ReverseKl {
    fn info(&self) -> MetricInfo {
        MetricInfo {
            needs: Needs::Modes,
            in_training: &[DataKind::ManyClasses, DataKind::PointsAroundModes],
            chooses_best: &[DataKind::ManyClasses],
            aliases: &["kl"],
            ..MetricInfo::new("reverse_kl", "Reverse KL over the modes", Better::Lower, PAPER)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let found = counts(inputs)?;
        // Without a single sample near a mode there is no divergence: the largest that there can be, of all samples on one of even modes.
        Ok(found.reverse_kl.unwrap_or((found.modes() as f64).ln()).into())
    }
}

#[cfg(test)]
mod tests;
