//! Looking at a trainer in the middle of a step.

use super::Trainer;
use crate::error::{Error, Result};

/// A moment inside a step, for those who look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Before D's first update.
    BeforeD,
    /// After D's last update and before G's first.
    AfterD,
    /// After G's last update.
    AfterG,
}

/// Looks at a trainer in the middle of a step.
pub type Look<'a, E = Error> = dyn FnMut(Moment, &Trainer) -> Result<(), E> + 'a;

/// Why a step did not come to its end.
pub(super) enum Interrupted<E> {
    /// It failed.
    Step(Error),
    /// Whoever looked at it failed.
    Look(E),
}

impl<E, T: Into<Error>> From<T> for Interrupted<E> {
    fn from(error: T) -> Self {
        Self::Step(error.into())
    }
}
