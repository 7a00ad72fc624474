//! Mode collapse: the samples become alike, or cover next to nothing of what they covered.

use super::{EARLIEST, START};
use crate::history::{Evaluation, History};
use crate::rule::{Evidence, Finding, Rule};
use crate::short;

/// Diversity that is too little, real samples having 1.
const ALIKE: f64 = 0.5;
/// What diversity may have fallen to of its own best.
const FALLEN: f64 = 0.6;
/// Diversity that grows by this factor from one evaluation to the next is on the way.
const RISING: f64 = 1.1;
/// Coverage that it may have fallen to of its own best, where that was something.
const UNCOVERED: f64 = 0.3;
const SOMETHING: f64 = 0.2;

/// See the file.
pub(super) struct Collapse;

impl Rule for Collapse {
    fn key(&self) -> &'static str {
        "collapse"
    }

    fn title(&self) -> &'static str {
        "mode collapse"
    }

    fn advice(&self) -> &'static str {
        "lower the rates, use β1 = 0.5, put batch norm into G, or a larger batch; go on from generator-best.safetensors"
    }

    fn check(&self, history: &History) -> Finding {
        let Some((now, before)) = history.evaluation() else { return Finding::Undecided };
        if history.progress() < START || now.step < EARLIEST {
            return Finding::Undecided;
        }
        match (alike(now, before, history.is_improving()), uncovered(now, before)) {
            (Some(a), Some(b)) => Finding::Raised(format!("{a}, {b}")),
            (a, b) => a.or(b).into(),
        }
    }
}

/// Diversity has fallen from what it was, or was never there and is not on the way.
fn alike(now: &Evaluation, before: &[Evaluation], is_improving: bool) -> Option<Evidence> {
    let diversity = now.diversity?;
    let most = most(before, |evaluation| evaluation.diversity);
    let lower = diversity < FALLEN * most || (most < ALIKE && diversity < RISING * most && !is_improving);
    (diversity < ALIKE && lower)
        .then(|| format!("diversity {} of real samples' (its best: {})", short(diversity), short(most)))
}

/// Coverage is low twice: it swings where modes are few.
fn uncovered(now: &Evaluation, before: &[Evaluation]) -> Option<Evidence> {
    let (last, earlier) = before.split_last()?;
    (is_low(now, before) && is_low(last, earlier)).then(|| {
        let most = most(before, |evaluation| evaluation.coverage);
        format!("coverage {} (its best: {})", short(now.coverage.unwrap_or_default()), short(most))
    })
}

/// Whether coverage was something and is next to nothing of it.
fn is_low(now: &Evaluation, before: &[Evaluation]) -> bool {
    let most = most(before, |evaluation| evaluation.coverage);
    most > SOMETHING && now.coverage.is_some_and(|coverage| coverage < UNCOVERED * most)
}

fn most(evaluations: &[Evaluation], of: impl Fn(&Evaluation) -> Option<f64>) -> f64 {
    evaluations.iter().filter_map(of).fold(0.0, f64::max)
}
