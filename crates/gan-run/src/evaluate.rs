//! How good samples are: a generator, files or arrays against a data set, as a metric card.
//!
//! The judging itself is gan-metrics'; here are the real samples: which ones, from where, and what the judge is like for them. Random
//! numbers come from streams of their own, so training is the same with and without evaluations.

use crate::error::{Error, Result};
use crate::folder::MOST_LINES;
use candle_core::Tensor;
use gan_base::regular_file;
use gan_data::Dataset;
use gan_data::images::Fitting;
use gan_metrics::{Card, Gathered, ImageSizes, Judge, Metric, RealSet};
use gan_train::config::{DataConfig, EvaluateConfig};
use gan_train::data;
use gan_train::trainer::Trainer;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod compare;
mod embedding;
mod given;
mod images;
mod network;
mod real;

pub use compare::{Request, Subject, compare};
pub(crate) use embedding::Embedding;
use embedding::same_classes;
pub use given::Given;
use images::Way;
use network::Network;
use real::{Real, Wanted};

/// Real samples that generated ones are compared with, at most.
pub const REFERENCE: usize = 10_000;
/// What the log calls messages that show how far something is.
pub const PROGRESS: &str = "gan::progress";
/// Why copies are not looked for beside a reference that the user named.
const NO_COPIES: &str =
    "memorisation, near_copies: the reference is not known to be the training data; compare a run with its own data";
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
    let text = regular_file::read_to_string(path, MOST_LINES).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Step and value of the best of some evaluations by `metric`; the first of equals.
pub fn best_of(evaluations: &[Evaluated], metric: Metric) -> Option<(u64, f64)> {
    let all = evaluations.iter().filter_map(|e| Some((e.step, e.card.value(metric)?)));
    all.reduce(|best, other| if metric.better().prefers(other.1, best.1) { other } else { best })
}

/// What real samples to compare with.
#[derive(Clone, Debug)]
pub(crate) struct Against {
    /// The data set.
    data: DataConfig,
    /// The shape of a sample, `[C, H, W]` or `[D]`.
    sample: Vec<usize>,
    /// Decides every choice among samples.
    seed: u64,
    role: Role,
    way: Way,
}

impl Against {
    /// What a trainer trains on.
    fn of(trainer: &Trainer) -> Self {
        let config = trainer.plan().config();
        let (sample, role, way) = (trainer.plan().sample(), Role::TrainingData, Way::AsGiven);
        Self { data: config.data.clone(), sample, seed: config.train.seed, role, way }
    }
}

/// Whose the real samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What a generator was trained on: it is compared with a part that was held out, or with half of the data.
    TrainingData,
    /// A reference that the user named, used whole.
    Reference(Floor),
}

/// Whether a reference that was named gets a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// It does not.
    Skip,
    /// Between two random halves of it.
    OfHalves,
}

/// How much is measured where no metrics are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
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
    best: Metric,
    embedding: Embedding,
    /// What samples that are no data set are brought to a size by.
    fit: Option<Fitting>,
    sample_sizes: Option<ImageSizes>,
}

/// What is measured, with which network, and at which sizes.
struct Setup<'a> {
    how: &'a EvaluateConfig,
    depth: Depth,
    network: Network,
    resizing: Resizing,
}

/// What becomes of sizes in a comparison.
#[derive(Default)]
struct Resizing {
    fit: Option<Fitting>,
    samples: Option<ImageSizes>,
    reals: Option<ImageSizes>,
}

impl Evaluator {
    /// As a trainer's settings say, against the data that it trains on.
    ///
    /// # Errors
    /// If the data or the embedding network cannot be read, or there are too few real samples.
    pub fn for_trainer(trainer: &Trainer) -> Result<Self> {
        let config = trainer.plan().config();
        let against = Against::of(trainer);
        let real = Real::beside(&against, Arc::clone(trainer.dataset()))?;
        let (start, mut said) = (Instant::now(), Duration::ZERO);
        let mut progress = |done: usize, all: usize| {
            // The first time, slow networks keep the run waiting: that must be seen.
            if start.elapsed() > said + PATIENCE {
                said = start.elapsed();
                tracing::info!(target: PROGRESS, "embedding the real samples: {done} of {all}; they are remembered");
            }
        };
        let network = network::choose(&against, &config.evaluate.embedder, real.reference.set.as_ref())?;
        let resizing = Resizing { reals: shrunk(&real, &against), ..Resizing::default() };
        let setup = Setup { how: &config.evaluate, depth: Depth::InTraining, network, resizing };
        Self::with_real(real, &against, setup, &mut progress)
    }

