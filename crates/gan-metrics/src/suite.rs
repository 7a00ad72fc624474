//! Several metrics of one set of samples: samples are added in batches, the result is a card.
//!
//! A [`MetricSuite`] holds the network, the real samples' features and what was computed from them. A [`SampleSet`] collects samples.

use crate::card::{Card, EmbedderCard, Figure, Reference};
use crate::embed::{Embedder, Remembered, hex};
use crate::error::{Error, Result, too_few};
use crate::features::{Features, check_widths};
use crate::metrics::inputs::Cache;
use crate::metrics::mode_coverage::ModesOf;
use crate::metrics::swd_patches::Patches;
use crate::metrics::{CopySearch, Inputs, Measured, Metric, Needs};
use crate::moments::Moments;
use crate::protocol::Protocol;
use crate::sample_set::SampleSet;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Measures sets of samples against a real one.
pub struct MetricSuite {
    embedder: Arc<dyn Embedder>,
    metrics: Vec<&'static Metric>,
    seed: u64,
    real: Option<Real>,
    /// Modes to count.
    pub modes: Option<ModesOf>,
    /// The published protocol that is followed.
    pub protocol: Option<Protocol>,
    /// Notes on every card.
    pub notes: Vec<String>,
}

/// The real samples and what was computed from them.
struct Real {
    reference: Reference,
    features: Features,
    moments: Moments,
    patches: Option<Patches>,
    /// Intermediate results of metrics.
    cache: Cache,
    lowest: f32,
    /// Real samples as they are compared with copies: see [`SampleSet::copy_space`].
    copy_space: Features,
    /// Whether they are the training data itself, so that no samples are held out.
    are_training_data: bool,
    /// Training samples among which copies are searched, if they differ from the reference.
    train: Features,
    /// Values between real samples, by the metric's key.
    floors: BTreeMap<&'static str, f64>,
}

impl Real {
    fn new(described: Reference, samples: SampleSet, train: SampleSet) -> Self {
        Self {
            copy_space: samples.copy_space().clone(),
            are_training_data: false,
            reference: Reference { samples: samples.count, hash: hex(samples.hash), ..described },
            features: samples.kept,
            patches: samples.patches,
            moments: samples.moments,
            cache: Cache::default(),
            lowest: samples.lowest,
            train: train.copy_space().clone(),
            floors: BTreeMap::new(),
        }
    }
}

impl MetricSuite {
    /// Minimum number of real samples in a part of the data for a meaningful floor.
    pub const FEWEST: usize = 10;

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

