//! How good samples are: a generator, files or arrays against a data set, as a metric card.
//!
//! The judging itself is gan-metrics'; here are the real samples: which ones, from where, and what the judge is like for them. Random
//! numbers come from streams of their own, so training is the same with and without evaluations.

use crate::config::{DataConfig, EvaluateConfig};
use crate::data;
use crate::error::{Error, Result};
use crate::step::Order;
use crate::trainer::Trainer;
use candle_core::{DType, Device, Tensor};
use gan_core::Rng;
use gan_data::{Dataset, Split, Units};
use gan_metrics::embed::Remembered;
use gan_metrics::{Card, Gathered, Judge, Metric};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod embedding;
mod network;

pub(crate) use embedding::Embedding;
use embedding::same_classes;

/// Real samples that generated ones are compared with, at most.
pub const REFERENCE: usize = 10_000;
/// Samples embedded at once.
const AT_ONCE: usize = 250;
/// Longer than this nothing is waited for in silence.
const PATIENCE: Duration = Duration::from_secs(10);

/// Is told how many real samples are embedded, and of how many.
pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// A line of evaluations.jsonl.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluated {
    /// After which step.
    pub step: u64,
    /// What chooses the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Metric>,
    /// What was found.
    pub card: Card,
}

/// The evaluations in a run's evaluations.jsonl, in their order; none where there is no such file.
pub fn read(path: &Path) -> Vec<Evaluated> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Step and value of the best of some evaluations by `metric`; the first of equals.
pub fn best_of(evaluations: &[Evaluated], metric: Metric) -> Option<(u64, f64)> {
    let all = evaluations.iter().filter_map(|e| Some((e.step, e.card.value(metric)?)));
    all.reduce(|best, other| if metric.better().prefers(other.1, best.1) { other } else { best })
}

/// What real samples to compare with.
#[derive(Clone, Debug)]
pub struct Against {
    /// The data set.
    pub data: DataConfig,
    /// The shape of a sample, `[C, H, W]` or `[D]`.
    pub sample: Vec<usize>,
    /// Decides every choice among samples.
    pub seed: u64,
}

/// How much is measured where no metrics are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What fits between training steps.
    InTraining,
    /// Everything that fits the data.
    Whole,
}

/// Where samples to judge come from: see [`Evaluator::gather`].
pub type Source<'a> = dyn FnMut(usize) -> Result<Option<(Tensor, Option<Tensor>)>> + 'a;

/// A judge with its real samples, ready for generated ones.
pub struct Evaluator {
    judge: Judge,
    /// For points: what −1 and 1 stand for.
    units: Option<Units>,
    best: Metric,
    embedding: Embedding,
}

impl Evaluator {
    /// As a trainer's settings say, against the data that it trains on.
    ///
    /// # Errors
    /// If the data or the embedding network cannot be read, or there are too few real samples.
    pub fn for_trainer(trainer: &Trainer) -> Result<Self> {
        let (config, sample) = (trainer.plan().config(), trainer.plan().sample());
        let against = Against { data: config.data.clone(), sample, seed: config.train.seed };
        let real = Real::beside(&against, Arc::clone(trainer.loader.dataset()))?;
        let (start, mut said) = (Instant::now(), Duration::ZERO);
        let mut progress = |done: usize, all: usize| {
            // The first time, slow networks keep the run waiting: that must be seen.
            if start.elapsed() > said + PATIENCE {
                said = start.elapsed();
                tracing::warn!("embedding the real samples: {done} of {all}; they are remembered");
            }
        };
        Self::with_real(real, &against, &config.evaluate, Depth::InTraining, &mut progress)
    }

    /// For samples of `against`'s shape, judged as `how` says. `progress` is told how many real samples are embedded, and of how many.
    ///
    /// # Errors
    /// As [`Evaluator::for_trainer`].
    pub fn new(against: &Against, how: &EvaluateConfig, depth: Depth, progress: &mut Progress) -> Result<Self> {
        Self::with_real(Real::open(against)?, against, how, depth, progress)
    }