    /// For samples of `against`'s shape, judged as `how` says.
    fn new(against: &Against, how: &EvaluateConfig, progress: &mut Progress) -> Result<Self> {
        let real = Real::open(against)?;
        let network = network::choose(against, &how.embedder, real.reference.set.as_ref())?;
        let resizing = Resizing { reals: shrunk(&real, against), ..Resizing::default() };
        Self::with_real(real, against, Setup { how, depth: Depth::Whole, network, resizing }, progress)
    }

    fn with_real(real: Real, against: &Against, setup: Setup, progress: &mut Progress) -> Result<Self> {
        let Setup { how, depth, network: (embedder, modes), resizing } = setup;
        let kind = network::kind(embedder.as_ref(), modes.is_some());
        let mut metrics = if how.metrics.is_empty() { kind.metrics(depth) } else { how.metrics.clone() };
        let is_copies = |metric: &Metric| matches!(metric, Metric::Memorisation | Metric::NearCopies);
        let mut notes = Vec::new();
        if !real.has_training_data() && metrics.iter().any(is_copies) {
            metrics.retain(|metric| !is_copies(metric));
            if metrics.is_empty() {
                return Err(Error::config("--metrics", format!("nothing is left to measure: {NO_COPIES}")));
            }
            notes.push(format!("not measured: {NO_COPIES}"));
        }
        let best = how.best.unwrap_or_else(|| kind.best());
        let same_classes = same_classes(embedder.as_ref(), real.reference.set.as_ref());
        let mut judge = Judge::new(Arc::clone(&embedder), &metrics, against.seed)?;
        if let Some(modes) = modes {
            judge = judge.with_modes(modes);
        }
        judge = notes.into_iter().fold(judge, Judge::with_note);
        let wanted = Wanted { samples: how.samples, copies: metrics.iter().any(is_copies) };
        let described = RealSet { sizes: resizing.reals, ..real.description(against) };
        let judge = real.embedded(judge, described, wanted, progress)?;
        let embedding = Embedding { embedder, samples: how.samples, seed: against.seed, same_classes };
        Ok(Self { judge, best, embedding, fit: resizing.fit, sample_sizes: resizing.samples })
    }

    /// The metric that chooses the best generator.
    pub fn best(&self) -> Metric {
        self.best
    }

    /// What real samples reach in `metric`.
    pub fn floor(&self, metric: Metric) -> Option<f64> {
        self.judge.floor(metric)
    }

    /// Judges a trainer's generator in use, from the same noise every time.
    ///
    /// # Errors
    /// If the samples are not finite, and from candle.
    pub fn of_trainer(&self, trainer: &Trainer) -> Result<Card> {
        let mut gathered = self.judge.gather();
        // The other ranks are at work whatever rank 0 thinks of their samples.
        let mut problem = None;
        trainer.share_work(|| {
            self.embedding.shared(trainer, &mut |some| {
                if problem.is_none() {
                    problem = gathered.push_embedded(&some).err();
                }
            })
        })?;
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
        let mut gathered = self.judge.gather().of_sizes(self.sample_sizes.clone());
        let samples = self.embedding.samples;
        while gathered.count() < samples {
            let Some((samples, classes)) = source(AT_ONCE.min(samples - gathered.count()))? else { break };
            gathered.push_embedded(&self.embedding.of(&self.fitted(samples)?, classes.as_ref())?)?;
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

/// A data set whose samples have the shape that is compared.
fn open(Against { sample, way, .. }: &Against, data: &DataConfig, seed: u64) -> Result<Arc<dyn Dataset>> {
    if *way != Way::AsGiven {
        return compare::stored(data, seed);
    }
    let set = data::find(data, sample, seed)?;
    data::check_shape(data, sample, &set.shape())?;
    Ok(set)
}

/// The sizes of real images where they were larger than what is trained at, for the card.
fn shrunk(real: &Real, against: &Against) -> Option<ImageSizes> {
    let sizes = real.sizes()?.card(Way::AsGiven, &against.sample, &against.data);
    sizes.resized.is_some().then_some(sizes)
}
