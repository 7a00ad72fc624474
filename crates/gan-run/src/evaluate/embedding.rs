//! Generation and embedding of samples, the part of an evaluation that ranks share.

use super::{AT_ONCE, Against, Real, network};
use crate::error::Result;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::{draw_classes, samples};
use gan_data::Dataset;
use gan_metrics::EmbeddedSamples;
use gan_metrics::embed::{Embedder, Embedding as Said};
use gan_train::Trainer;
use std::collections::BTreeMap;
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

/// Returns whether a network classifies a data set's own classes.
pub(super) fn same_classes(embedder: &dyn Embedder, set: &dyn Dataset) -> bool {
    let classes = &embedder.info().classes;
    !classes.is_empty() && classes == set.classes()
}

impl Embedding {
    /// Returns the embedding with a trainer's settings, for a rank that does not evaluate.
    pub(crate) fn for_trainer(trainer: &Trainer) -> Result<Self> {
        let config = trainer.plan().config();
        let against = Against::of(trainer);
        let reference = Real::beside(&against, Arc::clone(trainer.dataset()))?.reference.set;
        let network = network::choose(&against, &config.evaluate.embedder, reference.as_ref())?;
        let embedder = network.embedder;
        let same_classes = same_classes(embedder.as_ref(), reference.as_ref());
        Ok(Self { embedder, samples: config.evaluate.samples, seed: against.seed, same_classes })
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
        let (rank, size) = (ranks.rank(), ranks.size());
        let (device, latent) = (trainer.device(), trainer.plan().config().latent);
        let mut rng = Rng::stream(self.seed, "evaluation");
        let parts: Vec<usize> =
            (0..self.samples).step_by(AT_ONCE).map(|from| AT_ONCE.min(self.samples - from)).collect();
        trainer.with_ema_weights(|generator| {
            for round in parts.chunks(size) {
                let mut mine = None;
                for (of, n) in round.iter().enumerate() {
                    let z = latent.sample(*n, &mut rng, device)?;
                    let classes = draw_classes(generator, *n, &mut rng, device)?;
                    if of == rank {
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

fn packed(some: &EmbeddedSamples) -> Result<Vec<u8>> {
    let Said { features, logits } = &some.embedding;
    let mut tensors = BTreeMap::from([("samples", some.samples.clone()), ("features", features.clone())]);
    tensors.extend(logits.iter().map(|logits| ("logits", logits.clone())));
    if let Some(classes) = &some.classes {
        tensors.insert("classes", Tensor::new(&classes[..], &Device::Cpu)?);
    }
    Ok(safetensors::serialize(tensors, None).map_err(candle_core::Error::from)?)
}

fn unpacked(bytes: &[u8]) -> Result<EmbeddedSamples> {
    let mut tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)?;
    let mut part = |name: &str| tensors.remove(name);
    let needed =
        |part: Option<Tensor>| part.ok_or_else(|| candle_core::Error::Msg("samples of a rank lack a part".into()));
    let (samples, features) = (needed(part("samples"))?, needed(part("features"))?);
    let embedding = Said { features, logits: part("logits") };
    let classes = part("classes").map(|classes| classes.to_vec1()).transpose()?;
    Ok(EmbeddedSamples { samples, embedding, classes })
}
