//! Not finite: a loss, a gradient or a sample is not a number.
//!
//! In a run, the step or the evaluation fails before its line is written and raises the alarm itself; the rule finds such values in
//! lines of other origin.

use crate::history::History;
use crate::rule::{Finding, Rule};
use crate::settings::Policy;

/// See the file.
pub(super) struct NotFinite;

impl Rule for NotFinite {
    fn key(&self) -> &'static str {
        "not_finite"
    }

    fn title(&self) -> &'static str {
        "not finite"
    }

    fn advice(&self) -> &'static str {
        "lower both optimisers' rates; if it happens in the first steps, look for values in the data that are not finite"
    }

    fn default_policy(&self) -> Policy {
        Policy::Stop
    }

    fn refuses(&self, policy: Policy) -> Option<&'static str> {
        match policy {
            Policy::Off | Policy::Warn => {
                Some("a run cannot go on with values that are not finite: expected \"stop\" or \"rollback\"")
            }
            Policy::Rollback | Policy::Stop => None,
        }
    }

    fn check(&self, history: &History) -> Finding {
        history.not_a_number().map(|what| format!("{what} is not a number")).into()
    }
}
