//! Training on a device that keeps everything: parameters, activations, gradients and optimizers' averages stay there.
//!
//! The host sends latents and real samples, reads D's outputs, which are a few numbers per sample, and sends the gradients of the losses by them.
//! So every loss works, also one of your own. The host's variables are written when something reads them: a checkpoint, samples, an observer
//! ([`Residence::fetch`]); and read when something has changed them ([`Residence::changed`]).

mod inputs;
mod network;
mod outputs;
mod pass;
mod passes;
mod penalties;
mod recorder;
mod residence;
mod sampler;
mod seen;
mod spectral_norm;
mod step;

use crate::config::FakesMode;
use crate::ema::Ema;
use crate::error::Result;
use crate::optimizers::Optimizer;
use crate::step::{DUpdate, GUpdate, Objective};
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::penalties::Effect;
pub(crate) use residence::Residence;
pub(crate) use sampler::{Sampler, on_device};

/// Latent vectors `[N, latent]` of an update's generated samples, and the samples' classes.
pub(crate) struct Latents<'a> {
    pub z: &'a Tensor,
    pub classes: Option<&'a Tensor>,
    pub mode: FakesMode,
    /// Whether G learns from the samples.
    pub is_learned_from: bool,
}

/// What an update on a device needs besides its samples.
pub(crate) struct Update<'a> {
    pub optimizer: &'a mut Optimizer,
    pub objective: &'a Objective,
    /// Dropout, augmentation and penalties.
    pub rng: &'a mut Rng,
    /// Number of the step, for messages.
    pub step: u64,
}

/// The state of a run on one device.
pub(crate) trait Resident: Send {
    /// Updates D by real samples, and by as many generated ones of the same classes.
    fn update_discriminator(&mut self, latents: &Latents, real: &Tensor, update: Update) -> Result<DUpdate>;
    /// Updates G by D's outputs on samples from `fresh` latents, or on those that D's last update has generated; `real` are the samples that a
    /// relativistic loss compares them with.
    fn update_generator(
        &mut self,
        fresh: Option<&Latents>,
        real: Option<&Tensor>,
        update: Update,
        zero: f64,
    ) -> Result<GUpdate>;
    /// Moves the averages of G's numbers.
    fn follow(&mut self, weight: f64);
    /// Reads all numbers from the host.
    fn send(&mut self, optimizers: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()>;
    /// Writes all numbers to the host.
    fn fetch(&self, optimizers: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()>;
    /// Generates samples for inference, with the moving averages of G's weights if there are any.
    fn sample(&mut self, z: &Tensor, classes: Option<&Tensor>) -> Result<Tensor>;
    /// Returns the bytes of device memory that were requested.
    fn requested(&self) -> usize;
    /// Returns whether D's outputs on a share of the samples can be differentiated in directions.
    fn has_derivatives(&self) -> bool;
}

/// Returns what in an objective only the CPU can do, for a message.
pub(crate) fn unsupported(objective: &Objective, accumulates: bool, ranks: usize) -> Option<&'static str> {
    let view = &objective.view;
    let matching = objective.penalties.iter().find(|penalty| matches!(penalty.kind.effect(), Effect::Features(_)));
    let all = [
        (view.noise > 0.0, "instance noise"),
        (objective.flip > 0.0, "flipped labels"),
        (matching.is_some(), matching.map_or("", |penalty| penalty.kind.name())),
        (accumulates, "train.accumulate"),
        (ranks > 1, "training with several processes"),
    ];
    all.into_iter().find(|(needed, _)| *needed).map(|(_, name)| name)
}
