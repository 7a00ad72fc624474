//! Several metrics of one set of samples: samples go in a batch at a time, a card comes out.
//!
//! A [`MetricSuite`] holds the network, the real samples' features and what was prepared from them; a [`SampleSet`] takes samples in: its
//! moments stream, and a bounded number of its features is kept for the metrics that need them one by one.

use crate::card::{Card, EmbedderCard, Figure, ImageSizes, Reference};
use crate::embed::{Embedder, Remembered, hash};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::metrics::inputs::Cache;
use crate::metrics::mode_coverage::ModesOf;
use crate::metrics::{Inputs, Measured, MetricRef, Needs};
use crate::moments::Moments;
use crate::protocol::Protocol;
use gan_base::messages::counted;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Features kept of each set, one by one; the moments are of all.
pub const KEPT: usize = 10_000;
/// With fewer real samples in a part of the data, what real samples reach means nothing.
pub const FEWEST: usize = 10;

mod not_measured;
mod sample_set;

use not_measured::NotMeasured;
pub use sample_set::{EmbeddedSamples, SampleSet};

/// Measures sets of samples against a real one.
pub struct MetricSuite {
    embedder: Arc<dyn Embedder>,
    metrics: Vec<MetricRef>,
    modes: Option<ModesOf>,
    protocol: Option<Protocol>,
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
    moments: Moments,
    /// What metrics made of these samples alone.
    shared: Cache,
    /// The lowest value of all samples.
    lowest: f32,
    /// Real samples that were not trained on, where those are others than the ones above.
    held_out: Option<Features>,
    /// Samples that were trained on.
    train: Features,
    /// What real samples reach, by the metric's key.
    floors: BTreeMap<&'static str, f64>,
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
    /// Where the second real set, of the floor, comes from; none where there is no floor.
    pub floor_split: Option<String>,
    /// The sizes of its images, where they are worth saying.
    pub sizes: Option<ImageSizes>,
}

impl MetricSuite {
    /// Measures by the features of `embedder`. `seed` decides every choice among samples.
    ///
    /// # Errors
    /// If a metric needs classes and the network has none, or needs another network.
    pub fn new(embedder: Arc<dyn Embedder>, metrics: &[MetricRef], seed: u64) -> Result<Self> {
        metrics.iter().try_for_each(|metric| check(*metric, embedder.as_ref()))?;
        Ok(Self { embedder, metrics: metrics.to_vec(), modes: None, protocol: None, seed, real: None, notes: vec![] })
    }

    /// With modes to count.
    pub fn with_modes(self, modes: ModesOf) -> Self {
        Self { modes: Some(modes), ..self }
    }

    /// By a published protocol.
    pub fn with_protocol(self, protocol: Protocol) -> Self {
        Self { protocol: Some(protocol), ..self }
    }

    /// With a note on every card.
    pub fn with_note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// Begins a set of samples.
    pub fn sample_set(&self) -> SampleSet {
        self.set_embedded_by(Arc::clone(&self.embedder))
    }

    /// Begins a set of real samples, whose embeddings are remembered in `folder` ([`crate::embed::remembered`]).
    pub fn remembered_sample_set(&self, folder: Option<PathBuf>) -> SampleSet {
        match folder {
            Some(folder) => self.set_embedded_by(Arc::new(Remembered::new(Arc::clone(&self.embedder), folder))),
            None => self.sample_set(),
        }
    }

    fn set_embedded_by(&self, embedder: Arc<dyn Embedder>) -> SampleSet {
        SampleSet::new(embedder, self.embedder.classes().len())
    }

    /// Compares with `reference` from now on; `floor` are other real samples, which say what a perfect generator would get, and
    /// `train` those that were trained on, among which copies are searched. Both may be missing or empty.
    ///
    /// # Errors
    /// If there is no real sample, or there are too few for a floor.
    pub fn with_real(
        mut self,
        described: RealSet,
        reference: SampleSet,
        floor: Option<&SampleSet>,
        train: SampleSet,
    ) -> Result<Self> {
        match floor {
            Some(floor) => check_count(floor.count.min(reference.count), FEWEST)?,
            None => check_count(reference.count, 1)?,
        }
        let real = prepared(described, reference, train);
        let floors = floor.map_or_else(BTreeMap::new, |floor| self.floors(&real, floor));
        self.real = Some(Real { floors, ..real });
        Ok(self)
    }

    /// Compares with real samples whose mean and covariance alone are known. Metrics that need samples are not measured.
    ///
    /// # Errors
    /// If they are of other features than the network's.
    pub fn with_statistics(mut self, described: RealSet, moments: Moments) -> Result<Self> {
        if moments.dim() != self.embedder.dim() {
            let expected = format!("{}, as {} makes", self.embedder.dim(), self.embedder.name());
            let (what, found) = ("statistics".into(), counted(moments.dim(), "feature"));
            return Err(Error::Mismatch { what, found, expected, advice: "take those of the same network".into() });
        }
        let empty = self.sample_set();
        let hash = hash::of_bytes(&moments.to_bytes()?);
        self.real = Some(Real { hash, moments, ..prepared(described, empty, self.sample_set()) });
        Ok(self)
    }

    /// With the floor between two other sets of real samples, such as the halves of the reference.
    ///
    /// # Errors
    /// If there are no real samples yet, or too few for a floor.
    pub fn with_floor_between(mut self, one: SampleSet, other: &SampleSet) -> Result<Self> {
        let described = self.real()?.described.clone();
        let floors = self.floors(&prepared(described, one, self.sample_set()), other);
        if let Some(real) = &mut self.real {
            real.floors = floors;
        }
        Ok(self)
    }

