//! Losses of both networks, and D's input.

use crate::error::Result;
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::penalties::Penalty;
use gan_core::{Augment, Labels, LossFunction, RandomTensors};
use std::sync::Arc;

/// Losses of both networks, and the composition of D's batches.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Loss of both networks.
    pub loss: Arc<dyn LossFunction>,
    /// D's targets.
    pub labels: Labels,
    /// Probability of flipping a label shown to D.
    pub flip: f64,
    /// Whether D sees one batch of both kinds, and the loss is the mean over all samples. Else it sees two: batch norm has statistics for
    /// each, and the losses are added.
    pub joint_batch: bool,
    /// What D sees of a sample.
    pub view: DiscriminatorInput,
    /// Penalties of this update, with their weights in it.
    pub penalties: Vec<Penalty>,
    /// What the losses of an auxiliary classifier count.
    pub auxiliary: f64,
    /// Maximum norm of a network's gradient; a longer one is clipped.
    pub clip_norm: Option<f64>,
}

/// Transformation of samples into D's input, for both kinds and in the updates of both networks.
#[derive(Clone, Copy, Debug)]
pub struct DiscriminatorInput {
    /// Changed at random.
    pub augment: Augment,
    /// Standard deviation of the normal noise (Sønderby et al. 2017, arXiv:1610.04490; Arjovsky & Bottou 2017, arXiv:1701.04862).
    pub noise: f64,
    /// Number of samples that D sees together (PacGAN; Lin et al. 2018, arXiv:1712.04086).
    pub pack: usize,
}

impl DiscriminatorInput {
    /// x `[N, C, H, W]` (or `[N, D]`) -> `[N / pack, C·pack, H, W]` (or `[N / pack, D·pack]`).
    pub(super) fn of(&self, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let mut x = if self.augment.is_none() { x.clone() } else { self.augment.apply(x, rng)? };
        if self.noise > 0.0 {
            x = (&x + rng.normal_tensor(0.0, self.noise as f32, x.shape(), x.device())?)?;
        }
        if self.pack == 1 {
            return Ok(x);
        }
        let whole = x.dim(0)? / self.pack;
        let shape = [&[whole, x.dim(1)? * self.pack], &x.dims()[2..]].concat();
        Ok(x.narrow(0, 0, whole * self.pack)?.reshape(shape)?)
    }
}

/// Real and generated samples, `[N, C, H, W]` (or `[N, D]`) each.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Real samples; `None` in G's update if nothing is compared with them.
    pub real: Option<Tensor>,
    /// Generated samples.
    pub fake: Tensor,
    /// Classes `[N]` u32 of both, sample by sample, if the networks are conditional.
    pub classes: Option<Tensor>,
}

/// Samples of an update.
#[derive(Clone, Debug)]
pub struct MicroBatches {
    /// This process's samples, in the parts whose gradients are added up.
    pub batches: Vec<Batch>,
    /// Number of samples over all processes.
    pub whole: usize,
}

impl MicroBatches {
    /// What a batch's mean counts in that of all samples.
    pub(super) fn part(&self, batch: &Batch) -> Result<f64> {
        Ok(batch.fake.dim(0)? as f64 / self.whole as f64)
    }
}
