//! Stalled: the samples do not get better.

use super::START;
use crate::history::History;
use crate::rule::{Evidence, Finding, Rule};
use crate::short;
use gan_metrics::Better;

/// First step after which a run can have stalled.
const EARLIEST_STALL: u64 = 300;
/// Factor by which the best value must be better than the first.
const BETTER: f64 = 0.8;

pub(super) static STALLED: Rule = Rule::new(
    "stalled",
    "stalled",
    "check the rates (1e-4 to 4e-4 is usual for Adam) and the networks; a longer run alone is unlikely to help",
    check,
);

fn check(history: &History) -> Finding {
    let Some((now, _)) = history.evaluation() else { return Finding::Undecided };
    if history.progress() < START || now.step < EARLIEST_STALL {
        return Finding::Undecided;
    }
    evidence(history).filter(|_| !history.is_rising()).into()
}

fn evidence(history: &History) -> Option<Evidence> {
    let (name, better) = history.context().best.as_ref()?;
    let values = history.values();
    let first = *values.first()?;
    let best = history.best_of(values)?;
    let has_improved = match better {
        Better::Lower => best < BETTER * first,
        Better::Higher => best * BETTER > first,
    };
    (!has_improved && values.len() > 2).then(|| {
        let floor =
            history.context().floor.map(|floor| format!("; real samples: {}", short(floor))).unwrap_or_default();
        format!("{name} was {} before training and is {} at its best{floor}", short(first), short(best))
    })
}
