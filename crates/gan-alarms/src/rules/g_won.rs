//! G has won: D cannot distinguish samples that the evaluation can.

use super::{EARLIEST, START};
use crate::history::History;
use crate::rule::{Evidence, Finding, Rule};
use crate::short;
use gan_metrics::prdc::COVERAGE;

/// Largest difference between D's answers to real and generated samples that counts as none.
const NO_GAP: f64 = 0.1;
/// Largest coverage of the real samples that counts as none.
const NO_COVERAGE: f64 = 0.1;

pub(super) static G_WON: Rule = Rule::new(
    "g_won",
    "G has won",
    "give D more to work with: more width or layers, a higher optimizer.discriminator.lr, or train.d_steps = 2",
    check,
);

fn check(history: &History) -> Finding {
    let Some((now, _)) = history.evaluation() else { return Finding::Undecided };
    if history.progress() < START || now.step < EARLIEST {
        return Finding::Undecided;
    }
    evidence(history, now.metric(&COVERAGE)).filter(|_| !history.is_improving()).into()
}

fn evidence(history: &History, coverage: Option<f64>) -> Option<Evidence> {
    let coverage = coverage?;
    if !history.is_full() || !history.context().loss.has_threshold {
        return None;
    }
    let gap = history.mean("d_real")? - history.mean("d_fake_before")?;
    (gap.abs() < NO_GAP && coverage < NO_COVERAGE).then(|| {
        format!(
            "D gives real samples only {} more than generated ones, though those cover {} of the real ones",
            short(gap),
            short(coverage)
        )
    })
}
