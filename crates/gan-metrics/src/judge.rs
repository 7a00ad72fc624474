//! All metrics together: samples go in a batch at a time, a card comes out.
//!
//! A [`Judge`] holds the network, the real samples' features and what was prepared from them; [`Gathered`] is a set of samples
//! on the way: its moments stream, and a bounded number of its features is kept for the metrics that need them one by one.

use crate::card::{Card, EmbedderCard, Figure, ImageSizes, Reference};
use crate::embed::{Embedder, Remembered, hash};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::frechet;
use crate::metric::Metric;
use crate::modes::Modes;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Features kept of each set, one by one; the moments are of all.
pub const KEPT: usize = 10_000;
/// Fewer real samples in a part of the data say nothing of what real samples reach.
pub const FEWEST: usize = 10;

mod gathered;
mod left_out;
mod measure;

pub use gathered::{Embedded, Gathered};
use left_out::LeftOut;
use measure::{Measured, Measuring};

/// Measures sets of samples against a real one.
pub struct Judge {
    embedder: Arc<dyn Embedder>,
    metrics: Vec<Metric>,
    modes: Option<ModesOf>,
    seed: u64,
    real: Option<Real>,
    /// What stands on every card.
    notes: Vec<String>,
}

/// The real samples, and what was prepared from them.
struct Real {
    described: RealSet,
    count: usize,
    hash: String,
    features: Features,
    prepared: Option<frechet::Prepared>,
    /// The lowest value of all samples.
    lowest: f32,
    /// Of the samples that were trained on.
    train: Features,
    floors: BTreeMap<Metric, f64>,
}

/// What counts as a mode.
#[derive(Clone, Debug)]
pub enum ModesOf {
    /// Places among points.
    Points(Modes),
    /// The classes of the network.
    Classes,
}

/// Where real samples come from.
#[derive(Clone, Debug)]
pub struct RealSet {
    /// The data set's name.
    pub data: String,
    /// Which part of it.
    pub split: String,
    /// Where it lies, where the user named a folder or a file.
    pub path: Option<String>,
    /// Where the second real set, of the floor, comes from; none where there is none.
    pub floor_split: Option<String>,
    /// The sizes of its images, where they are worth saying.
    pub sizes: Option<ImageSizes>,
}

impl Judge {
    /// By the features of `embedder`. `seed` decides every choice among samples.
    ///
    /// # Errors
    /// If a metric needs classes and the network has none.
    pub fn new(embedder: Arc<dyn Embedder>, metrics: &[Metric], seed: u64) -> Result<Self> {
        let classifies = !embedder.classes().is_empty();
        if let Some(metric) = metrics.iter().find(|metric| metric.needs_classes() && !classifies) {
            let (what, found) = (format!("metric \"{}\"", metric.name()), format!("\"{}\"", embedder.name()));
            let expected = "a network that classifies".into();
            return Err(Error::Mismatch { what, found, expected, advice: "leave it out, or name a classifier".into() });
        }
        Ok(Self { embedder, metrics: metrics.to_vec(), modes: None, seed, real: None, notes: vec![] })
    }

    /// With modes to count.
    pub fn with_modes(self, modes: ModesOf) -> Self {
        Self { modes: Some(modes), ..self }
    }

    /// With a note on every card.
    pub fn with_note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// Begins a set of samples.
    pub fn gather(&self) -> Gathered {
        self.gather_by(Arc::clone(&self.embedder))
    }

    /// Begins a set of real samples, whose embeddings are remembered in `folder` ([`crate::embed::remembered`]).
    pub fn gather_remembered(&self, folder: Option<PathBuf>) -> Gathered {
        match folder {
            Some(folder) => self.gather_by(Arc::new(Remembered::new(Arc::clone(&self.embedder), folder))),
            None => self.gather(),
        }
    }

    fn gather_by(&self, embedder: Arc<dyn Embedder>) -> Gathered {
        Gathered::new(embedder, self.embedder.classes().len())
    }

    /// Compares with `reference` from now on; `floor` are other real samples, which say what a perfect generator would get, and
    /// `train` those that were trained on, which copies are looked for among; there need be none of either.
    ///
    /// # Errors
    /// If there is no real sample, or there are too few for a floor.
    pub fn with_real(
        mut self,
        described: RealSet,
        reference: Gathered,
        floor: Option<&Gathered>,
        train: Gathered,
    ) -> Result<Self> {
        let needed = if floor.is_some() { FEWEST } else { 1 };
        let found = floor.map_or(reference.count, |floor| floor.count.min(reference.count));
        if found < needed {
            let advice = "judging takes so many of each part of the data";
            return Err(Error::TooFew { metric: "evaluation", what: "real", found, needed, advice });
        }
        let real = self.prepared(described, reference, train)?;
        let floors = floor.map_or_else(BTreeMap::new, |floor| self.floors(&real, floor));
        self.real = Some(Real { floors, ..real });
        Ok(self)
    }

