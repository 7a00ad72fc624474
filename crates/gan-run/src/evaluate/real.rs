//! The real samples of an evaluation: which ones, from where, and embedded.

use super::images::{Images, SizeRange, Way};
use super::{Against, Floor, Progress, REFERENCE, Role, open};
use crate::error::Result;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_data::{Dataset, SampleSizes, Split};
use gan_metrics::embed::Remembered;
use gan_metrics::judge::FEWEST;
use gan_metrics::{Embedded, Embedding, Gathered, Judge, RealSet};
use std::sync::Arc;

/// The real samples of an evaluation.
pub(super) struct Real {
    /// What generated samples are compared with.
    pub reference: Images,
    /// What was trained on.
    pub train: Images,
    /// Where the reference comes from.
    held_out: HeldOut,
    seed: u64,
}

/// Where samples that were not trained on come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldOut {
    /// A split of the data set.
    Split,
    /// Points drawn anew.
    Drawn,
    /// Nowhere: the data set has one part, halved for reference and floor.
    Nowhere,
    /// The user named the reference, which is used whole; what was trained on is not known.
    Named(Floor),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Reference,
    Floor,
    Train,
}

/// How many samples an evaluation takes.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// For the floor.
    pub samples: usize,
    /// Whether copies are looked for among what was trained on; nothing else needs all of it.
    pub copies: bool,
}

impl Real {
    pub fn open(against: &Against) -> Result<Self> {
        Self::beside(against, open(against, &against.data, against.seed)?)
    }

    /// With `train`, the samples that are trained on.
    pub fn beside(against: &Against, train: Arc<dyn Dataset>) -> Result<Self> {
        let Against { data, seed, role, way, .. } = against;
        let (all, has_part) = match role {
            Role::TrainingData => (HeldOut::Nowhere, matches!(data.set.split(), None | Some(Split::Train))),
            // A part that the user names is meant.
            Role::Reference(floor) => (HeldOut::Named(*floor), data.set.split().is_none()),
        };
        let test = data.test_split().filter(|_| has_part);
        let (reference, held_out) = if data.sizes() == SampleSizes::Points {
            (open(against, data, seed.wrapping_add(1))?, HeldOut::Drawn)
        } else if let Some(test) = test {
            // CelebA without its lists has no split to hold out.
            open(against, &test, *seed).map_or_else(|_| (Arc::clone(&train), all), |set| (set, HeldOut::Split))
        } else {
            (Arc::clone(&train), all)
        };
        let images = |set| Images { set, way: *way };
        Ok(Self { reference: images(reference), train: images(train), held_out, seed: *seed })
    }

    /// With every image brought to the network in another way.
    pub fn taken(mut self, way: Way) -> Self {
        self.reference.way = way;
        self.train.way = way;
        self
    }

    /// Whether it is known what was trained on.
    pub fn has_training_data(&self) -> bool {
        !matches!(self.held_out, HeldOut::Named(_))
    }

    /// The sizes of the reference's images as they are stored.
    pub fn sizes(&self) -> Option<SizeRange> {
        self.reference.sizes()
    }

    /// The judge with these samples to compare with, described as `described` says.
    pub fn embedded(&self, judge: Judge, described: RealSet, wanted: Wanted, progress: &mut Progress) -> Result<Judge> {
        if let HeldOut::Named(floor) = self.held_out {
            return self.whole(judge, described, floor, progress);
        }
        let parts = [
            (Part::Reference, REFERENCE),
            (Part::Floor, wanted.samples.max(FEWEST)),
            (Part::Train, if wanted.copies { REFERENCE } else { 0 }),
        ];
        let order = parts.map(|(part, most)| self.chosen(part, most));
        let all = order.iter().map(Vec::len).sum();
        let mut done = 0;
        let mut gather = |i: usize| {
            self.gather(&judge, self.images(parts[i].0), &order[i], &mut |count, _| {
                done += count;
                progress(done, all);
                Ok(())
            })
        };
        let (reference, floor, train) = (gather(0)?, gather(1)?, gather(2)?);
        Ok(judge.with_real(described, reference, Some(&floor), train)?)
    }

