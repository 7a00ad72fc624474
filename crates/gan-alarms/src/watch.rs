//! Raises each alarm once, and again only after it was cleared.

use crate::history::{History, RunContext};
use crate::rule::{Evidence, Finding, Rule};
use crate::rules::{NOT_FINITE, RULES};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// Something that went wrong in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The rule that raised it.
    #[serde(rename = "alarm", deserialize_with = "by_key")]
    pub rule: &'static Rule,
    /// Number of steps after which it was raised.
    pub at: u64,
    /// The numbers that show what is wrong.
    pub evidence: Evidence,
    /// What the user can do.
    pub advice: String,
}

fn by_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Rule, D::Error> {
    let key = String::deserialize(deserializer)?;
    let rule = RULES.iter().copied().find(|rule| rule.key == key);
    rule.ok_or_else(|| serde::de::Error::custom(format!("\"{key}\" is not an alarm")))
}

impl Alarm {
    /// Returns an alarm of `rule` after step `at`.
    pub fn new(rule: &'static Rule, at: u64, evidence: Evidence) -> Self {
        Self { rule, at, evidence, advice: rule.advice.into() }
    }

    /// Returns the alarm of a step, or of an evaluation after it, that failed because of values that are not finite.
    pub fn not_finite(at: u64, evidence: Evidence) -> Self {
        Self::new(NOT_FINITE, at, evidence)
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}: {}. What helps: {}", self.at, self.rule.title, self.evidence, self.advice)
    }
}

/// Watches a run's numbers.
pub struct Watch {
    history: History,
    /// Which alarms are active, in the order of [`RULES`].
    active: Vec<bool>,
}

impl Watch {
    /// Returns a watch that has read no line.
    pub fn new(context: RunContext) -> Self {
        Self { history: History::new(context), active: vec![false; RULES.len()] }
    }

    /// Reads a line of metrics.jsonl and returns the alarms that it raises.
    pub fn see(&mut self, line: &Value) -> Vec<Alarm> {
        if !self.history.add(line) {
            return vec![];
        }
        let mut raised = vec![];
        for (rule, is_active) in RULES.iter().copied().zip(&mut self.active) {
            match (rule.check)(&self.history) {
                Finding::Undecided => {}
                Finding::Clear => *is_active = false,
                Finding::Raised(evidence) => {
                    if !std::mem::replace(is_active, true) {
                        raised.push(Alarm::new(rule, self.history.step(), evidence));
                    }
                }
            }
        }
        raised
    }
}
