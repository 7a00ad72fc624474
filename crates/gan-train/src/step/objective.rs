//! What the players minimise, and what D sees.

use crate::error::Result;
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::RandomTensors;
use gan_core::{Augment, Labels, Loss, Penalty};

/// What the players minimise, and how D's batches are put together.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Both players' loss.
    pub loss: Loss,
    /// D's targets.
    pub labels: Labels,
    /// The share of samples that D is told to take for the other kind.
    pub flip: f64,
    /// One batch of both kinds or two.
    pub batches: Batches,
    /// What D sees of a sample.
    pub view: DiscriminatorInput,
    /// What D's gradient costs it in this update.
    pub penalties: Vec<ScheduledPenalty>,
    /// What the losses of an auxiliary classifier count.
    pub auxiliary: f64,
    /// What the distance of D's mean features costs G, where it does.
    pub feature_matching: Option<f64>,
    /// The largest norm of a player's gradient; a larger one is shortened to it.
    pub clip_norm: Option<f64>,
    /// The largest weight of D; others are cut off after its update.
    pub clip_weights: Option<f64>,
}

/// What D sees of samples, of both kinds and in both players' updates.
#[derive(Clone, Copy, Debug)]
pub struct DiscriminatorInput {
    /// Changed at random.
    pub augment: Augment,
    /// With normal noise of this deviation (Sønderby et al. 2017, arXiv:1610.04490; Arjovsky & Bottou 2017, arXiv:1701.04862).
    pub noise: f64,
    /// So many together (PacGAN; Lin et al. 2018, arXiv:1712.04086).
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
        let (n, channels) = (x.dim(0)?, x.dim(1)?);
        let whole = n / self.pack;
        let shape = [&[whole, channels * self.pack], &x.dims()[2..]].concat();
        Ok(x.narrow(0, 0, whole * self.pack)?.reshape(shape)?)
    }
}

/// Real and generated samples, `[N, C, H, W]` (or `[N, D]`) each.
#[derive(Clone, Debug)]
pub struct Batch {
    /// From the data; G's update does without where nothing is compared with them.
    pub real: Option<Tensor>,
    /// From G.
    pub fake: Tensor,
    /// The classes `[N]` u32 of both, sample by sample, where the networks know classes.
    pub classes: Option<Tensor>,
}

/// What an update learns from.
#[derive(Clone, Debug)]
pub struct MicroBatches {
    /// This process's samples, in the parts whose gradients are added up.
    pub batches: Vec<Batch>,
    /// How many samples they are with those of all other processes.
    pub whole: usize,
}

impl MicroBatches {
    /// What a batch's mean counts in that of all samples.
    pub(super) fn part(&self, batch: &Batch) -> Result<f64> {
        Ok(batch.fake.dim(0)? as f64 / self.whole as f64)
    }
}

/// A penalty that is due.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledPenalty {
    /// Which.
    pub penalty: Penalty,
    /// What it is multiplied by.
    pub weight: f64,
    /// The part of each batch that it is taken at.
    pub share: f64,
}

impl ScheduledPenalty {
    /// The first samples (or classes) of a batch, at least one.
    pub(super) fn some(self, batch: &Tensor) -> Result<Tensor> {
        let n = batch.dim(0)?;
        Ok(batch.narrow(0, 0, ((n as f64 * self.share).round() as usize).clamp(1, n))?)
    }
}

/// How D sees real and generated samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batches {
    /// One after the other: batch norm has statistics for each, the losses add up.
    Separate,
    /// As one batch: the loss is the mean over all.
    Joint,
}