    /// All of the reference; for a floor its random halves, which are embedded along with it.
    fn whole(&self, judge: Judge, described: RealSet, floor: Floor, progress: &mut Progress) -> Result<Judge> {
        let images = &self.reference;
        let order: Vec<usize> = (0..images.set.len()).collect();
        let mut sides: Vec<usize> = order.iter().map(|i| i % 2).collect();
        Rng::stream(self.seed, "real samples").shuffle(&mut sides);
        let mut halves = [judge.gather(), judge.gather()];
        let (all, mut done) = (order.len(), 0);
        let reference = self.gather(&judge, images, &order, &mut |count, embedded| {
            if floor == Floor::OfHalves {
                for (side, half) in halves.iter_mut().enumerate() {
                    let rows: Vec<u32> = (0..count as u32).filter(|i| sides[done + *i as usize] == side).collect();
                    if !rows.is_empty() {
                        half.push_embedded(&picked(embedded, &rows)?)?;
                    }
                }
            }
            done += count;
            progress(done, all);
            Ok(())
        })?;
        let none = judge.gather();
        let judge = judge.with_real(described, reference.shuffled(self.seed), None, none)?;
        let [one, other] = halves;
        match floor {
            Floor::Skip => Ok(judge),
            Floor::OfHalves => Ok(judge.with_floor_between(one, &other)?),
        }
    }

    fn images(&self, part: Part) -> &Images {
        if part == Part::Reference { &self.reference } else { &self.train }
    }

    /// The numbers of at most `most` samples of a part, chosen by the seed.
    fn chosen(&self, part: Part, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.images(part).set.len()).collect();
        Rng::stream(self.seed, "real samples").shuffle(&mut order);
        if self.held_out == HeldOut::Nowhere {
            // No sample may stand on both sides of a comparison.
            let half = order.len() / 2;
            order = if part == Part::Reference { order.split_off(half) } else { order[..half].to_vec() };
        }
        order.truncate(most);
        // In the data's own order, which is faster to read.
        order.sort_unstable();
        order
    }

    /// Embeds some samples, and shows each batch to `embedded` with how many there are.
    fn gather(
        &self,
        judge: &Judge,
        images: &Images,
        order: &[usize],
        embedded: &mut dyn FnMut(usize, &Embedded) -> Result<()>,
    ) -> Result<Gathered> {
        // Points are their own features.
        let folder = Remembered::folder().filter(|_| images.set.units().is_none());
        let gathered = judge.gather_remembered(folder);
        // A reference of the user's own may be larger than what is kept, and stand in an order of its own.
        let is_named = matches!(self.held_out, HeldOut::Named(_));
        let mut gathered = if is_named { gathered.expecting(order.len()) } else { gathered };
        for indices in images.batches(order) {
            let Some(samples) = images.read(&indices)? else { continue };
            let batch = gathered.embed(&samples, None)?;
            gathered.push_embedded(&batch)?;
            embedded(samples.dim(0)?, &batch)?;
        }
        Ok(gathered)
    }

    /// What a card says about the samples.
    pub fn description(&self, against: &Against) -> RealSet {
        let data = &against.data;
        let (split, floor_split) = match self.held_out {
            HeldOut::Split => ("test".to_string(), Some("training samples")),
            HeldOut::Drawn => ("drawn anew".into(), Some("training points")),
            HeldOut::Nowhere => ("half of the training data".into(), Some("the other half")),
            HeldOut::Named(floor) => {
                let part = data.set.split().map_or("all".into(), |split| format!("{split:?}").to_lowercase());
                let split = data.limit.map_or(part.clone(), |limit| format!("{part}, at most {limit}"));
                (split, (floor == Floor::OfHalves).then_some("one random half against the other"))
            }
        };
        let is_named = matches!(against.role, Role::Reference(_));
        let path = data.dir.as_ref().filter(|_| is_named).map(|dir| dir.display().to_string());
        RealSet { data: data.name().into(), split, path, floor_split: floor_split.map(String::from), sizes: None }
    }
}

/// Some rows of embedded samples.
fn picked(embedded: &Embedded, rows: &[u32]) -> Result<Embedded> {
    let rows = Tensor::new(rows, &Device::Cpu)?;
    let pick = |all: &Tensor| all.contiguous()?.index_select(&rows, 0);
    let Embedding { features, logits } = &embedded.embedding;
    let embedding = Embedding { features: pick(features)?, logits: logits.as_ref().map(pick).transpose()? };
    Ok(Embedded { samples: pick(&embedded.samples)?, embedding, classes: None })
}
