//! Alarms: problems in a GAN's training, found while it runs, with the step, the evidence and advice.
//!
//! Reads the lines of metrics.jsonl one after the other, while they are written or later, for a run that is resumed or reported. Training
//! does not depend on it.
//!
//! In reading order: [`Rule`] (what an alarm is), `rules` (one file each, and the registry), [`History`] (the numbers that rules read),
//! [`Watch`] (raises each alarm once), [`AlarmsConfig`] (`[alarms]` in settings).

mod history;
mod rule;
mod rules;
mod settings;
mod watch;

pub use history::{History, Line, RunContext};
pub use rule::{Evidence, Finding, Rule};
pub use rules::{AlarmsConfig, RULES};
pub use settings::Policy;
pub use watch::{Alarm, Watch};

/// Formats a number with three digits.
fn short(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 1.0 => format!("{value:.2}"),
        x if x >= 0.001 || x == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}
