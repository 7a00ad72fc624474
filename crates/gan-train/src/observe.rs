//! Observers: everything that happens around the steps. The loop knows none of their files.

use crate::error::Result;
use crate::trainer::{Moment, StepReport, Trainer};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Done,
    /// Somebody asked it to stop.
    Stopped,
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

    /// After the last step of this process.
    ///
    /// # Errors
    /// Whatever makes the run fail at its end.
    fn finished(&mut self, _outcome: Outcome, _trainer: &Trainer) -> Result<()> {
        Ok(())
    }
}
