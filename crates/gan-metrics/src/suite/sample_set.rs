//! A set of samples to be measured: moments of all of them, features of a bounded number.

use super::KEPT;
use crate::card::ImageSizes;
use crate::embed::{Embedder, Embedding};
use crate::error::Result;
use crate::features::Features;
use crate::metrics::inception_score::{Scorer, Scoring};
use crate::metrics::inputs::Labelled;
use crate::moments::Moments;
use candle_core::{D, Tensor};
use gan_base::Rng;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Samples with what the network says of them.
#[derive(Clone, Debug)]
pub struct EmbeddedSamples {
    /// `[N, C, H, W]` or `[N, D]`, on the CPU.
    pub samples: Tensor,
    /// What the network makes of them.
    pub embedding: Embedding,
    /// The class that each was generated as, where the network can recognise it.
    pub classes: Option<Vec<u32>>,
}

/// A set of samples to be measured.
pub struct SampleSet {
    embedder: Arc<dyn Embedder>,
    pub(super) moments: Moments,
    pub(super) kept: Features,
    pub(super) scorer: Option<Scorer>,
    pub(super) hash: Sha256,
    pub(super) count: usize,
    pub(super) labelled: Labelled,
    /// How many samples will come, where that is known.
    expected: usize,
    /// The lowest value of all samples.
    pub(super) lowest: f32,
    pub(super) sizes: Option<ImageSizes>,
    pub(super) notes: Vec<String>,
}

impl SampleSet {
    /// Of no samples yet, which `embedder` embeds, with scores over `classes` where there are any.
    pub(super) fn new(embedder: Arc<dyn Embedder>, classes: usize) -> Self {
        let dim = embedder.dim();
        Self {
            embedder,
            moments: Moments::new(dim),
            kept: Features::empty(dim),
            scorer: Scorer::new(classes, Scoring::default()).ok(),
            hash: Sha256::new(),
            count: 0,
            labelled: Labelled::default(),
            expected: 0,
            lowest: f32::INFINITY,
            sizes: None,
            notes: vec![],
        }
    }

    /// That will get `samples` samples: where those are more than are kept, the kept ones are spread evenly over them instead of being
    /// the first.
    pub fn expecting(self, samples: usize) -> Self {
        Self { expected: samples, ..self }
    }

    /// Of images of these sizes, which the card says.
    pub fn of_sizes(self, sizes: Option<ImageSizes>) -> Self {
        Self { sizes, ..self }
    }

    /// Adds a note to the card.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Adds samples `[N, C, H, W]` or `[N, D]`.
    ///
    /// # Errors
    /// If they do not fit the network, or their features are not finite.
    pub fn push(&mut self, samples: &Tensor) -> Result<()> {
        self.push_of(samples, None)
    }

    /// As [`SampleSet::push`], samples that were generated as `classes`, one each.
    ///
    /// # Errors
    /// As [`SampleSet::push`].
    pub fn push_of(&mut self, samples: &Tensor, classes: Option<&[u32]>) -> Result<()> {
        let embedded = self.embed(samples, classes)?;
        self.push_embedded(&embedded)
    }

    /// Samples with what the network of this set says of them; nothing is added.
    ///
    /// # Errors
    /// If they do not fit the network.
    pub fn embed(&self, samples: &Tensor, classes: Option<&[u32]>) -> Result<EmbeddedSamples> {
        let embedding = self.embedder.embed(samples)?;
        Ok(EmbeddedSamples { samples: samples.clone(), embedding, classes: classes.map(<[u32]>::to_vec) })
    }

    /// As [`SampleSet::push_of`], samples that the network has seen already.
    ///
    /// # Errors
    /// If their features are not finite.
    pub fn push_embedded(&mut self, embedded: &EmbeddedSamples) -> Result<()> {
        let EmbeddedSamples { samples, embedding, classes } = embedded;
        let features = Features::from_tensor(&embedding.features)?;
        features.check_finite("the samples'")?;
        self.keep(&features)?;
        self.count += features.len();
        self.look_at(samples)?;
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

    /// How many samples there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Their features, at most [`KEPT`].
    pub fn features(&self) -> &Features {
        &self.kept
    }

    /// The lowest value of all samples.
    pub fn lowest(&self) -> f32 {
        self.lowest
    }

    /// The kept features in an order drawn from `seed`, so that the first of them are a fair choice where files stand in an order of
    /// their own, such as class after class.
    pub fn shuffled(self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.kept.len()).collect();
        Rng::stream(seed, "order of samples").shuffle(&mut order);
        Self { kept: self.kept.pick(&order), ..self }
    }

    fn keep(&mut self, features: &Features) -> Result<()> {
        let room = KEPT.saturating_sub(self.kept.len());
        if self.expected <= KEPT {
            return self.kept.append(&features.first(room));
        }
        // In u128, since the product of two lengths may not fit.
        let before = |i: usize| (self.count + i) as u128 * KEPT as u128 / self.expected as u128;
        let mut picked: Vec<usize> = (0..features.len()).filter(|i| before(*i) != before(i + 1)).collect();
        picked.truncate(room);
        self.kept.append(&features.pick(&picked))
    }

    /// Takes the samples' values into the hash, and the lowest of them.
    fn look_at(&mut self, samples: &Tensor) -> Result<()> {
        let values: Vec<f32> = samples.flatten_all()?.to_vec1()?;
        values.iter().for_each(|value| self.hash.update(value.to_le_bytes()));
        self.lowest = values.iter().fold(self.lowest, |lowest, value| lowest.min(*value));
        Ok(())
    }
}
