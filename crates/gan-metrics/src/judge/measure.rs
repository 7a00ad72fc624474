//! One set of samples against the real ones, metric by metric; what several metrics share is computed once.

use super::ModesOf;
use crate::error::{Error, Result};
use crate::features::Features;
use crate::metric::Metric;
use crate::modes::{self, Coverage};
use crate::moments::Moments;
use crate::neighbours::{self, Memorisation};
use crate::prdc::{self, Prdc};
use crate::score::{Score, Scorer};
use crate::sliced::{self, Directions};
use crate::{diversity, energy, frechet, kid};
use gan_base::Rng;
use std::cell::OnceCell;

/// Neighbours that precision, recall, density and coverage look at.
const NEIGHBOURS: usize = 5;
/// Directions of the sliced distance.
const DIRECTIONS: usize = 128;
/// Pairs that diversity is taken over.
const PAIRS: usize = 20_000;
/// Points of each kind that the two-sample test takes: its time grows with their square.
const TESTED: usize = 2000;

/// A metric's value.
pub(super) struct Measured {
    pub(super) value: f64,
    /// Standard deviation over subsets.
    pub(super) deviation: Option<f64>,
    /// Why not to trust it.
    pub(super) warning: Option<String>,
}

impl From<f64> for Measured {
    fn from(value: f64) -> Self {
        Self { value, deviation: None, warning: None }
    }
}

/// Samples and the real ones that they are measured against.
pub(super) struct Measuring<'a> {
    pub(super) real: &'a Features,
    pub(super) prepared: Option<&'a frechet::Prepared>,
    pub(super) train: &'a Features,
    pub(super) generated: &'a Features,
    pub(super) moments: &'a Moments,
    pub(super) score: Option<&'a Scorer>,
    pub(super) asked: [u64; 2],
    pub(super) modes: Option<&'a ModesOf>,
    pub(super) seed: u64,
    pub(super) prdc: OnceCell<Prdc>,
    pub(super) memory: OnceCell<Memorisation>,
    pub(super) coverage: OnceCell<Coverage>,
}

/// The value in `cell`, made by `make` if there is none yet.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

impl Measuring<'_> {
    pub(super) fn measure(&self, metric: Metric) -> Result<Measured> {
        let cut = self.generated.len();
        self.compute(metric).map_err(|error| match error {
            // As many real samples as generated ones were taken: it is the generated ones that are too few.
            Error::TooFew { metric, what: "real", found, needed, advice } if found == cut && cut < self.real.len() => {
                Error::TooFew { metric, what: "generated", found, needed, advice }
            }
            other => other,
        })
    }

    fn compute(&self, metric: Metric) -> Result<Measured> {
        let mut rng = Rng::stream(self.seed, metric.name());
        Ok(match metric {
            Metric::Fid => self.fid()?,
            Metric::Kid => {
                let found = kid::kid(self.real, self.generated, kid::SUBSETS, &mut rng)?;
                Measured { deviation: Some(found.std), ..found.mean.into() }
            }
            Metric::Precision => self.neighbourhoods(|found| found.precision)?,
            Metric::Recall => self.neighbourhoods(|found| found.recall)?,
            Metric::Density => self.neighbourhoods(|found| found.density)?,
            Metric::Coverage => self.neighbourhoods(|found| found.coverage)?,
            Metric::Score => self.score(metric)?.mean.into(),
            Metric::Confident => self.score(metric)?.sure.into(),
            Metric::ClassBalance => imbalance(&self.score(metric)?.histogram).into(),
            Metric::AsAsked => (self.asked[1] as f64 / self.asked[0] as f64).into(),
            Metric::Sliced => {
                let (real, generated) = self.as_many();
                sliced::distance(&real, &generated, &Directions::draw(DIRECTIONS, real.dim(), &mut rng))?.into()
            }
            Metric::Memorisation => self.memory()?.ratio.into(),
            Metric::NearCopies => self.memory()?.copies.into(),
            Metric::Diversity => diversity::diversity(self.real, self.generated, PAIRS, &mut rng)?.ratio.into(),
            Metric::Modes => (self.coverage()?.found() as f64).into(),
            Metric::HighQuality => self.coverage()?.high_quality().into(),
            Metric::ReverseKl => self.reverse_kl()?.into(),
            Metric::Energy => {
                let (real, generated) = self.as_many();
                energy::distance(&real, &generated)?.into()
            }
            Metric::TwoSample => {
                let (real, generated) = self.as_many();
                let (real, generated) = (real.first(TESTED), generated.first(TESTED));
                energy::two_sample(&real, &generated, energy::PERMUTATIONS, &mut rng)?.p_value.into()
            }
        })
    }

    /// The first real and generated samples, as many of both: for methods that depend on the numbers.
    fn as_many(&self) -> (Features, Features) {
        let n = self.real.len().min(self.generated.len());
        (self.real.first(n), self.generated.first(n))
    }

    fn fid(&self) -> Result<Measured> {
        let Some(prepared) = self.prepared else {
            let (found, advice) = (self.real.len(), "a covariance takes two; thousands make it meaningful");
            return Err(Error::TooFew { metric: "Fréchet distance", what: "real", found, needed: 2, advice });
        };
        let found = prepared.distance(self.moments)?;
        Ok(Measured { warning: found.warning, ..found.distance.into() })
    }

    fn neighbourhoods(&self, of: impl Fn(&Prdc) -> f64) -> Result<Measured> {
        let found = once(&self.prdc, || {
            let (real, generated) = self.as_many();
            prdc::prdc(&real, &generated, NEIGHBOURS)
        })?;
        Ok(Measured { warning: found.warning.clone(), ..of(found).into() })
    }

    fn memory(&self) -> Result<&Memorisation> {
        once(&self.memory, || neighbours::memorisation(self.generated, self.real, self.train))
    }

    fn score(&self, metric: Metric) -> Result<Score> {
        self.score.ok_or_else(|| lacks(metric, "a network that classifies"))?.score()
    }

    /// Without a single sample near a mode there is no divergence: the largest that there can be, of all samples on one of even modes.
    fn reverse_kl(&self) -> Result<f64> {
        let found = self.coverage()?;
        Ok(found.reverse_kl.unwrap_or((found.modes() as f64).ln()))
    }

    fn coverage(&self) -> Result<&Coverage> {
        once(&self.coverage, || match self.modes {
            Some(ModesOf::Points(modes)) => modes.coverage(&self.generated.first(modes::POINTS)),
            Some(ModesOf::Classes) => {
                let counts = self.score(Metric::Modes)?.histogram;
                let labels = (0..).zip(&counts).flat_map(|(class, count)| std::iter::repeat_n(class, *count as usize));
                modes::of_labels(&labels.collect::<Vec<u32>>(), counts.len(), None)
            }
            None => Err(lacks(Metric::Modes, "modes to look for")),
        })
    }
}

/// The largest departure of a class's share from an even one, relative to it.
fn imbalance(counts: &[u64]) -> f64 {
    let even = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts.iter().map(|count| (*count as f64 / even - 1.0).abs()).fold(0.0, f64::max)
}

fn lacks(metric: Metric, what: &str) -> Error {
    Error::Mismatch {
        what: format!("metric \"{}\"", metric.name()),
        found: "none".into(),
        expected: what.into(),
        advice: "leave the metric out".into(),
    }
}
