//! All metrics together: samples go in a batch at a time, a card comes out.
//!
//! A [`Judge`] holds the network, the real samples' features and what was prepared from them; [`Gathered`] is a set of samples
//! on the way: its moments stream, and a bounded number of its features is kept for the metrics that need them one by one.

use crate::card::{Card, EmbedderCard, Figure, Reference};
use crate::embed::{Embedder, Embedding, Remembered, hash};
use crate::error::{Error, Result};
use crate::features::Features;
use crate::frechet;
use crate::metric::Metric;
use crate::modes::Modes;
use crate::moments::Moments;
use crate::score::{Scorer, Scoring};
use candle_core::{D, Tensor};
use sha2::{Digest, Sha256};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Features kept of each set, one by one; the moments are of all.
pub const KEPT: usize = 10_000;
/// Fewer real samples in a part of the data say nothing.
const FEWEST: usize = 10;

mod measure;

use measure::{Measured, Measuring};

/// Measures sets of samples against a real one.
pub struct Judge {
    embedder: Arc<dyn Embedder>,
    metrics: Vec<Metric>,
    modes: Option<ModesOf>,
    seed: u64,
    real: Option<Real>,
}

/// The real samples, and what was prepared from them.
struct Real {
    described: RealSet,
    count: usize,
    hash: String,
    features: Features,
    prepared: Option<frechet::Prepared>,
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
    /// Where the second real set, of the floor, comes from.
    pub floor_split: String,
}

/// Samples with what the network says of them.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// `[N, C, H, W]` or `[N, D]`, on the CPU.
    pub samples: Tensor,
    /// Of the network that judges.
    pub embedding: Embedding,
    /// The class that each was made as, where the network can say whether it is one.
    pub classes: Option<Vec<u32>>,
}

/// A set of samples on the way to be judged.
pub struct Gathered {
    embedder: Arc<dyn Embedder>,
    moments: Moments,
    kept: Features,
    score: Option<Scorer>,
    hash: Sha256,
    count: usize,
    /// Samples made as a class, and those of them that the classifier takes for it.
    asked: [u64; 2],
}

impl Gathered {
    /// Adds samples `[N, C, H, W]` or `[N, D]`.
    ///
    /// # Errors
    /// If they do not fit the network, or their features are not finite.
    pub fn push(&mut self, samples: &Tensor) -> Result<()> {
        self.push_of(samples, None)
    }

    /// As [`Gathered::push`], samples that were made as `classes`, one each.
    ///
    /// # Errors
    /// As [`Gathered::push`].
    pub fn push_of(&mut self, samples: &Tensor, classes: Option<&[u32]>) -> Result<()> {
        let (samples, embedding) = (samples.clone(), self.embedder.embed(samples)?);
        self.push_embedded(&Embedded { samples, embedding, classes: classes.map(<[u32]>::to_vec) })
    }

    /// As [`Gathered::push_of`], samples that the network has seen already.
    ///
    /// # Errors
    /// If their features are not finite.
    pub fn push_embedded(&mut self, embedded: &Embedded) -> Result<()> {
        let Embedded { samples, embedding, classes } = embedded;
        let features = Features::from_tensor(&embedding.features)?;
        features.check_finite("the samples'")?;
        self.count += features.len();
        self.hash(samples)?;
        self.moments.push(&features)?;
        let room = KEPT.saturating_sub(self.kept.len());
        self.kept.append(&features.first(room))?;
        let (Some(score), Some(logits)) = (&mut self.score, &embedding.logits) else { return Ok(()) };
        if let Some(classes) = classes {
            let found: Vec<u32> = logits.argmax(D::Minus1)?.to_vec1()?;
            let agreed = found.iter().zip(classes).filter(|(found, asked)| found == asked).count();
            self.asked = [self.asked[0] + classes.len() as u64, self.asked[1] + agreed as u64];
        }
        score.push(&Features::from_tensor(logits)?)
    }

