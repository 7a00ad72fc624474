//! What an alarm is: a key, words for people, and a test of a run's numbers.

use crate::history::History;
use crate::settings::Policy;
use std::fmt;

/// The numbers that show what is wrong, in words.
pub type Evidence = String;

/// What a rule concludes from a run's newest line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The line decides nothing: an alarm that is active stays active.
    Undecided,
    /// Nothing is wrong.
    Clear,
    /// Something is wrong.
    Raised(Evidence),
}

impl From<Option<Evidence>> for Finding {
    fn from(evidence: Option<Evidence>) -> Self {
        evidence.map_or(Self::Clear, Self::Raised)
    }
}

/// An alarm.
pub struct Rule {
    /// Key in settings, and name in files.
    pub key: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// What the user can do about it.
    pub advice: &'static str,
    /// What the run does about it if the settings do not say.
    pub default_policy: Policy,
    /// Returns why a policy cannot be chosen, if it cannot.
    pub refuses: fn(Policy) -> Option<&'static str>,
    /// Tests the history after its newest line.
    pub check: fn(&History) -> Finding,
}

impl Rule {
    /// Returns an alarm that warns by default and permits every policy.
    pub const fn new(
        key: &'static str,
        title: &'static str,
        advice: &'static str,
        check: fn(&History) -> Finding,
    ) -> Self {
        Self { key, title, advice, default_policy: Policy::Warn, refuses: |_| None, check }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl serde::Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.key)
    }
}
