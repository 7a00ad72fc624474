//! A set of samples to measure: the moments of all of them, and the features of a limited number.

use crate::card::ImageSizes;
use crate::embed::{Embedder, Embedding};
use crate::error::Result;
use crate::features::Features;
use crate::metrics::inception_score::Scorer;
use crate::metrics::inputs::Labelled;
use crate::metrics::memorisation::pictures;
use crate::metrics::swd_patches::Patches;
use crate::moments::Moments;
use candle_core::{D, Tensor};
use gan_base::Rng;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Maximum number of samples whose features are kept; the moments are of all samples.
pub(crate) const KEPT: usize = 10_000;

/// Samples with the outputs of the network.
#[derive(Clone, Debug)]
pub struct EmbeddedSamples {
    /// `[N, C, H, W]` or `[N, D]`, on the CPU.
    pub samples: Tensor,
    /// The network's outputs.
    pub embedding: Embedding,
    /// The class for which each was generated, if the network can recognise it.
    pub classes: Option<Vec<u32>>,
}

/// A set of samples to measure.
pub struct SampleSet {
    embedder: Arc<dyn Embedder>,
    pub(crate) moments: Moments,
    pub(crate) kept: Features,
    /// Pictures of the samples whose features are kept, if copies are searched among them.
    pictures: Option<Features>,
    /// Patches of the samples whose features are kept, if a metric needs them.
    pub(crate) patches: Option<Patches>,
    pub(crate) scorer: Option<Scorer>,
    pub(crate) hash: Sha256,
    pub(crate) count: usize,
    pub(crate) labelled: Labelled,
    /// The lowest value of all samples.
    pub(crate) lowest: f32,
    /// Total number of samples, if it is known before they are added. If there are too many to keep the features of all, those that
    /// are kept are then spread evenly over all samples instead of being the first.
    pub expected: usize,
    /// Sizes of the images for the card.
    pub sizes: Option<ImageSizes>,
    /// Notes for the card.
    pub notes: Vec<String>,
}

impl SampleSet {
    /// Returns an empty set, with patches of images if `takes_patches`.
    pub(crate) fn new(embedder: Arc<dyn Embedder>, takes_patches: bool) -> Self {
        let info = embedder.info();
        Self {
            moments: Moments::new(info.card.dim),
            kept: Features::empty(info.card.dim),
            pictures: None,
            patches: takes_patches.then(Patches::default),
            scorer: Scorer::new(info.classes.len()),
            hash: Sha256::new(),
            count: 0,
            labelled: Labelled::default(),
            lowest: f32::INFINITY,
            expected: 0,
            sizes: None,
            notes: vec![],
            embedder,
        }
    }

    /// Adds samples `[N, C, H, W]` or `[N, D]`.
    ///
    /// # Errors
    /// If they do not fit the network, or their features are not finite.
    pub fn push(&mut self, samples: &Tensor) -> Result<()> {
        let embedded = self.embed(samples)?;
        self.push_embedded(&embedded)
    }

    /// Embeds samples with the network of this set, without adding them.
    ///
    /// # Errors
    /// If they do not fit the network.
    pub fn embed(&self, samples: &Tensor) -> Result<EmbeddedSamples> {
        let embedding = self.embedder.embed(samples)?;
        Ok(EmbeddedSamples { samples: samples.clone(), embedding, classes: None })
    }

    /// Adds samples that are already embedded.
    ///
    /// # Errors
    /// If their features are not finite.
    pub fn push_embedded(&mut self, embedded: &EmbeddedSamples) -> Result<()> {
        let EmbeddedSamples { samples, embedding, classes } = embedded;
        let features = Features::from_tensor(&embedding.features)?;
        features.check_finite("the samples'")?;
        let picked = self.chosen(features.len());
        self.kept.append(&features.pick(&picked))?;
        if samples.rank() == 4 && !self.embedder.info().features.finds_copies() {
            let pictures = pictures(samples)?.pick(&picked);
            match &mut self.pictures {
                Some(kept) => kept.append(&pictures)?,
                None => self.pictures = Some(pictures),
            }
        }
        if let Some(patches) = self.patches.as_mut().filter(|_| samples.rank() == 4) {
            patches.push(samples, &picked)?;
        }
        self.count += features.len();
        let values: Vec<f32> = samples.flatten_all()?.to_vec1()?;
        values.iter().for_each(|value| self.hash.update(value.to_le_bytes()));
        self.lowest = values.iter().fold(self.lowest, |lowest, value| lowest.min(*value));
        self.moments.push(&features)?;
        let (Some(scorer), Some(logits)) = (&mut self.scorer, &embedding.logits) else { return Ok(()) };
        if let Some(classes) = classes {
            let found: Vec<u32> = logits.argmax(D::Minus1)?.to_vec1()?;
            let recognised = found.iter().zip(classes).filter(|(found, class)| found == class).count();
            self.labelled.samples += classes.len() as u64;
            self.labelled.recognised += recognised as u64;
        }
        scorer.push(&Features::from_tensor(logits)?)
    }

    /// Returns the number of samples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Shuffles the kept features by `seed`, so that the first of them are a fair choice even if the samples are ordered, for example by
    /// class.
    pub fn shuffled(self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.kept.len()).collect();
        Rng::stream(seed, "order of samples").shuffle(&mut order);
        let pictures = self.pictures.map(|pictures| pictures.pick(&order));
        Self { kept: self.kept.pick(&order), pictures, ..self }
    }

    /// Returns what copies are searched among: pictures, or else the features.
    pub(crate) fn copy_space(&self) -> &Features {
        self.pictures.as_ref().unwrap_or(&self.kept)
    }

    /// Returns which of the next `n` samples are kept.
    fn chosen(&self, n: usize) -> Vec<usize> {
        let room = KEPT.saturating_sub(self.kept.len());
        if self.expected <= KEPT {
            return (0..n.min(room)).collect();
        }
        // In u128, since the product of two lengths may not fit.
        let before = |i: usize| (self.count + i) as u128 * KEPT as u128 / self.expected as u128;
        let mut picked: Vec<usize> = (0..n).filter(|i| before(*i) != before(i + 1)).collect();
        picked.truncate(room);
        picked
    }
}
