//! Not finite: a loss, a gradient or a sample is not a number.
//!
//! In a run, the step or the evaluation fails before its line is written and raises the alarm itself; the rule finds such values in
//! lines of other origin.

use crate::history::History;
use crate::rule::{Finding, Rule};
use crate::settings::Policy;

/// Fields whose values must be numbers, and their names for people.
const NUMBERS: [(&str, &str); 4] = [
    ("loss_d", "D's loss"),
    ("loss_g", "G's loss"),
    ("grad_norm_d", "the norm of D's gradient"),
    ("grad_norm_g", "the norm of G's gradient"),
];

pub(super) static NOT_FINITE: Rule = Rule {
    default_policy: Policy::Stop,
    refuses,
    ..Rule::new(
        "not_finite",
        "not finite",
        "lower both optimisers' rates; if it happens in the first steps, look for values in the data that are not finite",
        check,
    )
};

fn refuses(policy: Policy) -> Option<&'static str> {
    match policy {
        Policy::Off | Policy::Warn => {
            Some("a run cannot go on with values that are not finite: expected \"stop\" or \"rollback\"")
        }
        Policy::Rollback | Policy::Stop => None,
    }
}

fn check(history: &History) -> Finding {
    let is_null = |field: &str| history.newest().values.get(field).is_some_and(serde_json::Value::is_null);
    let found = NUMBERS.iter().find(|(field, _)| is_null(field));
    found.map(|(_, name)| format!("{name} is not a number")).into()
}
