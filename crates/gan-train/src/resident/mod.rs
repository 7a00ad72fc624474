//! Training on a device that keeps everything: parameters, activations, gradients and optimizers' averages stay there.
//!
//! The host sends latents and real samples, reads D's outputs, which are a few numbers per sample, and sends the gradients of the losses by them.
//! So every loss works, also one of your own. The host's variables are written when something reads them: a checkpoint, samples, an observer
//! ([`Residence::fetch`]); and read when something has changed them ([`Residence::changed`]).

mod network;
mod outputs;
mod pass;
mod passes;
mod penalties;
mod recorder;
mod spectral_norm;
mod step;

use crate::config::FakesMode;
use crate::ema::Ema;
use crate::error::{Error, Result};
use crate::optimizers::Optimizer;
use crate::step::{DUpdate, GUpdate, Objective};
use candle_core::Tensor;
use gan_base::Rng;
use gan_core::penalties::Effect;
use gan_core::{Discriminator, Generator};
use gan_cuda::step::StepBackend;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use step::Engine;

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
    /// Dropout and penalties.
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
    /// Returns the bytes of device memory that were requested.
    fn requested(&self) -> usize;
    /// Returns whether D's outputs on a share of the samples can be differentiated in directions.
    fn has_derivatives(&self) -> bool;
}

/// Who has the newest numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Newest {
    Host,
    Device,
    Both,
}

/// A run's state on a device, and the host's copy of it.
pub(crate) struct Residence(Mutex<State>);

struct State {
    device: Box<dyn Resident>,
    newest: Newest,
}

impl fmt::Debug for Residence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Residence").field(&self.state().newest).finish()
    }
}

impl Residence {
    /// Allocates both networks on a device.
    ///
    /// # Errors
    /// If a network is not made of a layer list, or has a layer that the device lacks.
    pub fn new<B: StepBackend>(
        backend: &B,
        generator: &dyn Generator,
        discriminator: &dyn Discriminator,
        optimizers: [&Optimizer; 2],
        ema: Option<&Ema>,
        seed: u64,
    ) -> Result<Self> {
        let own = || Error::config("--device", "networks of your own run on the CPU: they are not made of layer lists");
        let networks = [generator.layered().ok_or_else(own)?, discriminator.layered().ok_or_else(own)?];
        let engine = Engine::new(backend, networks, optimizers, ema, seed)?;
        Ok(Self(Mutex::new(State { device: Box::new(engine), newest: Newest::Host })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves no half-written host values behind that anybody reads.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that the host's numbers have changed.
    pub fn changed(&self) {
        self.state().newest = Newest::Host;
    }

    /// Writes the newest numbers to the host's variables.
    pub fn fetch(&self, optimizers: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()> {
        let mut state = self.state();
        if state.newest == Newest::Device {
            state.device.fetch(optimizers, ema)?;
            state.newest = Newest::Both;
        }
        Ok(())
    }

    /// Reads the newest numbers from the host's variables.
    pub fn send(&self, optimizers: [&Optimizer; 2], ema: Option<&Ema>) -> Result<()> {
        let mut state = self.state();
        if state.newest == Newest::Host {
            state.device.send(optimizers, ema)?;
            state.newest = Newest::Both;
        }
        Ok(())
    }

    /// Changes the numbers on the device, which must be the newest.
    pub fn update<T>(&self, f: impl FnOnce(&mut dyn Resident) -> T) -> T {
        let mut state = self.state();
        debug_assert_ne!(state.newest, Newest::Host, "the device has old numbers");
        state.newest = Newest::Device;
        f(state.device.as_mut())
    }

    /// Returns the bytes of device memory that were requested.
    pub fn requested(&self) -> usize {
        self.state().device.requested()
    }

    /// Returns whether D has derivatives in directions there, which penalties need.
    pub fn has_derivatives(&self) -> bool {
        self.state().device.has_derivatives()
    }
}

/// Returns what in an objective only the CPU can do, for a message.
pub(crate) fn unsupported(objective: &Objective, accumulates: bool, ranks: usize) -> Option<&'static str> {
    let view = &objective.view;
    let matching = objective.penalties.iter().find(|penalty| matches!(penalty.kind.effect(), Effect::Features(_)));
    let all = [
        (!view.augment.is_none(), "[augment]"),
        (view.noise > 0.0, "instance noise"),
        (view.pack > 1, "train.pacgan"),
        (objective.flip > 0.0, "flipped labels"),
        (matching.is_some(), matching.map_or("", |penalty| penalty.kind.name())),
        (accumulates, "train.accumulate"),
        (ranks > 1, "training with several processes"),
    ];
    all.into_iter().find(|(needed, _)| *needed).map(|(_, name)| name)
}