    /// Returns a suite of `metrics` with the features of `embedder`. `seed` determines every choice among samples.
    ///
    /// # Errors
    /// If a metric needs classes and the network has none, or needs another network.
    pub fn new(embedder: Arc<dyn Embedder>, metrics: &[&'static Metric], seed: u64) -> Result<Self> {
        metrics.iter().try_for_each(|metric| check(metric, embedder.as_ref()))?;
        let metrics = metrics.to_vec();
        Ok(Self { embedder, metrics, seed, real: None, modes: None, protocol: None, notes: vec![] })
    }

    /// Returns an empty set of samples.
    pub fn sample_set(&self) -> SampleSet {
        self.sample_set_of(Arc::clone(&self.embedder))
    }

    fn sample_set_of(&self, embedder: Arc<dyn Embedder>) -> SampleSet {
        SampleSet::new(embedder, self.metrics.iter().any(|metric| metric.needs == Needs::Images))
    }

    /// Returns an empty set of real samples, whose embeddings are cached in `folder` ([`Remembered`]).
    pub fn remembered_sample_set(&self, folder: Option<PathBuf>) -> SampleSet {
        match folder {
            Some(folder) => self.sample_set_of(Arc::new(Remembered::new(Arc::clone(&self.embedder), folder))),
            None => self.sample_set(),
        }
    }

    /// Sets the real samples to compare with. `described` needs neither number nor hash. `floor` are other real samples, which determine
    /// the values of a perfect generator, and `train` are training samples, among which copies are searched. Both may be missing or empty.
    ///
    /// # Errors
    /// If there is no real sample, or there are too few for a floor.
    pub fn with_real(
        mut self,
        described: Reference,
        samples: SampleSet,
        floor: Option<&SampleSet>,
        train: SampleSet,
    ) -> Result<Self> {
        match floor {
            Some(floor) => Self::check_count(floor.count.min(samples.count), Self::FEWEST)?,
            None => Self::check_count(samples.count, 1)?,
        }
        let mut real = Real::new(described, samples, train);
        real.floors = floor.map_or_else(BTreeMap::new, |floor| self.floors(&real, floor));
        self.real = Some(real);
        Ok(self)
    }

    /// Sets real samples of which only mean and covariance are known. Metrics that need samples are not measured.
    ///
    /// # Errors
    /// If the network has another number of features.
    pub fn with_statistics(mut self, described: Reference, moments: Moments) -> Result<Self> {
        check_widths("statistics", moments.dim(), self.embedder.info().card.dim)?;
        let mut real = Real::new(described, self.sample_set(), self.sample_set());
        real.reference.hash = hex(Sha256::new_with_prefix(moments.to_bytes()?));
        real.moments = moments;
        self.real = Some(real);
        Ok(self)
    }

    /// Sets the floor between two other sets of real samples, for example the halves of the reference.
    ///
    /// # Errors
    /// If there are no real samples yet.
    pub fn with_floor_between(mut self, one: SampleSet, other: &SampleSet) -> Result<Self> {
        let described = self.real()?.reference.clone();
        let floors = self.floors(&Real::new(described, one, self.sample_set()), other);
        if let Some(real) = &mut self.real {
            real.floors = floors;
        }
        Ok(self)
    }

    /// Searches copies among the reference, which is the training data.
    pub fn with_copies_of_reference(mut self) -> Self {
        if let Some(real) = &mut self.real {
            real.are_training_data = true;
        }
        self
    }

    /// Returns the values of other real samples compared with `real`.
    fn floors(&self, real: &Real, others: &SampleSet) -> BTreeMap<&'static str, f64> {
        let inputs = self.inputs(real, others);
        let metrics = self.metrics.iter().filter(|metric| metric.needs.has_floor());
        metrics.filter_map(|metric| Some((metric.key, inputs.measure(metric).ok()?.value))).collect()
    }

    /// Returns the value of real samples in `metric`.
    pub fn floor(&self, metric: &Metric) -> Option<f64> {
        self.real.as_ref()?.floors.get(metric.key).copied()
    }

    /// Returns the lowest value of all real samples, once there are any.
    pub fn lowest(&self) -> Option<f32> {
        self.real.as_ref().map(|real| real.lowest)
    }

    /// Returns the card of a set of samples with the name `subject`; `seed` is that of their noise. Metrics for which there are too
    /// few samples, or whose samples cannot be measured, are omitted with a note.
    ///
    /// # Errors
    /// If every metric would be omitted, there are no real samples, or a protocol is not followed.
    pub fn card(&self, subject: &str, samples: &SampleSet, seed: u64) -> Result<Card> {
        let real = self.real()?;
        let mut warnings: Vec<String> = Vec::new();
        let mut figures = Vec::new();
        let mut not_measured = NotMeasured::default();
        let inputs = self.inputs(real, samples);
        // Samples that were not generated for classes cannot be checked for them.
        let applies = |metric: &&&Metric| metric.needs != Needs::Labels || samples.labelled.samples > 0;
        for metric in self.metrics.iter().filter(applies) {
            match inputs.measure(metric) {
                Ok(Measured { value, deviation, warning }) => {
                    warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
                    figures.push(Figure { metric, value, deviation, floor: self.floor(metric) });
                }
                Err(error) => not_measured.add(metric, error)?,
            }
        }
        warnings.extend(not_measured.notes(figures.len())?);
        warnings.extend(self.notes.iter().chain(&samples.notes).cloned());
        // Images that were resized before are not the originals with which a protocol begins.
        let sizes = [&samples.sizes, &real.reference.sizes];
        let is_resized = sizes.into_iter().flatten().any(|sizes| sizes.resized.is_some());
        let network = self.embedder.info().card.clone();
        Ok(Card {
            subject: subject.into(),
            step: None,
            figures,
            protocol: self.protocol,
            samples: samples.count,
            seed,
            sizes: samples.sizes.clone(),
            reference: real.reference.clone(),
            embedder: EmbedderCard { protocol: network.protocol.filter(|_| !is_resized), ..network },
            warnings,
            library: env!("CARGO_PKG_VERSION").into(),
        })
    }

