//! Real samples of an evaluation: their selection, source and embedding.

use super::samples::{Images, Way};
use super::{Against, Progress, REFERENCE, Role};
use crate::error::Result;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_data::{Dataset, SampleSizes, Split};
use gan_metrics::embed::{Embedding, Remembered};
use gan_metrics::{EmbeddedSamples, MetricSuite, Reference, SampleSet};
use std::sync::Arc;

/// The real samples of an evaluation.
pub(super) struct Real {
    /// Samples that generated ones are compared with.
    pub reference: Images,
    /// Training samples.
    pub train: Images,
    /// Source of held-out samples.
    held_out: HeldOut,
    seed: u64,
}

/// Source of samples that were not used for training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldOut {
    /// Another split of the data set.
    Split,
    /// New random points.
    Drawn,
    /// None: the data set has one part, which is the reference. Its halves form the floor, and copies of all of it are searched.
    Nowhere,
    /// A reference that the user or a protocol named, which is used whole; copies are not searched.
    Named { floor: bool },
}

/// Number of samples that an evaluation needs.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Number of samples for the floor.
    pub samples: usize,
    /// Whether copies of training samples are searched; nothing else needs all of them.
    pub copies: bool,
    /// Maximum size of a reference that is not a held-out split.
    pub most: usize,
}

/// Note on a card about a floor between halves of the reference.
const HALVES: &str = "one random half against the other";

impl Real {
    pub fn open(against: &Against) -> Result<Self> {
        Self::beside(against, against.open(&against.data, against.seed)?)
    }

    /// Returns the real samples beside `train`, the training samples.
    pub fn beside(against: &Against, train: Arc<dyn Dataset>) -> Result<Self> {
        let Against { data, seed, role, way, .. } = against;
        // Without a held-out part. A part that the user names is used as it is; a protocol uses the training set.
        let (all, may_hold_out) = match (against.protocol, role) {
            (Some(_), _) => (HeldOut::Named { floor: false }, false),
            (None, Role::TrainingData) => (HeldOut::Nowhere, matches!(data.set.split(), None | Some(Split::Train))),
            (None, Role::Reference { floor }) => (HeldOut::Named { floor: *floor }, data.set.split().is_none()),
        };
        let test = data.test_split().filter(|_| may_hold_out);
        let (reference, held_out) = if data.sizes() == SampleSizes::Points {
            (against.open(data, seed.wrapping_add(1))?, HeldOut::Drawn)
        } else if let Some(test) = test {
            // CelebA without its lists has no split to hold out.
            against.open(&test, *seed).map_or_else(|_| (Arc::clone(&train), all), |set| (set, HeldOut::Split))
        } else {
            (Arc::clone(&train), all)
        };
        let images = |set| Images { set, way: *way };
        Ok(Self { reference: images(reference), train: images(train), held_out, seed: *seed })
    }

    /// Returns the same samples, with every image read in another way.
    pub fn taken(mut self, way: Way) -> Self {
        self.reference.way = way;
        self.train.way = way;
        self
    }

    /// Returns whether all of the reference is used, because no part is held out.
    fn is_whole(&self) -> bool {
        matches!(self.held_out, HeldOut::Named { .. } | HeldOut::Nowhere)
    }

    /// Returns whether the training data are known.
    pub fn has_training_data(&self) -> bool {
        !matches!(self.held_out, HeldOut::Named { .. })
    }

    /// Returns the suite with these samples to compare with, and the description `described`.
    pub fn embedded(
        &self,
        suite: MetricSuite,
        described: Reference,
        wanted: Wanted,
        progress: &mut Progress,
    ) -> Result<MetricSuite> {
        if self.is_whole() {
            return self.whole(suite, described, wanted, progress);
        }
        let floor = wanted.samples.max(MetricSuite::FEWEST);
        let copies = if wanted.copies { REFERENCE } else { 0 };
        let parts = [(&self.reference, REFERENCE), (&self.train, floor), (&self.train, copies)];
        let order = parts.map(|(images, most)| self.chosen(images, most));
        let all = order.iter().map(Vec::len).sum();
        let mut done = 0;
        let mut collect = |i: usize| {
            self.collect(&suite, parts[i].0, &order[i], &mut |count, _| {
                done += count;
                progress(done, all);
                Ok(())
            })
        };
        let reference = collect(0)?;
        let floor = collect(1)?;
        let train = collect(2)?;
        Ok(suite.with_real(described, reference, Some(&floor), train)?)
    }

