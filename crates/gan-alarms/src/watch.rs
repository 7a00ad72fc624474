//! Alarms as they are raised: each once, and again only after it was gone.

use crate::history::{History, RunContext};
use crate::rule::{Evidence, Finding, Rule};
use crate::rules::{NOT_FINITE, RULES};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;

/// Something that went wrong in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// What.
    #[serde(rename = "alarm", deserialize_with = "by_key")]
    pub rule: &'static dyn Rule,
    /// The step after which it was seen.
    pub at: u64,
    /// The numbers that show it.
    pub evidence: Evidence,
    /// What to do.
    pub advice: String,
}

fn by_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static dyn Rule, D::Error> {
    let key = String::deserialize(deserializer)?;
    let rule = RULES.iter().copied().find(|rule| rule.key() == key);
    rule.ok_or_else(|| serde::de::Error::custom(format!("\"{key}\" is not an alarm")))
}

impl Alarm {
    /// An alarm of `rule` after step `at`.
    pub fn new(rule: &'static dyn Rule, at: u64, evidence: Evidence) -> Self {
        Self { rule, at, evidence, advice: rule.advice().into() }
    }

    /// The alarm of a step, or of an evaluation after it, that failed because of values that are not finite.
    pub fn not_finite(at: u64, evidence: Evidence) -> Self {
        Self::new(NOT_FINITE, at, evidence)
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}: {}. What helps: {}", self.at, self.rule.title(), self.evidence, self.advice)
    }
}

/// Watches a run's numbers.
pub struct Watch {
    history: History,
    /// Which alarms stand, in the order of [`RULES`].
    standing: Vec<bool>,
}

impl Watch {
    /// Before the first line.
    pub fn new(context: RunContext) -> Self {
        Self { history: History::new(context), standing: vec![false; RULES.len()] }
    }

    /// Sees a line of metrics.jsonl and returns the alarms that it raises.
    pub fn see(&mut self, line: &Value) -> Vec<Alarm> {
        if !self.history.add(line) {
            return vec![];
        }
        let mut raised = vec![];
        for (rule, stands) in RULES.iter().copied().zip(&mut self.standing) {
            match rule.check(&self.history) {
                Finding::Undecided => {}
                Finding::Clear => *stands = false,
                Finding::Raised(evidence) => {
                    if !std::mem::replace(stands, true) {
                        raised.push(Alarm::new(rule, self.history.step(), evidence));
                    }
                }
            }
        }
        raised
    }
}