    /// With samples that were trained on and others that count as held out, where the reference holds both.
    pub fn with_copies_between(mut self, held_out: &SampleSet, train: &SampleSet) -> Self {
        if let Some(real) = &mut self.real {
            real.held_out = Some(held_out.kept.clone());
            real.train = train.kept.clone();
        }
        self
    }

    /// What other real samples get in comparison with `real`.
    fn floors(&self, real: &Real, others: &SampleSet) -> BTreeMap<&'static str, f64> {
        let inputs = self.inputs(real, others);
        let metrics = self.metrics.iter().filter(|metric| metric.info().needs.has_floor());
        metrics.filter_map(|metric| Some((metric.key(), inputs.measure(*metric).ok()?.value))).collect()
    }
}

/// Refuses fewer than `needed` real samples in a part of the data.
///
/// # Errors
/// [`Error::TooFew`].
pub fn check_count(found: usize, needed: usize) -> Result<()> {
    let advice = "an evaluation takes at least that many from each part of the data";
    match found < needed {
        true => Err(Error::TooFew { metric: "evaluation", what: "real", found, needed, advice }),
        false => Ok(()),
    }
}

/// Refuses a metric that the network cannot serve.
fn check(metric: MetricRef, embedder: &dyn Embedder) -> Result<()> {
    let (needs, features) = (metric.info().needs, embedder.feature_space());
    let mismatch = |expected: &str, advice: String| {
        let (what, found) = (format!("metric \"{}\"", metric.key()), format!("\"{}\"", embedder.name()));
        Err(Error::Mismatch { what, found, expected: expected.into(), advice })
    };
    if needs.classes() && embedder.classes().is_empty() {
        return mismatch("a network that classifies", "leave it out, or name a classifier".into());
    }
    if needs.fits(features) {
        return Ok(());
    }
    let instead = metric.for_features(features).map(|other| format!("write \"{}\" for", other.key()));
    let instead = instead.unwrap_or_else(|| "leave it out for".into());
    mismatch("features of another network", format!("{instead} the features of {}", features.title()))
}

/// What metrics need of a real set.
fn prepared(described: RealSet, reference: SampleSet, train: SampleSet) -> Real {
    Real {
        described,
        count: reference.count,
        lowest: reference.lowest,
        hash: hash::finished(reference.hash),
        features: reference.kept,
        moments: reference.moments,
        shared: Cache::default(),
        held_out: None,
        train: train.kept,
        floors: BTreeMap::new(),
    }
}

impl MetricSuite {
    /// Returns what real samples reach in `metric`.
    pub fn floor(&self, metric: impl Into<MetricRef>) -> Option<f64> {
        self.real.as_ref()?.floors.get(metric.into().key()).copied()
    }

    /// Returns the lowest value of all real samples, once there are any.
    pub fn lowest(&self) -> Option<f32> {
        self.real.as_ref().map(|real| real.lowest)
    }

    /// Returns the card of a set of samples. `subject` names them; `seed` is what their noise came from. Metrics for which there are too
    /// few samples, or samples that nothing can be said of, are left out with a note.
    ///
    /// # Errors
    /// If every metric would be left out, there are no real samples to compare with, or a protocol is not followed.
    pub fn card(&self, subject: &str, samples: &SampleSet, seed: u64) -> Result<Card> {
        let real = self.real()?;
        let mut warnings: Vec<String> = Vec::new();
        let mut figures = Vec::new();
        let mut not_measured = NotMeasured::default();
        let inputs = self.inputs(real, samples);
        // Samples that were generated without classes cannot be checked for them.
        let applies = |metric: &&MetricRef| metric.info().needs != Needs::Labels || samples.labelled.samples > 0;
        for metric in self.metrics.iter().filter(applies) {
            let measured = inputs.measure(*metric);
            let Some(Measured { value, deviation, warning }) = not_measured.unless(measured, *metric)? else {
                continue;
            };
            warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
            figures.push(Figure { metric: *metric, value, deviation, floor: self.floor(*metric) });
        }
        let notes = not_measured.notes(figures.len())?;
        warnings.extend(notes.into_iter().chain(self.notes.iter().chain(&samples.notes).cloned()));
        let RealSet { data, split, path, floor_split, sizes } = real.described.clone();
        let network = self.embedder.as_ref();
        // Whatever was resized before is not the original that a protocol begins with.
        let is_resized = [&samples.sizes, &sizes].into_iter().flatten().any(|sizes| sizes.resized.is_some());
        Ok(Card {
            subject: subject.into(),
            step: None,
            figures,
            protocol: self.protocol,
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

    fn inputs<'a>(&'a self, real: &'a Real, samples: &'a SampleSet) -> Inputs<'a> {
        Inputs {
            real: &real.features,
            real_moments: &real.moments,
            held_out: real.held_out.as_ref().unwrap_or(&real.features),
            train: &real.train,
            generated: &samples.kept,
            moments: &samples.moments,
            scorer: samples.scorer.as_ref(),
            labelled: samples.labelled,
            modes: self.modes.as_ref(),
            protocol: self.protocol,
            seed: self.seed,
            shared: Cache::default(),
            real_shared: &real.shared,
        }
    }

    fn real(&self) -> Result<&Real> {
        self.real.as_ref().ok_or_else(|| Error::Mismatch {
            what: "real samples".into(),
            found: "none".into(),
            expected: "some to compare with".into(),
            advice: "give them by MetricSuite::with_real".into(),
        })
    }
}

#[cfg(test)]
mod tests;
