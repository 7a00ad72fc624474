//! Mode collapse: the samples become alike, or cover almost nothing of what they covered.

use super::{EARLIEST, START};
use crate::history::{History, Line};
use crate::rule::{Evidence, Finding, Rule};
use crate::short;
use gan_metrics::Metric;
use gan_metrics::diversity::RELATIVE_DIVERSITY;
use gan_metrics::prdc::COVERAGE;

/// Diversity, relative to that of real samples, that is too low.
const ALIKE: f64 = 0.5;
/// Fraction of its own best that diversity may fall to.
const FALLEN: f64 = 0.6;
/// Diversity that grows by this factor from one evaluation to the next is recovering.
const RISING: f64 = 1.1;
/// Fraction of its own best that coverage may fall to, if the best was above [`SOMETHING`].
const UNCOVERED: f64 = 0.3;
const SOMETHING: f64 = 0.2;

pub(super) static COLLAPSE: Rule = Rule::new(
    "collapse",
    "mode collapse",
    "lower the rates, use β1 = 0.5, put batch norm into G, or a larger batch; go on from generator-best.safetensors",
    check,
);

fn check(history: &History) -> Finding {
    let Some((now, before)) = history.evaluation() else { return Finding::Undecided };
    if history.progress() < START || now.step < EARLIEST {
        return Finding::Undecided;
    }
    match (alike(now, before, history.is_improving()), uncovered(now, before)) {
        (Some(a), Some(b)) => Finding::Raised(format!("{a}, {b}")),
        (a, b) => a.or(b).into(),
    }
}

/// Diversity has fallen from what it was, or was never there and is not recovering.
fn alike(now: &Line, before: &[Line], is_improving: bool) -> Option<Evidence> {
    let diversity = now.metric(&RELATIVE_DIVERSITY)?;
    let most = most(before, &RELATIVE_DIVERSITY);
    let lower = diversity < FALLEN * most || (most < ALIKE && diversity < RISING * most && !is_improving);
    (diversity < ALIKE && lower)
        .then(|| format!("diversity {} of real samples' (its best: {})", short(diversity), short(most)))
}

/// Coverage is low twice in a row, because it fluctuates where there are few modes.
fn uncovered(now: &Line, before: &[Line]) -> Option<Evidence> {
    let (last, earlier) = before.split_last()?;
    low_coverage(last, earlier)?;
    let coverage = low_coverage(now, before)?;
    Some(format!("coverage {} (its best: {})", short(coverage), short(most(before, &COVERAGE))))
}

/// Returns the coverage if it was something and has almost vanished.
fn low_coverage(now: &Line, before: &[Line]) -> Option<f64> {
    let most = most(before, &COVERAGE);
    now.metric(&COVERAGE).filter(|coverage| most > SOMETHING && *coverage < UNCOVERED * most)
}

fn most(evaluations: &[Line], metric: &Metric) -> f64 {
    evaluations.iter().filter_map(|evaluation| evaluation.metric(metric)).fold(0.0, f64::max)
}
