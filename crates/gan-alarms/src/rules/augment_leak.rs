//! Augmentation leaks: samples look augmented, at two evaluations one after the other.

use super::START;
use crate::history::{History, Line};
use crate::rule::{Evidence, Finding, Rule};
use gan_metrics::augment_leak::AUGMENT_LEAK;

/// Share of samples that look augmented, beyond the share of real ones, from which G has learned to.
const LEAKS: f64 = 0.1;

pub(super) static AUGMENT_LEAKS: Rule = Rule::new(
    "augment_leak",
    "augmentation leaks into samples",
    "apply it less often (augment.probability = 0.5, or augment.adaptive = 0.6), or remove the one that shows: cutout and translation leave blank areas",
    check,
);

fn check(history: &History) -> Finding {
    let Some((now, before)) = history.evaluation() else { return Finding::Undecided };
    // Early samples are blank for other reasons, and so are those of runs without augmentation.
    if history.progress() < START || history.mean("augment").is_none_or(|probability| probability == 0.0) {
        return Finding::Undecided;
    }
    let has_leaked = before.last().is_some_and(|last| leaks(last).is_some());
    leaks(now).filter(|_| has_leaked).into()
}

fn leaks(evaluation: &Line) -> Option<Evidence> {
    let share = evaluation.metric(&AUGMENT_LEAK)?;
    (share > LEAKS).then(|| {
        format!("{:.0} % of the samples have blank areas or a brightness that real images do not have", 100.0 * share)
    })
}
