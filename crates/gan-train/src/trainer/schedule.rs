//! The length of a run, and what depends on how much of it is done.

use super::Trainer;
use crate::config::schedule::interpolate;
use crate::config::{Alternate, Extended};
use crate::ema::Decay;
use crate::optimizers::Rates;
use crate::plan::{Length, RunProgress};

impl Trainer {
    /// Returns the number of real images that D has seen, over all processes. Every batch counts as a whole one.
    pub fn images_seen(&self) -> u64 {
        self.images_in(self.step)
    }

    /// Returns the number of real images that D sees in `steps` steps.
    fn images_in(&self, steps: u64) -> u64 {
        let train = &self.plan.config().train;
        let updates = if train.alternate == Alternate::Steps { train.d_steps } else { 1 };
        steps.saturating_mul(updates).saturating_mul(train.batch as u64)
    }

    /// Returns the position on the curve of `[schedule]` before the next step, from 0 to 1.
    pub(super) fn schedule_progress(&self) -> f64 {
        let schedule = &self.plan.config().schedule;
        let progress = schedule.images.map_or_else(|| self.progress(), |all| self.images_seen() as f64 / all as f64);
        schedule.curve.at(progress)
    }

    /// Returns the progress of the run before the next update of D.
    pub(super) fn run_progress(&self) -> RunProgress {
        let config = self.plan.config();
        let schedule = self.schedule_progress();
        let scheduled = interpolate(config.augment.probability, config.schedule.augment, schedule);
        let augment = self.adaptive.map_or(scheduled, |adaptive| adaptive.probability);
        RunProgress { run: self.progress(), schedule, augment }
    }

    /// Returns the scheduled settings of an optimizer in the next step, whose own β₂ is `beta2`.
    pub(super) fn rates(&self, beta2: Option<f64>) -> Rates {
        let end = self.plan.config().schedule.beta2;
        let beta2 = beta2.zip(end).map(|(start, end)| interpolate(start, Some(end), self.schedule_progress()));
        Rates { lr_factor: self.lr_factor(), beta2 }
    }

    /// Returns the decay of the average of G's weights in the next step.
    pub(super) fn decay(&self) -> Decay {
        let train = &self.plan.config().train;
        match (train.ema, train.ema_half_life) {
            (Some(beta), _) => Decay::Beta(beta),
            (None, half_life) => {
                let end = self.plan.config().schedule.ema_half_life;
                let seen = self.images_in(self.step + 1) as f64;
                let half_life = interpolate(half_life.unwrap_or(0.0), end, self.schedule_progress());
                Decay::HalfLife { images: self.images_in(1) as f64, half_life: half_life.min(0.05 * seen) }
            }
        }
    }

    /// Returns the factor of both learning rates in the next step: `alarms.lr_factor` for each rollback, times the schedule.
    pub fn lr_factor(&self) -> f64 {
        let config = self.plan.config();
        let scheduled = interpolate(1.0, config.schedule.lr_factor, self.schedule_progress());
        let times = i32::try_from(self.rollbacks).unwrap_or(i32::MAX);
        let left = 1.0 - self.progress();
        let decayed = config.train.decay.map_or(1.0, |part| (left / part).clamp(0.0, 1.0));
        let risen = config.train.warmup.map_or(1.0, |steps| ((self.step + 1) as f64 / steps.max(1) as f64).min(1.0));
        config.alarms.lr_factor.powi(times) * decayed * risen * scheduled
    }

    /// Returns the number of steps in one pass over the data.
    pub fn steps_per_epoch(&self) -> u64 {
        let batches = self.loader.batches_per_epoch();
        self.steps_of(batches)
    }

    /// Returns the number of steps in which D sees `batches`. If the networks alternate by epochs, a step is one batch of either.
    fn steps_of(&self, batches: u64) -> u64 {
        let train = &self.plan.config().train;
        let of_g = if self.draws_new_reals() { train.g_steps } else { 0 };
        match train.alternate {
            Alternate::Steps => batches.div_ceil(train.d_steps + of_g),
            Alternate::Epochs => batches,
        }
    }

    /// Returns the number of steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.steps_in(self.plan.length())
    }

    /// Returns the number of steps of a run of `length` with these data.
    pub fn steps_in(&self, length: Length) -> u64 {
        match length {
            Length::Steps(steps) => steps,
            Length::Epochs(epochs) => self.steps_of(epochs.saturating_mul(self.loader.batches_per_epoch())),
        }
    }

    /// Extends a run whose length was `before` until now. If its schedules depend on the length, completed steps keep their place in the
    /// old schedule, and the settings record it.
    pub(crate) fn extend(&mut self, before: u64) {
        let config = self.plan.config();
        if self.step == 0 || before == self.total_steps() || config.schedules().is_empty() {
            return;
        }
        let mut parts = config.train.extended.clone();
        parts.retain(|part| part.until < self.step);
        parts.push(Extended { until: self.step, steps: before });
        self.plan.set_extended(parts);
    }

    /// Returns the fraction of the run that is done, for schedules: relative to the length of the run when the next step was planned.
    pub(super) fn progress(&self) -> f64 {
        let earlier = self.plan.config().train.extended.iter().find(|part| self.step < part.until);
        self.step as f64 / earlier.map_or_else(|| self.total_steps(), |part| part.steps).max(1) as f64
    }

    /// Returns whether G's updates draw real samples of their own.
    pub(super) fn draws_new_reals(&self) -> bool {
        let config = self.plan.config();
        !config.train.reuse_reals && self.loss.properties().is_relativistic
    }

    pub(super) fn epoch(&self) -> u64 {
        self.loader.position().batch / self.loader.batches_per_epoch()
    }
}
