//! Mode coverage: how many of the data's known modes a generator reaches, how cleanly and how evenly.
//!
//! Source: the protocol of PacGAN (Lin, Khetan, Fanti, Oh 2018, arXiv:1712.04086, section 4.1 for points, 4.2 for Stacked MNIST),
//! read together with its public code (github.com/fjxmlzn/PacGAN):
//! - A sample belongs to its nearest mode. It is of high quality if it is less than 3σ away from it, in Euclidean distance.
//! - A mode is found if at least one high-quality sample belongs to it.
//! - p is the share of each mode among the *high-quality* samples; samples between the modes are not counted.
//! - The reverse KL is KL(p ‖ q) = Σ p·ln(p/q) in nats, where q is uniform; 0 is best. With M modes it is ln M minus the entropy of p, so a
//!   generator of one mode has ln M.

use super::inputs::lacks;
use super::{Better, DataKind, Inputs, Metric, Needs, inception_score};
use crate::error::{Error, Result};
use crate::features::Features;
use gan_base::messages::counted;
use rayon::prelude::*;
use std::sync::Arc;

/// Number of samples in the protocol for points in the plane.
const POINTS: usize = 2_500;
/// A sample of high quality is closer to its mode than this many standard deviations.
const RADIUS: f64 = 3.0;

/// Modes of points.
#[derive(Clone, Debug, PartialEq)]
pub struct Modes {
    /// `[M, D]`, in the data's units.
    centres: Vec<Vec<f64>>,
    sigma: f64,
}

/// Distribution of samples over modes.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// Number of samples.
    pub samples: usize,
    /// Number of high-quality samples of each mode `[M]`.
    pub counts: Vec<usize>,
}

impl Coverage {
    /// Returns the number of modes that are found.
    pub fn found(&self) -> usize {
        self.counts.iter().filter(|count| **count > 0).count()
    }

    /// Returns the share of high-quality samples, in [0, 1].
    pub fn high_quality(&self) -> f64 {
        self.counts.iter().sum::<usize>() as f64 / self.samples as f64
    }

    /// Returns KL(p ‖ q) in nats, 0 or more; `None` if no sample is of high quality.
    pub fn reverse_kl(&self) -> Option<f64> {
        let total = self.counts.iter().sum::<usize>();
        let q = 1.0 / self.counts.len() as f64;
        let p = self.counts.iter().map(|count| *count as f64 / total as f64).filter(|p| *p > 0.0);
        (total > 0).then(|| p.map(|p| p * (p / q).ln()).sum::<f64>().max(0.0))
    }
}

impl Modes {
    /// Returns equally likely modes around `centres` `[M, D]` with the standard deviation `sigma` of each coordinate.
    ///
    /// # Errors
    /// [`Error::Values`] if there are none, their dimensions differ, or a number cannot be used.
    pub fn new(centres: &[impl AsRef<[f64]>], sigma: f64) -> Result<Self> {
        let centres: Vec<Vec<f64>> = centres.iter().map(|centre| centre.as_ref().to_vec()).collect();
        let dim = centres.first().map_or(0, Vec::len);
        if dim == 0 || centres.iter().any(|c| c.len() != dim || !c.iter().all(|x| x.is_finite())) {
            let problem =
                "expected one or more centres with as many finite coordinates each: curves, for example, have no modes";
            return Err(Error::values(counted(centres.len(), "mode"), problem));
        }
        if !(sigma.is_finite() && sigma > 0.0) {
            let problem =
                format!("found a standard deviation of {sigma}, expected one above 0: it says what is near a mode");
            return Err(Error::values("modes", problem));
        }
        Ok(Self { centres, sigma })
    }