    /// With the floor between two other sets of real samples, such as the halves of the reference.
    ///
    /// # Errors
    /// From linear algebra; if there are no real samples yet.
    pub fn with_floor_between(mut self, one: Gathered, other: &Gathered) -> Result<Self> {
        let described = self.real()?.described.clone();
        let none = self.gather();
        let floors = self.floors(&self.prepared(described, one, none)?, other);
        if let Some(real) = &mut self.real {
            real.floors = floors;
        }
        Ok(self)
    }

    /// What the metrics need of a real set.
    fn prepared(&self, described: RealSet, reference: Gathered, train: Gathered) -> Result<Real> {
        // One sample alone has no covariance: then the metric says so.
        let is_wanted = self.metrics.contains(&Metric::Fid) && reference.count > 1;
        let prepared = if is_wanted { Some(frechet::Prepared::new(&reference.moments)?) } else { None };
        Ok(Real {
            described,
            count: reference.count,
            lowest: reference.lowest,
            hash: hash::finished(reference.hash),
            features: reference.kept,
            prepared,
            train: train.kept,
            floors: BTreeMap::new(),
        })
    }

    /// What other real samples get in comparison with `real`.
    fn floors(&self, real: &Real, others: &Gathered) -> BTreeMap<Metric, f64> {
        let measuring = self.measuring(real, others);
        // Training samples are copies of themselves.
        let has_floor =
            |metric: &&Metric| !matches!(metric, Metric::Memorisation | Metric::NearCopies | Metric::AsAsked);
        let metrics = self.metrics.iter().filter(has_floor);
        metrics.filter_map(|metric| Some((*metric, measuring.measure(*metric).ok()?.value))).collect()
    }
}

impl Judge {
    /// What real samples reach in `metric`.
    pub fn floor(&self, metric: Metric) -> Option<f64> {
        self.real.as_ref()?.floors.get(&metric).copied()
    }

    /// The lowest value of all real samples, once there are any.
    pub fn lowest(&self) -> Option<f32> {
        self.real.as_ref().map(|real| real.lowest)
    }

    /// The card of a set of samples. `subject` names them; `seed` is what their noise came from. Metrics for which there are too few
    /// samples, or samples that nothing can be said of, are left out with a note.
    ///
    /// # Errors
    /// If every metric would be left out, or there are no real samples to compare with.
    pub fn card(&self, subject: &str, samples: &Gathered, seed: u64) -> Result<Card> {
        let real = self.real()?;
        let mut warnings: Vec<String> = Vec::new();
        let mut figures = Vec::new();
        let mut left_out = LeftOut::default();
        let measuring = self.measuring(real, samples);
        // Samples that were made as no class have no share of them.
        let fits = |metric: &&Metric| **metric != Metric::AsAsked || samples.asked[0] > 0;
        for metric in self.metrics.iter().filter(fits) {
            let measured = measuring.measure(*metric);
            let Some(Measured { value, deviation, warning }) = left_out.unless(measured, *metric)? else { continue };
            warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
            figures.push(Figure { metric: *metric, value, deviation, floor: self.floor(*metric) });
        }
        let notes = left_out.notes(figures.len())?;
        warnings.extend(notes.into_iter().chain(self.notes.iter().chain(&samples.notes).cloned()));
        let RealSet { data, split, path, floor_split, sizes } = real.described.clone();
        let network = self.embedder.as_ref();
        // Whatever was resized before is not the original that a protocol begins with.
        let is_resized = [&samples.sizes, &sizes].into_iter().flatten().any(|sizes| sizes.resized.is_some());
        Ok(Card {
            subject: subject.into(),
            step: None,
            figures,
            samples: samples.count,
            seed,
            sizes: samples.sizes.clone(),
            reference: Reference {
                data,
                split,
                samples: real.count,
                path,
                floor_split,
                sizes,
                hash: real.hash.clone(),
            },
            embedder: EmbedderCard {
                name: network.name().into(),
                hash: network.hash().into(),
                dim: network.dim(),
                resize: network.resizing().map(String::from),
                protocol: network.protocol().filter(|_| !is_resized).map(String::from),
            },
            warnings,
            library: env!("CARGO_PKG_VERSION").into(),
        })
    }

    fn measuring<'a>(&'a self, real: &'a Real, samples: &'a Gathered) -> Measuring<'a> {
        Measuring {
            real: &real.features,
            prepared: real.prepared.as_ref(),
            train: &real.train,
            generated: &samples.kept,
            moments: &samples.moments,
            score: samples.score.as_ref(),
            asked: samples.asked,
            modes: self.modes.as_ref(),
            seed: self.seed,
            prdc: OnceCell::new(),
            memory: OnceCell::new(),
            coverage: OnceCell::new(),
        }
    }

    fn real(&self) -> Result<&Real> {
        self.real.as_ref().ok_or_else(|| Error::Mismatch {
            what: "real samples".into(),
            found: "none".into(),
            expected: "some to compare with".into(),
            advice: "give them by Judge::with_real".into(),
        })
    }
}

#[cfg(test)]
mod tests;
