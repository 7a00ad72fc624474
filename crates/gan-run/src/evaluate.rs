//! Evaluation of samples: compares a generator, files or arrays with a data set and returns a metric card.
//!
//! gan-metrics computes the metrics. This module selects the real samples and the metrics that fit them. It has its own random streams, so
//! training is the same with and without evaluations.

use crate::error::{Error, Result};
use crate::log::lines;
use candle_core::{Device, Tensor};
use gan_data::Dataset;
use gan_data::images::Fitting;
use gan_metrics::{Card, ImageSizes, Metric, MetricSuite, Needs, Occasion, Protocol, Reference, SampleSet, renamed};
use gan_train::Trainer;
use gan_train::config::{DataConfig, EvaluateConfig};
use gan_train::data;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod compare;
mod embedding;
mod real;
mod samples;

pub use compare::{Request, Subject, compare, compare_statistics, distance};
pub(crate) use embedding::Embedding;
use embedding::Network;
use real::{Real, Wanted};
pub use samples::Given;
use samples::{Kind, VALUES_AT_ONCE, Way, fitted};

/// Maximum number of real samples from a split, and from the training data, that generated ones are compared with.
pub(crate) const REFERENCE: usize = 10_000;
/// Log target of progress messages.
pub const PROGRESS: &str = "gan::progress";
/// Threshold below which some part of an image is dark. Numbers from 0 to 1 only use half of the range.
const DARK: f32 = -0.5;
/// Reason why copies are not searched beside a reference that the user named.
const NO_COPIES: &str = "the reference is not known to be the training data; compare a run with its own data";
/// Number of samples that are embedded at once.
const AT_ONCE: usize = 250;
/// Duration after which progress is shown.
const PATIENCE: Duration = Duration::from_secs(10);

/// Callback with the number of embedded real samples and their total.
pub type Progress<'a> = dyn FnMut(usize, usize) + 'a;

/// Line of evaluations.jsonl.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evaluated {
    /// Step of the evaluation.
    pub step: u64,
    /// Metric that selects the best.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "renamed::read_optional_key")]
    pub best: Option<&'static Metric>,
    /// Results of the evaluation.
    pub card: Card,
}

/// Returns the evaluations in a run's evaluations.jsonl, of any version, in their order; none if there is no such file.
pub fn read(path: &Path) -> Vec<Evaluated> {
    lines(path).map(|e: Evaluated| Evaluated { best: e.best.map(|best| e.card.current(best)), ..e }).collect()
}

/// Returns step and value of the best evaluation by `metric`, the first of equals.
pub(crate) fn best_of(evaluations: &[Evaluated], metric: &Metric) -> Option<(u64, f64)> {
    let all = evaluations.iter().filter_map(|e| Some((e.step, e.card.value(metric)?)));
    all.reduce(|best, other| if metric.better.prefers(other.1, best.1) { other } else { best })
}

/// Description of the real samples to compare with.
#[derive(Clone, Debug)]
pub(crate) struct Against {
    data: DataConfig,
    /// Shape of a sample, `[C, H, W]` or `[D]`.
    sample: Vec<usize>,
    /// Seed of every random choice of samples.
    seed: u64,
    role: Role,
    way: Way,
    occasion: Occasion,
    protocol: Option<Protocol>,
}

impl Against {
    /// Returns the training data of a trainer.
    fn of(trainer: &Trainer) -> Self {
        let config = trainer.plan().config();
        Self {
            data: config.data.clone(),
            sample: trainer.plan().sample(),
            seed: config.train.seed,
            role: Role::TrainingData,
            way: Way::AsGiven,
            occasion: Occasion::Training,
            protocol: None,
        }
    }

    /// Returns the real data of a request, in the shape in which they are given.
    fn of_request(request: &Request) -> Self {
        Self {
            data: request.data.clone(),
            sample: vec![],
            seed: request.seed,
            role: request.role,
            way: Way::AsGiven,
            occasion: Occasion::Evaluation,
            protocol: request.protocol,
        }
    }

    /// Opens a data set with samples of the shape to compare.
    fn open(&self, data: &DataConfig, seed: u64) -> Result<Arc<dyn Dataset>> {
        if self.way != Way::AsGiven {
            return compare::stored(data, seed);
        }
        let set = data::find(data, &self.sample, seed)?;
        data::check_shape(data, &self.sample, &set.shape())?;
        Ok(set)
    }
}