    /// Returns the distribution of `samples` `[N, D]`, in the data's units, over the modes. The protocol takes 2,500 samples.
    ///
    /// # Errors
    /// If there are no samples, their dimension differs, or they are not finite.
    pub fn coverage(&self, samples: &Features) -> Result<Coverage> {
        samples.check_count(1, "mode coverage", "generated", "generate some")?;
        let dim = self.centres[0].len();
        if samples.dim() != dim {
            let advice = "compare points with the modes of their own data";
            let found = counted(samples.dim(), "coordinate");
            return Err(Error::mismatch("samples", found, format!("{dim}, as modes"), advice));
        }
        samples.check_finite("generated")?;
        let rows: Vec<&[f32]> = samples.rows().collect();
        let modes: Vec<Option<usize>> = rows.par_iter().map(|row| self.mode_of(row)).collect();
        let mut counts = vec![0; self.centres.len()];
        modes.into_iter().flatten().for_each(|mode| counts[mode] += 1);
        Ok(Coverage { samples: samples.len(), counts })
    }

    /// Returns the mode of a point `[D]` of high quality; of two that are equally near, the first.
    fn mode_of(&self, point: &[f32]) -> Option<usize> {
        let squared = |centre: &Vec<f64>| -> f64 {
            centre.iter().zip(point).map(|(c, x)| (f64::from(*x) - c) * (f64::from(*x) - c)).sum()
        };
        let distances = self.centres.iter().map(squared).enumerate();
        let (mode, nearest) = distances.min_by(|a, b| a.1.total_cmp(&b.1))?;
        (nearest.sqrt() < RADIUS * self.sigma).then_some(mode)
    }
}

/// What counts as a mode.
#[derive(Clone, Debug)]
pub enum ModesOf {
    /// Places among points.
    Points(Modes),
    /// Classes of the network.
    Classes,
}

const PAPER: &str = "Lin, Khetan, Fanti and Oh 2018, arXiv:1712.04086";

/// Counts the samples of each mode once for all figures.
fn coverage(inputs: &Inputs<'_>) -> Result<Arc<Coverage>> {
    inputs.shared(|| match inputs.modes {
        Some(ModesOf::Points(modes)) => modes.coverage(&inputs.generated.first(POINTS)),
        Some(ModesOf::Classes) => {
            let histogram = inception_score::score(inputs)?.histogram;
            let counts: Vec<usize> = histogram.iter().map(|count| *count as usize).collect();
            Ok(Coverage { samples: counts.iter().sum(), counts })
        }
        None => Err(lacks("modes", "modes to count")),
    })
}

/// The number of modes that are found.
pub(super) static MODES_REACHED: Metric = Metric {
    needs: Needs::Modes,
    in_training: &[DataKind::ManyClasses, DataKind::PointsAroundModes],
    aliases: &["mode_coverage"],
    ..Metric::new("modes", "Modes reached", Better::Higher, PAPER, |inputs| {
        Ok((coverage(inputs)?.found() as f64).into())
    })
};

/// The share of samples within 3σ of a mode.
pub(super) static HIGH_QUALITY: Metric = Metric {
    needs: Needs::Modes,
    in_training: &[DataKind::PointsAroundModes],
    ..Metric::new("high_quality", "Samples within 3σ of a mode", Better::Higher, PAPER, |inputs| {
        Ok(coverage(inputs)?.high_quality().into())
    })
};

/// The KL divergence of the modes' shares from the real ones.
pub(super) static REVERSE_KL: Metric = Metric {
    needs: Needs::Modes,
    in_training: &[DataKind::ManyClasses, DataKind::PointsAroundModes],
    chooses_best: &[DataKind::ManyClasses],
    aliases: &["kl"],
    ..Metric::new("reverse_kl", "Reverse KL over the modes", Better::Lower, PAPER, |inputs| {
        let found = coverage(inputs)?;
        // Without samples near a mode there is no divergence; this is the maximum, that of all samples in one mode.
        Ok(found.reverse_kl().unwrap_or((found.counts.len() as f64).ln()).into())
    })
};

#[cfg(test)]
mod tests;