    fn inputs<'a>(&'a self, real: &'a Real, samples: &'a SampleSet) -> Inputs<'a> {
        let features = self.embedder.info().features;
        Inputs {
            real: &real.features,
            real_moments: &real.moments,
            generated: &samples.kept,
            neighbours: match features.compares_neighbours() {
                true => [&real.features, &samples.kept],
                false => [&real.copy_space, samples.copy_space()],
            },
            copies: CopySearch {
                generated: samples.copy_space(),
                training: if real.are_training_data { &real.copy_space } else { &real.train },
                held_out: (!real.are_training_data).then_some(&real.copy_space),
                are_pictures: !features.finds_copies(),
            },
            moments: &samples.moments,
            protocol: self.protocol,
            seed: self.seed,
            scorer: samples.scorer.as_ref(),
            labelled: samples.labelled,
            patches: samples.patches.as_ref(),
            real_patches: real.patches.as_ref(),
            modes: self.modes.as_ref(),
            cache: Cache::default(),
            real_cache: &real.cache,
        }
    }

    fn real(&self) -> Result<&Real> {
        let advice = "give them by MetricSuite::with_real";
        self.real.as_ref().ok_or_else(|| Error::mismatch("real samples", "none", "some to compare with", advice))
    }
}

/// Refuses a metric that does not fit the network.
fn check(metric: &Metric, embedder: &dyn Embedder) -> Result<()> {
    let network = embedder.info();
    let mismatch = |expected: &str, advice: &str| {
        let found = format!("\"{}\"", network.card.name);
        Err(Error::mismatch(format!("metric \"{}\"", metric.key), found, expected, advice))
    };
    if metric.needs.classes() && network.classes.is_empty() {
        return mismatch("a network that classifies", "leave it out, or name a classifier");
    }
    if metric.needs.fits(network.features) {
        return Ok(());
    }
    let instead = metric.for_features(network.features).map(|other| format!("write \"{}\"", other.key));
    let instead = instead.unwrap_or_else(|| "leave it out".into());
    mismatch("features of another network", &format!("{instead} for the features of {}", network.features.title()))
}

/// Metrics that could not be measured, by the reason.
#[derive(Default)]
struct NotMeasured {
    reasons: Vec<(String, Vec<&'static str>)>,
    /// The first error, which is returned if nothing is measured.
    first: Option<Error>,
}

impl NotMeasured {
    /// Adds a metric if its samples do not allow it; any other error is returned.
    fn add(&mut self, metric: &Metric, error: Error) -> Result<()> {
        let reason = match &error {
            // Without the metric's name, so that metrics with the same reason share a note.
            Error::TooFew { what, found, needed, advice, .. } => too_few(*found, what, *needed, advice),
            Error::Values { .. } => error.to_string(),
            Error::Mismatch(_) | Error::File { .. } | Error::Core(_) | Error::Candle(_) => return Err(error),
        };
        match self.reasons.iter_mut().find(|known| known.0 == reason) {
            Some((_, metrics)) => metrics.push(metric.key),
            None => self.reasons.push((reason, vec![metric.key])),
        }
        self.first.get_or_insert(error);
        Ok(())
    }

    /// Returns a note for each reason, or the first error if there is no figure.
    fn notes(self, figures: usize) -> Result<impl Iterator<Item = String>> {
        if let (0, Some(error)) = (figures, self.first) {
            return Err(error);
        }
        let note = |(reason, keys): (String, Vec<&str>)| format!("not measured: {}: {reason}", keys.join(", "));
        Ok(self.reasons.into_iter().map(note))
    }
}

#[cfg(test)]
mod tests;
