//! The embedding network, and the generation and embedding of samples, the part of an evaluation that ranks share.

use super::{AT_ONCE, Against, Real};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::{draw_classes, samples};
use gan_data::{Classifier, Dataset};
use gan_metrics::embed::{
    Composited, Coordinates, Embedder, FeatureSpace, Inception, Layered, Stacked, Texture, Thumbnails,
};
use gan_metrics::mode_coverage::{Modes, ModesOf};
use gan_metrics::{DataKind, EmbeddedSamples, Needs};
use gan_train::Trainer;
use gan_train::config::EvaluateConfig;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Generation and embedding of samples.
pub(crate) struct Embedding {
    pub embedder: Arc<dyn Embedder>,
    /// Number of samples to evaluate.
    pub samples: usize,
    pub seed: u64,
    /// Whether the network classifies the data's own classes.
    pub same_classes: bool,
}

impl Embedding {
    pub(super) fn new(embedder: Arc<dyn Embedder>, reference: &dyn Dataset, samples: usize, seed: u64) -> Self {
        let classes = &embedder.info().classes;
        let same_classes = !classes.is_empty() && classes == reference.classes();
        Self { embedder, samples, seed, same_classes }
    }

    /// Returns the embedding with a trainer's settings, for a rank that does not evaluate.
    pub(crate) fn for_trainer(trainer: &Trainer) -> Result<Self> {
        let how = &trainer.plan().config().evaluate;
        let against = Against::of(trainer);
        let reference = Real::beside(&against, Arc::clone(trainer.dataset()))?.reference.set;
        let network = Network::choose(&against, how, reference.as_ref())?;
        Ok(Self::new(network.embedder, reference.as_ref(), how.samples, against.seed))
    }

    /// Returns samples with the outputs of the network and the classes of their conditions.
    pub(crate) fn of(&self, samples: &Tensor, classes: Option<&Tensor>) -> Result<EmbeddedSamples> {
        let samples = samples.to_device(&Device::Cpu)?;
        let classes = classes.map(Tensor::to_vec1::<u32>).transpose()?;
        let embedding = self.embedder.embed(&samples)?;
        // A network with other classes cannot tell.
        Ok(EmbeddedSamples { samples, embedding, classes: classes.filter(|_| self.same_classes) })
    }

    /// Generates the samples of a trainer's generator for inference, the same at each call, and on rank 0 passes them to `take` in batches
    /// and in order. Ranks that train together generate a part each, and each draws the random numbers of all.
    pub(crate) fn shared(&self, trainer: &Trainer, take: &mut dyn FnMut(EmbeddedSamples)) -> Result<()> {
        let ranks = trainer.ranks();
        let size = ranks.size();
        let device = trainer.device();
        let latent = trainer.plan().config().latent;
        let mut rng = Rng::stream(self.seed, "evaluation");
        let parts: Vec<usize> =
            (0..self.samples).step_by(AT_ONCE).map(|from| AT_ONCE.min(self.samples - from)).collect();
        trainer.with_sampler(|generator| {
            for round in parts.chunks(size) {
                let mut mine = None;
                for (of, n) in round.iter().enumerate() {
                    let z = latent.sample(*n, &mut rng, device)?;
                    let classes = draw_classes(generator, *n, &mut rng, device)?;
                    if of == ranks.rank() {
                        mine = Some(self.of(&samples(generator, &z, classes.as_ref())?, classes.as_ref())?);
                    }
                }
                if size == 1 {
                    mine.into_iter().for_each(&mut *take);
                    continue;
                }
                let bytes = mine.as_ref().map(packed).transpose()?.unwrap_or_default();
                let all = ranks.gather(&bytes)?;
                for bytes in all.iter().filter(|bytes| !bytes.is_empty()) {
                    take(unpacked(bytes)?);
                }
            }
            Ok(())
        })
    }
}

/// Encodes embedded samples for rank 0, as safetensors.
fn packed(some: &EmbeddedSamples) -> Result<Vec<u8>> {
    let embedding = &some.embedding;
    let mut tensors = BTreeMap::from([("samples", some.samples.clone()), ("features", embedding.features.clone())]);
    tensors.extend(embedding.logits.iter().map(|logits| ("logits", logits.clone())));
    if let Some(classes) = &some.classes {
        tensors.insert("classes", Tensor::new(&classes[..], &Device::Cpu)?);
    }
    Ok(safetensors::serialize(tensors, None).map_err(candle_core::Error::from)?)
}

