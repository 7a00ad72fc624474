//! Observation of a trainer in the middle of a step.

use super::Trainer;
use crate::error::{Error, Result};

/// Moment inside a step, for observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Before D's first update.
    BeforeD,
    /// After D's last update and before G's first.
    AfterD,
    /// After G's last update.
    AfterG,
}

/// Observer of a trainer in the middle of a step.
pub type Look<'a, E = Error> = dyn FnMut(Moment, &Trainer) -> Result<(), E> + 'a;

/// Reason why a step was interrupted.
pub(super) enum Interrupted<E> {
    /// The step failed.
    Step(Error),
    /// The observer failed.
    Look(E),
}

impl<E, T: Into<Error>> From<T> for Interrupted<E> {
    fn from(error: T) -> Self {
        Self::Step(error.into())
    }
}
