//! Observers: everything that happens around the steps. The loop knows none of their files.

use crate::error::Result;
use crate::trainer::{StepReport, Trainer};

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
