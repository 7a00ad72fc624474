//! Alarms: what goes wrong in a GAN's training, found while it does, with the step, the evidence and a piece of advice.
//!
//! Takes the lines of metrics.jsonl one after the other, as they are written or, for a run that is resumed or reported, read back.
//! Takes no part in training.
//!
//! In reading order: [`Rule`] (what an alarm is), `rules` (a file each, and the registry), [`History`] (the numbers that rules see),
//! [`Watch`] (raises each alarm once), [`AlarmsConfig`] (`[alarms]` in settings).

mod history;
mod rule;
mod rules;
mod settings;
mod watch;

pub use history::{Evaluation, History, PlayersLine, RunContext};
pub use rule::{Evidence, Finding, Rule};
pub use rules::RULES;
pub use settings::{AlarmsConfig, Policy};
pub use watch::{Alarm, Watch};

/// A number to three digits.
fn short(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 1.0 => format!("{value:.2}"),
        x if x >= 0.001 || x == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}