fn unpacked(bytes: &[u8]) -> Result<EmbeddedSamples> {
    let mut tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
    let classes = tensors.remove("classes").map(|classes| classes.to_vec1()).transpose()?;
    let logits = tensors.remove("logits");
    let mut needed = |name: &str| {
        tensors.remove(name).ok_or_else(|| candle_core::Error::Msg("samples of a rank lack a part".into()))
    };
    let samples = needed("samples")?;
    let embedding = gan_metrics::embed::Embedding { features: needed("features")?, logits };
    Ok(EmbeddedSamples { samples, embedding, classes })
}

/// A network, and the modes of the data.
pub(super) struct Network {
    pub embedder: Arc<dyn Embedder>,
    pub modes: Option<ModesOf>,
}

impl Network {
    /// Returns the network that the settings name, and the modes of the data.
    pub(super) fn choose(against: &Against, how: &EvaluateConfig, set: &dyn Dataset) -> Result<Network> {
        let Against { data, sample, .. } = against;
        let name = how.embedder.as_str();
        if let Some(units) = set.units() {
            if name != "auto" {
                let problem = format!("\"{name}\" embeds images, and {} has points: leave it out", data.name());
                return Err(Error::config("evaluate.embedder", problem));
            }
            let modes = data.set.points().and_then(|points| points.modes());
            let modes = modes.map(|modes| Modes::new(&modes.centres, modes.sigma)).transpose()?;
            let embedder = Arc::new(Coordinates::new(units.ranges().to_vec()));
            return Ok(Network { embedder, modes: modes.map(ModesOf::Points) });
        }
        let [channels, h, w] = [0, 1, 2].map(|axis| sample.get(axis).copied().unwrap_or(1));
        let has_alpha = channels == 4;
        if let Some(protocol) = against.protocol.filter(|_| has_alpha) {
            let problem = format!("{} takes RGB images: set it to 3", protocol.key());
            return Err(Error::config("data.channels", problem));
        }
        let c = if has_alpha { 3 } else { channels };
        let thumbnails = || -> Arc<dyn Embedder> { Arc::new(Thumbnails::new([c, h, w])) };
        let texture = || -> Result<Arc<dyn Embedder>> { Ok(Arc::new(Texture::new([c, h, w])?)) };
        let classifier = data.set.info().classifier;
        let embedder: Arc<dyn Embedder> = match name {
            "auto" => match classifier {
                Some(Classifier::Digits) if c == 1 => Arc::new(Layered::digits()?),
                Some(Classifier::StackedDigits) => Arc::new(Stacked::digits()?),
                Some(Classifier::Digits) | None if h.min(w) < Texture::SMALLEST || names_thumbnails(how) => {
                    thumbnails()
                }
                Some(Classifier::Digits) | None => texture()?,
            },
            "digits" if c == 3 => Arc::new(Stacked::digits()?),
            "digits" => Arc::new(Layered::digits()?),
            "texture" => texture()?,
            "thumbnails" => thumbnails(),
            "inception" => Arc::new(Inception::load()?),
            path => Arc::new(Layered::read(Path::new(path))?),
        };
        let embedder = if has_alpha { Arc::new(Composited::new(embedder)) } else { embedder };
        let modes = (classifier == Some(Classifier::StackedDigits) && !embedder.info().classes.is_empty())
            .then_some(ModesOf::Classes);
        Ok(Network { embedder, modes })
    }

    /// Returns the kind of data that is compared, which determines the metrics.
    pub(super) fn kind(&self) -> DataKind {
        let is_points = self.embedder.info().features == FeatureSpace::Coordinates;
        match (is_points, self.embedder.info().classes.is_empty(), self.modes.is_some()) {
            (true, _, true) => DataKind::PointsAroundModes,
            (true, _, false) => DataKind::Points,
            (false, false, true) => DataKind::ManyClasses,
            (false, false, false) => DataKind::Classes,
            (false, true, _) => DataKind::Images,
        }
    }
}

/// Returns whether the settings name a metric that only thumbnails have, as settings of earlier versions do.
fn names_thumbnails(how: &EvaluateConfig) -> bool {
    how.metrics.iter().chain(&how.best).any(|metric| metric.needs == Needs::FeaturesOf(FeatureSpace::Thumbnails))
}