/// Role of the real samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Training data of a generator, which is compared with a held-out part of them, or else with all of them.
    TrainingData,
    /// Reference that the user named, which is used whole.
    Reference {
        /// Whether the card has a floor, between two random halves of the reference.
        floor: bool,
    },
}

/// Source of samples to evaluate: see [`Evaluator::collect`].
pub type Source<'a> = dyn FnMut(usize) -> Result<Option<(Tensor, Option<Tensor>)>> + 'a;

/// Metric suite with its real samples, ready for generated ones.
pub struct Evaluator {
    suite: MetricSuite,
    best: Option<&'static Metric>,
    embedding: Embedding,
    /// Resizing of samples that are not a data set.
    fit: Option<Fitting>,
    sample_sizes: Option<ImageSizes>,
}

impl Evaluator {
    /// Returns an evaluator with a trainer's settings, for comparison with its training data.
    ///
    /// # Errors
    /// If the data or the embedding network cannot be read, or there are too few real samples.
    pub fn for_trainer(trainer: &Trainer) -> Result<Self> {
        let against = Against::of(trainer);
        let real = Real::beside(&against, Arc::clone(trainer.dataset()))?;
        let start = Instant::now();
        let mut shown = Duration::ZERO;
        let mut progress = |done: usize, all: usize| {
            // The first time, slow networks delay the run, so the user should see progress.
            if start.elapsed() > shown + PATIENCE {
                shown = start.elapsed();
                tracing::info!(target: PROGRESS, "embedding the real samples: {done} of {all}; they are remembered");
            }
        };
        Self::new(real, &against, &trainer.plan().config().evaluate, &mut progress)
    }

    /// Returns an evaluator for samples of `against`'s shape, with the settings `how`.
    fn new(real: Real, against: &Against, how: &EvaluateConfig, progress: &mut Progress) -> Result<Self> {
        let network = Network::choose(against, how, real.reference.set.as_ref())?;
        let sizes = real.reference.sizes().map(|sizes| sizes.card(Way::AsGiven, &against.sample, &against.data));
        // The card only mentions real images that were larger than the training size.
        let sizes = sizes.filter(|sizes| sizes.resized.is_some());
        Self::with_network(network, real, sizes, against, how, progress)
    }

    fn with_network(
        network: Network,
        real: Real,
        real_sizes: Option<ImageSizes>,
        against: &Against,
        how: &EvaluateConfig,
        progress: &mut Progress,
    ) -> Result<Self> {
        let kind = network.kind();
        let Network { embedder, modes } = network;
        let features = embedder.info().features;
        let mut metrics = match how.metrics.as_slice() {
            [] => Metric::defaults(kind, features, against.occasion),
            named => named.to_vec(),
        };
        let is_copies = |metric: &&Metric| metric.needs == Needs::TrainingSamples;
        let copies: Vec<&str> = metrics.iter().filter(|metric| is_copies(metric)).map(|metric| metric.key).collect();
        let note =
            (!real.has_training_data() && !copies.is_empty()).then(|| format!("{}: {NO_COPIES}", copies.join(", ")));
        if let Some(problem) = &note {
            metrics.retain(|metric| !is_copies(metric));
            if metrics.is_empty() {
                return Err(Error::config("--metrics", format!("nothing is left to measure: {problem}")));
            }
        }
        let embedding = Embedding::new(embedder, real.reference.set.as_ref(), how.samples, against.seed);
        let mut suite = MetricSuite::new(Arc::clone(&embedding.embedder), &metrics, against.seed)?;
        suite.modes = modes;
        suite.protocol = against.protocol;
        suite.notes.extend(note.map(|problem| format!("not measured: {problem}")));
        let most = if against.occasion == Occasion::Training { REFERENCE } else { usize::MAX };
        let wanted = Wanted { samples: how.samples, copies: metrics.iter().any(is_copies), most };
        let described = Reference { sizes: real_sizes, ..real.description(against) };
        let suite = real.embedded(suite, described, wanted, progress)?;
        let best = how.best.or_else(|| Metric::best(kind, features));
        Ok(Self { suite, best, embedding, fit: None, sample_sizes: None })
    }

