//! A trainer whose networks live on a device.

use super::Trainer;
use super::samples::Last;
use crate::config::FakesMode;
use crate::error::{Error, Result};
use crate::optimizers::{Rates, UpdateRule};
use crate::resident::{Latents, Residence, Update, unsupported};
use crate::step::{DUpdate, GUpdate, Objective};
use candle_core::Tensor;
use gan_core::penalties::Effect;
use gan_cuda::step::StepBackend;

impl Trainer {
    /// Moves both networks, their optimizers and averages to a device, where all further steps run. The host's copies follow when something
    /// reads them.
    ///
    /// # Errors
    /// If the networks, the optimizers or the settings need what only the CPU can do, or the device has too little memory for both networks; the
    /// trainer then stays where it is.
    pub fn move_to<B: StepBackend>(&mut self, backend: &B) -> Result<()> {
        let config = self.plan.config();
        let fail = |what: &str| Error::config("--device", format!("{what} runs on the CPU only: add --device cpu"));
        let objective = self.plan.objective(&self.loss, 0, self.run_progress());
        if let Some(what) = unsupported(&objective, config.train.accumulate > 1, self.group.ranks.size()) {
            return Err(fail(what));
        }
        let rules = [&config.optimizer.generator, &config.optimizer.discriminator];
        if rules.iter().any(|rule| rule.coefficients(1, Rates::default()).is_none()) {
            return Err(fail("this optimizer"));
        }
        let optimizers = [&self.optimizer_g, &self.optimizer_d];
        if optimizers.iter().any(|optimizer| optimizer.has_frozen_layers()) {
            return Err(fail("a network with frozen layers"));
        }
        let (g, d) = (self.generator.as_ref(), self.discriminator.as_ref());
        let numbers = [config.train.seed, config.train.batch as u64];
        let residence = Residence::new(backend, g, d, optimizers, self.ema.as_ref(), numbers)?;
        let is_on_gradient = |effect: Effect| matches!(effect, Effect::Gradient(_));
        if config.penalties.iter().any(|penalty| is_on_gradient(penalty.kind.effect())) && !residence.has_derivatives()
        {
            return Err(fail("a penalty on this discriminator's gradient"));
        }
        self.residence = Some(residence);
        Ok(())
    }

    /// Returns whether the networks live on a device.
    pub fn is_on_device(&self) -> bool {
        self.residence.is_some()
    }

    /// Returns the bytes of the device's memory that were requested for networks and activations, if the networks live there.
    pub fn device_memory(&self) -> Option<usize> {
        self.residence.as_ref().map(Residence::requested)
    }

    /// Tells a device that the host's numbers have changed.
    pub(crate) fn changed(&self) {
        self.residence.iter().for_each(Residence::changed);
    }

    /// Brings the host's numbers to the device.
    pub(super) fn send(&self) -> Result<()> {
        match &self.residence {
            Some(residence) => residence.send([&self.optimizer_g, &self.optimizer_d], self.ema.as_ref()),
            None => Ok(()),
        }
    }

    /// Brings the device's numbers to the host.
    ///
    /// # Errors
    /// If the device has failed. The host's numbers are then those that it had before.
    pub(crate) fn settle(&self) -> Result<()> {
        match &self.residence {
            Some(residence) => residence.fetch([&self.optimizer_g, &self.optimizer_d], self.ema.as_ref()),
            None => Ok(()),
        }
    }

    /// Brings the device's numbers to the host, and goes on there. A trainer whose device has failed keeps it, so that its next step says so.
    pub(super) fn leave_device(&mut self) {
        if self.settle().is_ok() {
            self.residence = None;
        }
    }

    /// Generates samples there, from which G learns too or not, as in training or with running averages, and updates D.
    pub(super) fn update_discriminator_there(
        &mut self,
        (real, classes): (&Tensor, Option<&Tensor>),
        whole: usize,
        [is_learned_from, in_training]: [bool; 2],
        objective: &Objective,
        step: u64,
    ) -> Result<DUpdate> {
        let z = self.latents(whole)?;
        let mode = if in_training { FakesMode::Train } else { FakesMode::Eval };
        let latents = Latents { z: &z, classes, mode, is_learned_from };
        let residence = self.residence.as_ref().ok_or_else(nowhere)?;
        let rng = &mut self.dropout;
        let optimizer = &mut self.optimizer_d;
        residence
            .update(|device| device.update_discriminator(&latents, real, Update { optimizer, objective, rng, step }))
    }

    /// Updates G there, on the samples that D has seen or, if G does not learn from them, on new ones.
    pub(super) fn update_generator_there(
        &mut self,
        last: &mut Last,
        objective: &Objective,
        step: u64,
    ) -> Result<GUpdate> {
        let fresh = match std::mem::take(&mut last.is_seen_there) {
            true => None,
            false => Some((self.classes(last)?, self.latents(last.whole)?)),
        };
        let residence = self.residence.as_ref().ok_or_else(nowhere)?;
        let rng = &mut self.dropout;
        let optimizer = &mut self.optimizer_g;
        let mode = FakesMode::Train;
        let fresh =
            fresh.as_ref().map(|(classes, z)| Latents { z, classes: classes.as_ref(), mode, is_learned_from: true });
        let update = Update { optimizer, objective, rng, step };
        residence.update(|device| device.update_generator(fresh.as_ref(), last.real.as_ref(), update, last.zero))
    }

    /// Moves the averages of G's weights, where the weights are.
    pub(super) fn average_weights(&mut self) -> Result<()> {
        let decay = self.decay();
        match (&mut self.ema, &self.residence) {
            (Some(ema), Some(residence)) => {
                let weight = ema.next_weight(decay);
                residence.update(|device| {
                    device.follow(weight);
                    Ok(())
                })
            }
            (Some(ema), None) => ema.follow(decay),
            (None, _) => Ok(()),
        }
    }
}

fn nowhere() -> Error {
    candle_core::Error::Msg("this trainer has no device".into()).into()
}
