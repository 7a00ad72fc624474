//! The length of a run, and what depends on how much of it is done.

use super::Trainer;
use crate::config::{Alternate, Extended};
use crate::plan::Length;

impl Trainer {
    /// Returns the factor of both learning rates in the next step: `alarms.lr_factor` for each rollback, times the schedule.
    pub fn lr_factor(&self) -> f64 {
        let config = self.plan.config();
        let times = i32::try_from(self.rollbacks).unwrap_or(i32::MAX);
        let left = 1.0 - self.progress();
        let decayed = config.train.decay.map_or(1.0, |part| (left / part).clamp(0.0, 1.0));
        let risen = config.train.warmup.map_or(1.0, |steps| ((self.step + 1) as f64 / steps.max(1) as f64).min(1.0));
        config.alarms.lr_factor.powi(times) * decayed * risen
    }

    /// Returns the number of steps in one pass over the data.
    pub fn steps_per_epoch(&self) -> u64 {
        let batches = self.loader.batches_per_epoch();
        self.steps_of(batches)
    }

    /// Returns the number of steps in which D sees `batches`. If the networks alternate by epochs, a step is one batch of either.
    fn steps_of(&self, batches: u64) -> u64 {
        match self.plan.config().train.alternate {
            Alternate::Steps => batches.div_ceil(self.plan.config().train.d_steps),
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

    pub(super) fn epoch(&self) -> u64 {
        self.loader.position().batch / self.loader.batches_per_epoch()
    }
}
