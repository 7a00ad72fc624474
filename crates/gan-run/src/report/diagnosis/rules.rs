//! Alarms: those that the run raised, and those that the rules find in its numbers, for example if the settings disable an alarm.

use super::Diagnosis;
use crate::folder::{METRICS, MOST_LINES};
use crate::run_summary::RunSummary;
use gan_alarms::{Alarm, RunContext, Watch};
use gan_base::regular_file;
use gan_core::summary::grouped;
use gan_report::page::Severity;
use gan_train::config::Policy;
use gan_train::plan::{Length, Plan};
use std::path::Path;

/// Describes the alarms of the run in the folder `run`; those that the rules find need its plan.
pub(in crate::report) fn alarms(run: &Path, plan: Option<&Plan>, summary: &RunSummary) -> Vec<Diagnosis> {
    let raised = summary.alarms.iter().map(|raised| {
        let done = if raised.done == Policy::Rollback { " The run was taken back to its best state." } else { "" };
        Diagnosis { severity: Severity::Bad, text: in_words(&raised.alarm, done) }
    });
    let found = plan.map(|plan| found(run, plan, summary)).unwrap_or_default();
    let is_new =
        |alarm: &Alarm| !summary.alarms.iter().any(|old| old.alarm.rule == alarm.rule && old.alarm.at == alarm.at);
    let others = found.into_iter().filter(is_new).map(|alarm| {
        let is_off = plan.is_some_and(|plan| plan.config().alarms.policy(alarm.rule) == Policy::Off);
        let note = if is_off { " The settings turn this alarm off." } else { "" };
        Diagnosis { severity: if is_off { Severity::Warn } else { Severity::Bad }, text: in_words(&alarm, note) }
    });
    raised.chain(others).collect()
}

fn in_words(alarm: &Alarm, note: &str) -> String {
    let Alarm { rule, at, evidence, advice } = alarm;
    let at = grouped(*at as usize);
    format!("Alarm at step {at}, {}: {evidence}.{note} What helps: {advice}.", rule.title)
}

/// Returns what the rules find in metrics.jsonl.
fn found(run: &Path, plan: &Plan, summary: &RunSummary) -> Vec<Alarm> {
    let total = match plan.length() {
        Length::Steps(steps) => steps,
        // The number of steps in an epoch depends on the data, which may not be available.
        Length::Epochs(_) => summary.steps,
    };
    let best = summary.best.as_ref();
    let mut watch = Watch::new(RunContext {
        total,
        best: best.map(|best| (best.metric.key().to_string(), best.metric.better())),
        floor: best.and_then(|best| best.card.figure(best.metric)?.floor),
        loss: plan.config().loss.kind,
    });
    let bytes = regular_file::read(&run.join(METRICS), MOST_LINES).unwrap_or_default();
    let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    lines.flat_map(|line| watch.see(&line)).collect()
}
