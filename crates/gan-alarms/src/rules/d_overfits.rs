//! D overfits: it has learned the training images by heart, and the samples get worse.
//!
//! r = E[sign(D(x))] over real samples x is 0 if D cannot tell and 1 if it recognises every real sample; Karras et al. 2020
//! (arXiv:2006.06676) augment more as soon as it exceeds 0.6. A high r alone is no evidence, because a good D of an unfinished G reaches it
//! too: the samples must have become worse as well.

use crate::history::History;
use crate::rule::{Evidence, Finding, Rule};
use crate::short;
use gan_base::messages::counted;
use gan_metrics::Better;

/// Mean r above which D recognises the training images.
const RECOGNISED: f64 = 0.8;
/// Factor by which samples must be worse than the best, at two evaluations one after the other.
const WORSE: f64 = 1.1;

pub(super) static D_OVERFITS: Rule = Rule::new(
    "d_overfits",
    "D overfits",
    "augment the images ([augment]), mirror them (data.flip = true), take more of them, or stop: the best generator is kept",
    check,
);

fn check(history: &History) -> Finding {
    if history.evaluation().is_none() || !history.is_full() {
        return Finding::Undecided;
    }
    match history.mean("rt") {
        Some(mean) => evidence(history, mean).into(),
        None => Finding::Undecided,
    }
}

fn evidence(history: &History, mean: f64) -> Option<Evidence> {
    let (name, better) = history.context().best.as_ref()?;
    let values = history.values();
    let best = history.best_of(values)?;
    let is_worse = |value: &f64| match better {
        Better::Lower => *value > WORSE * best,
        Better::Higher => value * WORSE < best,
    };
    let [.., last, value] = values else { return None };
    (mean > RECOGNISED && is_worse(last) && is_worse(value)).then(|| {
        format!(
            "over the last {} D gave real samples a positive logit in all but {:.0} % of the cases, and {name} went from {} at its best to {}",
            counted(history.window_steps(), "step"),
            50.0 * (1.0 - mean),
            short(best),
            short(*value)
        )
    })
}
