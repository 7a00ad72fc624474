//! Memorisation: the samples are copies of training data, at two evaluations one after the other.

use super::EARLIEST;
use crate::history::{History, Line};
use crate::rule::{Evidence, Finding, Rule};
use crate::short;
use gan_metrics::memorisation::{NEAR_COPIES, NEAREST_DISTANCE};

/// Distance to the training samples, relative to that of real ones, below which samples are memorised.
const CLOSE: f64 = 0.5;
/// Fraction of near copies above which samples are memorised.
const COPIES: f64 = 0.2;

pub(super) static MEMORISATION: Rule = Rule::new(
    "memorisation",
    "memorisation",
    "train on more data, mirror it (data.flip = true), shorten the run, or make D smaller",
    check,
);

fn check(history: &History) -> Finding {
    let Some((now, before)) = history.evaluation() else { return Finding::Undecided };
    let was_copied = before.last().is_some_and(|last| copies(last).is_some());
    copies(now).filter(|_| was_copied && now.step >= EARLIEST).into()
}

fn copies(evaluation: &Line) -> Option<Evidence> {
    let ratio = evaluation.metric(&NEAREST_DISTANCE)?;
    let near = evaluation.metric(&NEAR_COPIES)?;
    (ratio < CLOSE && near > COPIES).then(|| {
        format!(
            "generated samples are {} times as far from the training data as real ones are, {:.0} % are near copies",
            short(ratio),
            100.0 * near
        )
    })
}
