//! Memorisation: the samples are copies of training data, at two evaluations one after the other.

use super::EARLIEST;
use crate::history::{Evaluation, History};
use crate::rule::{Evidence, Finding, Rule};
use crate::short;

/// Distance to the training samples, real ones having 1, that means memorisation.
const CLOSE: f64 = 0.5;
/// The share of near copies that does.
const COPIES: f64 = 0.2;

/// See the file.
pub(super) struct Memorisation;

impl Rule for Memorisation {
    fn key(&self) -> &'static str {
        "memorisation"
    }

    fn title(&self) -> &'static str {
        "memorisation"
    }

    fn advice(&self) -> &'static str {
        "train on more data, mirror it (data.flip = true), shorten the run, or make D smaller"
    }

    fn check(&self, history: &History) -> Finding {
        let Some((now, before)) = history.evaluation() else { return Finding::Undecided };
        let was_copied = before.last().is_some_and(|last| copies(last).is_some());
        copies(now).filter(|_| was_copied && now.step >= EARLIEST).into()
    }
}

fn copies(evaluation: &Evaluation) -> Option<Evidence> {
    let (ratio, near) = (evaluation.memorisation?, evaluation.near_copies?);
    (ratio < CLOSE && near > COPIES).then(|| {
        format!(
            "generated samples are {} times as far from the training data as real ones are, {:.0} % are near copies",
            short(ratio),
            100.0 * near
        )
    })
}
