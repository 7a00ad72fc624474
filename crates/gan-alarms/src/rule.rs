//! What an alarm is: a name, words for people, and a test of a run's numbers.

use crate::history::History;
use crate::settings::Policy;
use std::fmt;

/// The numbers that show what is wrong, in words.
pub type Evidence = String;

/// What a rule makes of a run's newest line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The line decides nothing: an alarm that stands goes on standing.
    Undecided,
    /// Nothing is wrong.
    Clear,
    /// Something is.
    Raised(Evidence),
}

impl From<Option<Evidence>> for Finding {
    fn from(evidence: Option<Evidence>) -> Self {
        evidence.map_or(Self::Clear, Self::Raised)
    }
}

/// An alarm.
pub trait Rule: Sync {
    /// Returns its key in settings and its name in files.
    fn key(&self) -> &'static str;

    /// Returns what people call it.
    fn title(&self) -> &'static str;

    /// Returns what to do about it.
    fn advice(&self) -> &'static str;

    /// Returns what is done about it where the settings say nothing.
    fn default_policy(&self) -> Policy {
        Policy::Warn
    }

    /// Returns why `policy` cannot be chosen, if that is so.
    fn refuses(&self, _policy: Policy) -> Option<&'static str> {
        None
    }

    /// Tests the history after its newest line.
    fn check(&self, history: &History) -> Finding;
}

impl fmt::Debug for dyn Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl PartialEq for dyn Rule {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl serde::Serialize for dyn Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key())
    }
}