    fn with_real(
        real: Real,
        against: &Against,
        how: &EvaluateConfig,
        depth: Depth,
        progress: &mut Progress,
    ) -> Result<Self> {
        let (embedder, modes) = network::choose(against, &how.embedder, real.reference.as_ref())?;
        let kind = network::kind(embedder.as_ref(), modes.is_some());
        let metrics = if how.metrics.is_empty() { kind.metrics(depth) } else { how.metrics.clone() };
        let best = how.best.unwrap_or_else(|| kind.best());
        let same_classes = same_classes(embedder.as_ref(), real.reference.as_ref());
        let mut judge = Judge::new(Arc::clone(&embedder), &metrics, against.seed)?;
        if let Some(modes) = modes {
            judge = judge.with_modes(modes);
        }
        // Copies are looked for among what was trained on; nothing else needs all of it.
        let copies = metrics.iter().any(|metric| matches!(metric, Metric::Memorisation | Metric::NearCopies));
        let parts = [
            (Part::Reference, REFERENCE),
            (Part::Floor, how.samples),
            (Part::Train, if copies { REFERENCE } else { 0 }),
        ];
        let order = parts.map(|(part, most)| real.chosen(part, most));
        let (mut done, all) = (0, order.iter().map(Vec::len).sum());
        let mut gather = |i: usize| {
            real.gather(&judge, parts[i].0, &order[i], &mut |count| {
                done += count;
                progress(done, all);
            })
        };
        let (reference, floor, train) = (gather(0)?, gather(1)?, gather(2)?);
        let judge = judge.with_real(real.description(&against.data), reference, &floor, train)?;
        let units = real.reference.units().cloned();
        let embedding = Embedding { embedder, samples: how.samples, seed: against.seed, same_classes };
        Ok(Self { judge, units, best, embedding })
    }

    /// The metric that chooses the best generator.
    pub fn best(&self) -> Metric {
        self.best
    }

    /// What real samples reach in `metric`.
    pub fn floor(&self, metric: Metric) -> Option<f64> {
        self.judge.floor(metric)
    }

    /// Points `[N, D]` in their own units, as arrays hold them, -> in [−1, 1], as generators make them. Images stay as they are.
    ///
    /// # Errors
    /// From candle.
    pub fn scaled(&self, samples: &Tensor) -> Result<Tensor> {
        let Some(units) = &self.units else { return Ok(samples.clone()) };
        let rows: Vec<Vec<f64>> = samples.to_dtype(DType::F64)?.to_vec2()?;
        let values: Vec<f32> = rows.iter().flat_map(|row| units.scaled(row)).collect();
        Ok(Tensor::from_vec(values, samples.shape(), &Device::Cpu)?)
    }

    /// Judges a trainer's generator in use, from the same noise every time.
    ///
    /// # Errors
    /// If the samples are not finite, and from candle.
    pub fn of_trainer(&self, trainer: &Trainer) -> Result<Card> {
        let mut gathered = self.judge.gather();
        trainer.team.order(Order::Evaluate)?;
        // The other ranks are at work whatever rank 0 thinks of their samples.
        let mut problem = None;
        self.embedding.shared(trainer, &mut |some| {
            if problem.is_none() {
                problem = gathered.push_embedded(&some).err();
            }
        })?;
        trainer.team.done();
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        let subject = trainer.plan().config().preset.clone();
        Ok(Card { step: Some(trainer.step()), ..self.card(&subject, &gathered)? })
    }

    /// Takes samples from `source` (which gets how many are wanted at most, and gives none when there are no more), up to the number
    /// that is judged; with each sample's class `[N]` u32 where they were made as classes.
    ///
    /// # Errors
    /// From `source`, and if a sample does not fit the embedding network.
    pub fn gather(&self, source: &mut Source) -> Result<Gathered> {
        let mut gathered = self.judge.gather();
        let samples = self.embedding.samples;
        while gathered.count() < samples {
            let Some((samples, classes)) = source(AT_ONCE.min(samples - gathered.count()))? else { break };
            gathered.push_embedded(&self.embedding.of(&samples, classes.as_ref())?)?;
        }
        Ok(gathered)
    }

