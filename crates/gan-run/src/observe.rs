//! Observers: everything that happens around the steps. The loop knows none of their files.

use crate::error::Result;
use gan_alarms::Alarm;
use gan_train::config::Policy;
use gan_train::{Moment, StepReport, Trainer};

/// Reason for the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Done,
    /// The user stopped it.
    Stopped,
    /// An alarm ended it.
    Alarmed,
}

/// Observer of a run.
pub trait Observer {
    /// Called before the first step of this process.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn started(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Returns whether to call [`Observer::moment`] in step number `step`.
    fn watches(&self, _step: u64, _trainer: &Trainer) -> bool {
        false
    }

    /// Called in the middle of a step that it watches.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn moment(&mut self, _moment: Moment, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Called after each step.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn stepped(&mut self, _report: &StepReport, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Returns the alarms that it raises; called after each step.
    fn alarms(&mut self) -> Vec<Alarm> {
        vec![]
    }

    /// Returns whether the run has reached its goal and ends; called after each step.
    fn reached(&self) -> bool {
        false
    }

    /// Called after an alarm; `done` is the action taken: a warning, a rollback or the end.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn alarmed(&mut self, _alarm: &Alarm, _done: Policy, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Called after the alarms of a step are handled, when `trainer` is in the state from which the run continues. What is saved now
    /// persists.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn settled(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Restores the best state that it keeps, and returns whether there was one.
    ///
    /// # Errors
    /// If that state cannot be used.
    fn roll_back(&mut self, _trainer: &mut Trainer) -> Result<bool> {
        Ok(false)
    }

    /// Called after a rollback to an earlier step, when that state is [settled](Observer::settled): later lines and files are discarded.
    /// Calls [`Observer::started`] by default.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn rolled_back(&mut self, trainer: &Trainer) -> Result<()> {
        self.started(trainer)
    }

    /// Called after the last step of this process.
    ///
    /// # Errors
    /// Whatever makes the run fail at its end.
    fn finished(&mut self, _outcome: Outcome, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }
}
