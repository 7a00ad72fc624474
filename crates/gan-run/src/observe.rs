//! Observers: everything that happens around the steps. The loop knows none of their files.

use crate::error::Result;
use gan_alarms::Alarm;
use gan_train::config::Policy;
use gan_train::trainer::{Moment, StepReport, Trainer};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Done,
    /// Somebody asked it to stop.
    Stopped,
    /// An alarm ended it.
    Alarmed,
}

/// Watches a run.
pub trait Observer {
    /// Before the first step of this process.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn started(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Whether it wants to look into step number `step`.
    fn watches(&self, _step: u64, _trainer: &Trainer) -> bool {
        false
    }

    /// In the middle of a step that it watches.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn moment(&mut self, _moment: Moment, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// After each step.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn stepped(&mut self, _report: &StepReport, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// What it finds wrong with the run; asked for after each step.
    fn alarms(&mut self) -> Vec<Alarm> {
        vec![]
    }

    /// Whether the run has reached what it was to reach, so that it ends; asked for after each step.
    fn reached(&self) -> bool {
        false
    }

    /// An alarm was raised, and `done` is what became of it: a warning, a rollback or the end.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn alarmed(&mut self, _alarm: &Alarm, _done: Policy, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// The alarms of a step are answered, and `trainer` is in the state from which the run goes on: what is saved now outlives them.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn settled(&mut self, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }

    /// Takes the trainer back to the best state that it keeps. Whether it could.
    ///
    /// # Errors
    /// If that state cannot be used.
    fn roll_back(&mut self, _trainer: &mut Trainer) -> Result<bool> {
        Ok(false)
    }

    /// The run went back to an earlier step, and that state is [settled](Observer::settled): later lines and files are given up. Starts
    /// anew where it does not say otherwise.
    ///
    /// # Errors
    /// Whatever stops the run.
    fn rolled_back(&mut self, trainer: &Trainer) -> Result<()> {
        self.started(trainer)
    }

    /// After the last step of this process.
    ///
    /// # Errors
    /// Whatever makes the run fail at its end.
    fn finished(&mut self, _outcome: Outcome, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }
}