    /// The card of gathered samples, which `subject` names.
    ///
    /// # Errors
    /// If there are too few, or they are not finite.
    pub fn card(&self, subject: &str, gathered: &Gathered) -> Result<Card> {
        Ok(self.judge.card(subject, gathered, self.embedding.seed)?)
    }
}

/// The real samples of an evaluation.
struct Real {
    /// What generated samples are compared with.
    reference: Arc<dyn Dataset>,
    /// What was trained on.
    train: Arc<dyn Dataset>,
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
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Reference,
    Floor,
    Train,
}

/// Data sets that have a part called "test".
const WITH_TEST: [&str; 5] = ["mnist", "fashion-mnist", "cifar10", "celeba", "stacked-mnist"];
/// Data sets drawn from a seed.
const DRAWN: [&str; 3] = ["curve", "ring", "grid"];

impl Real {
    fn open(against: &Against) -> Result<Self> {
        Self::beside(against, open(against, &against.data, against.seed)?)
    }

    /// With `train`, the samples that are trained on.
    fn beside(against: &Against, train: Arc<dyn Dataset>) -> Result<Self> {
        let Against { data, seed, .. } = against;
        let other = DataConfig { split: Some(Split::Test), limit: None, ..data.clone() };
        let (reference, held_out) = if DRAWN.contains(&data.name.as_str()) {
            (open(against, data, seed.wrapping_add(1))?, HeldOut::Drawn)
        } else if data::pack(data).is_none()
            && WITH_TEST.contains(&data.name.as_str())
            && matches!(data.split, None | Some(Split::Train))
        {
            // CelebA without its lists has no split to hold out; a pack is one part.
            open(against, &other, *seed)
                .map_or_else(|_| (Arc::clone(&train), HeldOut::Nowhere), |set| (set, HeldOut::Split))
        } else {
            (Arc::clone(&train), HeldOut::Nowhere)
        };
        Ok(Self { reference, train, held_out, seed: *seed })
    }

    fn set(&self, part: Part) -> &dyn Dataset {
        if part == Part::Reference { self.reference.as_ref() } else { self.train.as_ref() }
    }

    /// The numbers of at most `most` samples of a part, chosen by the seed.
    fn chosen(&self, part: Part, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.set(part).len()).collect();
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

    /// Embeds samples of a part, and tells `embedded` how many at a time.
    fn gather(&self, judge: &Judge, part: Part, order: &[usize], embedded: &mut dyn FnMut(usize)) -> Result<Gathered> {
        let set = self.set(part);
        // Points are their own features.
        let folder = Remembered::folder().filter(|_| set.units().is_none());
        let mut gathered = judge.gather_remembered(folder);
        for indices in order.chunks(AT_ONCE) {
            gathered.push(&samples(set, indices)?)?;
            embedded(indices.len());
        }
        Ok(gathered)
    }

    fn description(&self, data: &DataConfig) -> gan_metrics::RealSet {
        let (split, floor_split) = match self.held_out {
            HeldOut::Split => ("test", "training samples"),
            HeldOut::Drawn => ("drawn anew", "training points"),
            HeldOut::Nowhere => ("half of the training data", "the other half"),
        };
        gan_metrics::RealSet { data: data.name.clone(), split: split.into(), floor_split: floor_split.into() }
    }
}

/// A data set whose samples have the shape that is compared.
fn open(Against { sample, .. }: &Against, data: &DataConfig, seed: u64) -> Result<Arc<dyn Dataset>> {
    let set = data::find(data, sample, seed)?;
    data::check_shape(data, sample, &set.shape())?;
    Ok(set)
}

/// Samples of a data set by number, `[N, C, H, W]` or `[N, D]`.
///
/// # Errors
/// If one cannot be read.
pub fn samples(set: &dyn Dataset, indices: &[usize]) -> Result<Tensor> {
    let size = set.pixels();
    let mut values = vec![0.0; indices.len() * size];
    indices.iter().zip(values.chunks_exact_mut(size)).try_for_each(|(index, out)| set.write(*index, out))?;
    let shape = [&[indices.len()], &set.shape()[..]].concat();
    Tensor::from_vec(values, shape, &Device::Cpu).map_err(Error::from)
}