    /// Embeds all of the reference, up to a maximum, and its random halves if they are used.
    fn whole(
        &self,
        suite: MetricSuite,
        described: Reference,
        wanted: Wanted,
        progress: &mut Progress,
    ) -> Result<MetricSuite> {
        let images = &self.reference;
        let order = self.chosen(images, wanted.most);
        if self.held_out == HeldOut::Nowhere {
            MetricSuite::check_count(order.len() / 2, MetricSuite::FEWEST)?;
        }
        let is_halved = self.held_out != (HeldOut::Named { floor: false });
        let mut sides: Vec<usize> = (0..order.len()).map(|i| i % 2).collect();
        Rng::stream(self.seed, "real samples").shuffle(&mut sides);
        let mut halves = [suite.sample_set(), suite.sample_set()];
        let mut done = 0;
        let reference = self.collect(&suite, images, &order, &mut |count, embedded| {
            for (side, half) in halves.iter_mut().enumerate().filter(|_| is_halved) {
                let rows: Vec<u32> = (0..count as u32).filter(|i| sides[done + *i as usize] == side).collect();
                if !rows.is_empty() {
                    half.push_embedded(&picked(embedded, &rows)?)?;
                }
            }
            done += count;
            progress(done, order.len());
            Ok(())
        })?;
        let none = suite.sample_set();
        let suite = suite.with_real(described, reference.shuffled(self.seed), None, none)?;
        let [one, other] = halves;
        match self.held_out {
            HeldOut::Nowhere => Ok(suite.with_copies_of_reference().with_floor_between(one, &other)?),
            _ if is_halved => Ok(suite.with_floor_between(one, &other)?),
            _ => Ok(suite),
        }
    }

    /// Returns the numbers of at most `most` of some images, chosen by the seed.
    fn chosen(&self, images: &Images, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..images.set.len()).collect();
        Rng::stream(self.seed, "real samples").shuffle(&mut order);
        order.truncate(most);
        // Reading is faster in the data's own order.
        order.sort_unstable();
        order
    }

    /// Embeds some samples, and passes each batch to `embedded` with the number so far.
    fn collect(
        &self,
        suite: &MetricSuite,
        images: &Images,
        order: &[usize],
        embedded: &mut dyn FnMut(usize, &EmbeddedSamples) -> Result<()>,
    ) -> Result<SampleSet> {
        // Points are their own features.
        let folder = Remembered::folder().filter(|_| images.set.units().is_none());
        let mut set = suite.remembered_sample_set(folder);
        // A reference that is used whole may be larger than the cache, and may be ordered.
        set.expected = if self.is_whole() { order.len() } else { 0 };
        for indices in images.batches(order) {
            let Some(samples) = images.read(&indices)? else { continue };
            let batch = set.embed(&samples)?;
            set.push_embedded(&batch)?;
            embedded(samples.dim(0)?, &batch)?;
        }
        Ok(set)
    }

    /// Returns the description of the samples for a card.
    pub fn description(&self, against: &Against) -> Reference {
        let data = &against.data;
        let (split, floor_split) = match self.held_out {
            HeldOut::Split => ("test".to_string(), Some("training samples")),
            HeldOut::Drawn => ("drawn anew".into(), Some("training points")),
            HeldOut::Nowhere => ("training data".into(), Some(HALVES)),
            HeldOut::Named { floor } => {
                let unnamed = if data.test_split().is_some() { "train" } else { "all" };
                let part = data.set.split().map_or(unnamed.into(), |split| format!("{split:?}").to_lowercase());
                let split = data.limit.map_or(part.clone(), |limit| format!("{part}, at most {limit}"));
                (split, floor.then_some(HALVES))
            }
        };
        let is_named = matches!(against.role, Role::Reference { .. });
        let path = data.dir.as_ref().filter(|_| is_named).map(|dir| dir.display().to_string());
        let floor_split = floor_split.map(String::from);
        Reference { data: data.name().into(), split, path, floor_split, ..Reference::default() }
    }
}

/// Returns some rows of embedded samples.
fn picked(embedded: &EmbeddedSamples, rows: &[u32]) -> Result<EmbeddedSamples> {
    let rows = Tensor::new(rows, &Device::Cpu)?;
    let pick = |all: &Tensor| all.contiguous()?.index_select(&rows, 0);
    let Embedding { features, logits } = &embedded.embedding;
    let embedding = Embedding { features: pick(features)?, logits: logits.as_ref().map(pick).transpose()? };
    Ok(EmbeddedSamples { samples: pick(&embedded.samples)?, embedding, classes: None })
}