    /// How many samples there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Their features, the first [`KEPT`].
    pub fn features(&self) -> &Features {
        &self.kept
    }

    fn hash(&mut self, samples: &Tensor) -> Result<()> {
        let values: Vec<f32> = samples.flatten_all()?.to_vec1()?;
        values.iter().for_each(|value| self.hash.update(value.to_le_bytes()));
        Ok(())
    }
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
        Ok(Self { embedder, metrics: metrics.to_vec(), modes: None, seed, real: None })
    }

    /// With modes to count.
    pub fn with_modes(self, modes: ModesOf) -> Self {
        Self { modes: Some(modes), ..self }
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
        let classes = self.embedder.classes().len();
        Gathered {
            embedder,
            moments: Moments::new(self.embedder.dim()),
            kept: Features::empty(self.embedder.dim()),
            score: Scorer::new(classes, Scoring::default()).ok(),
            hash: Sha256::new(),
            count: 0,
            asked: [0; 2],
        }
    }

    /// Compares with `reference` from now on; `floor` are other real samples, which say what a perfect generator would get, and
    /// `train` those that were trained on, which copies are looked for among; there need be none where they are not.
    ///
    /// # Errors
    /// If there are too few real samples.
    pub fn with_real(
        mut self,
        described: RealSet,
        reference: Gathered,
        floor: &Gathered,
        train: Gathered,
    ) -> Result<Self> {
        let fewest = reference.count.min(floor.count);
        if fewest < FEWEST {
            let advice = "judging takes so many of each part of the data";
            return Err(Error::TooFew { metric: "evaluation", what: "real", found: fewest, needed: FEWEST, advice });
        }
        let prepared =
            if self.metrics.contains(&Metric::Fid) { Some(frechet::Prepared::new(&reference.moments)?) } else { None };
        let hash = hash::finished(reference.hash);
        let (count, features) = (reference.count, reference.kept);
        let real = Real { described, count, hash, features, prepared, train: train.kept, floors: BTreeMap::new() };
        let measuring = self.measuring(&real, floor);
        let floors: BTreeMap<Metric, f64> = self
            .metrics
            .iter()
            // Training samples are copies of themselves.
            .filter(|metric| !matches!(metric, Metric::Memorisation | Metric::NearCopies | Metric::AsAsked))
            .filter_map(|metric| Some((*metric, measuring.measure(*metric).ok()?.value)))
            .collect();
        self.real = Some(Real { floors, ..real });
        Ok(self)
    }
}

impl Judge {
    /// What real samples reach in `metric`.
    pub fn floor(&self, metric: Metric) -> Option<f64> {
        self.real.as_ref()?.floors.get(&metric).copied()
    }

    /// The card of a set of samples. `subject` names them; `seed` is what their noise came from.
    ///
    /// # Errors
    /// If there are too few samples for a metric, or no real ones to compare with.
    pub fn card(&self, subject: &str, samples: &Gathered, seed: u64) -> Result<Card> {
        let real = self.real()?;
        let (mut warnings, mut figures) = (Vec::new(), Vec::new());
        let measuring = self.measuring(real, samples);
        // Samples that were made as no class have no share of them.
        let fits = |metric: &&Metric| **metric != Metric::AsAsked || samples.asked[0] > 0;
        for metric in self.metrics.iter().filter(fits) {
            let Measured { value, deviation, warning } = measuring.measure(*metric)?;
            warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
            figures.push(Figure { metric: *metric, value, deviation, floor: self.floor(*metric) });
        }
        let RealSet { data, split, floor_split } = real.described.clone();
        let network = self.embedder.as_ref();
        Ok(Card {
            subject: subject.into(),
            step: None,
            figures,
            samples: samples.count,
            seed,
            reference: Reference { data, split, samples: real.count, floor_split, hash: real.hash.clone() },
            embedder: EmbedderCard {
                name: network.name().into(),
                hash: network.hash().into(),
                dim: network.dim(),
                resize: network.resizing().map(String::from),
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