    /// Returns the metric that selects the best generator; `None` if none fits and none is named.
    pub fn best(&self) -> Option<&'static Metric> {
        self.best
    }

    /// Returns the figure of real samples in `metric`.
    pub fn floor(&self, metric: &Metric) -> Option<f64> {
        self.suite.floor(metric)
    }

    /// Evaluates a trainer's generator for inference, from the same noise every time.
    ///
    /// # Errors
    /// If the samples are not finite, and from candle.
    pub fn of_trainer(&self, trainer: &Trainer) -> Result<Card> {
        let mut set = self.suite.sample_set();
        // The other ranks take part whether or not rank 0 can use their samples.
        let mut problem = None;
        trainer.share_work(|| {
            self.embedding.shared(trainer, &mut |some| {
                if problem.is_none() {
                    problem = set.push_embedded(&some).err();
                }
            })
        })?;
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        let subject = trainer.plan().config().preset.clone();
        Ok(Card { step: Some(trainer.step()), ..self.card(&subject, &set)? })
    }

    /// Collects samples from `source`, up to the number that is evaluated. `source` gets the maximum number to return and returns nothing
    /// when there are no more; for conditional generators it also returns each sample's class `[N]` u32.
    ///
    /// # Errors
    /// From `source`, and if a sample does not fit the embedding network.
    pub fn collect(&self, source: &mut Source) -> Result<SampleSet> {
        let mut set = self.suite.sample_set();
        set.sizes = self.sample_sizes.clone();
        let samples = self.embedding.samples;
        while set.count() < samples {
            let Some((samples, classes)) = source(AT_ONCE.min(samples - set.count()))? else { break };
            set.push_embedded(&self.embedding.of(&self.fitted(samples)?, classes.as_ref())?)?;
        }
        Ok(set)
    }

    /// Collects all given samples, and reports the number of each batch to `done`.
    ///
    /// # Errors
    /// If one cannot be read or does not fit the embedding network.
    pub fn collect_given(&self, given: &mut Given, done: &mut dyn FnMut(usize)) -> Result<SampleSet> {
        let mut set = self.suite.sample_set();
        set.expected = given.count();
        set.sizes = self.sample_sizes.clone();
        let mut push = |samples: &Tensor| -> Result<()> {
            set.push_embedded(&self.embedding.of(samples, None)?)?;
            done(samples.dim(0)?);
            Ok(())
        };
        let count = given.count();
        match &mut given.0 {
            Kind::Images(images) => {
                for indices in images.batches(&(0..count).collect::<Vec<_>>()) {
                    images.read(&indices)?.map_or(Ok(()), |samples| push(&samples))?;
                }
            }
            Kind::Points(points) => {
                for from in (0..count).step_by(AT_ONCE) {
                    push(&points.narrow(0, from, AT_ONCE.min(count - from))?)?;
                }
            }
            Kind::Array(array) => {
                let [c, h, w] = array.shape();
                let at_once = (VALUES_AT_ONCE / (c * h * w)).clamp(1, AT_ONCE);
                for from in (0..count).step_by(at_once) {
                    let n = at_once.min(count - from);
                    let samples = Tensor::from_vec(array.read(from, n)?, (n, c, h, w), &Device::Cpu)?;
                    push(&self.fitted(samples)?)?;
                }
                if array.is_within_zero_and_one() && self.suite.lowest().is_some_and(|lowest| lowest < DARK) {
                    set.notes.push(
                        "the array's numbers are all from 0 to 1, those of the real images begin at -1: it looks like [0, 1]; \
                         if it is, save 2 * x - 1"
                            .into(),
                    );
                }
            }
        }
        // Files may be ordered, for example by class.
        Ok(set.shuffled(self.embedding.seed))
    }

    /// Resizes images `[N, C, H, W]` to the size of the comparison, if it has one.
    fn fitted(&self, samples: Tensor) -> Result<Tensor> {
        match &self.fit {
            Some(fitting) if samples.rank() == 4 => fitted(&samples, fitting),
            _ => Ok(samples),
        }
    }

    /// Returns the card of collected samples with the name `subject`.
    ///
    /// # Errors
    /// If there are too few, or they are not finite.
    pub fn card(&self, subject: &str, samples: &SampleSet) -> Result<Card> {
        Ok(self.suite.card(subject, samples, self.embedding.seed)?)
    }
}
