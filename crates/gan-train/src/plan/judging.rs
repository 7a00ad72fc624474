//! Checks of `[evaluate]` and `[alarms]`.

use super::within;
use crate::config::{Policy, RunConfig};
use crate::error::{Error, Result};

/// Minimum number of samples for a meaningful figure.
const FEWEST: usize = 100;

pub(super) fn check(config: &RunConfig) -> Result<()> {
    within("evaluate.samples", config.evaluate.samples, FEWEST, 1_000_000)?;
    if let (Some(best), false) = (config.evaluate.best, config.evaluate.metrics.is_empty())
        && !config.evaluate.metrics.contains(&best)
    {
        let problem = format!("\"{}\" is not among evaluate.metrics: add it there", best.key);
        return Err(Error::config("evaluate.best", problem));
    }
    let factor = config.alarms.lr_factor;
    if !(factor > 0.0 && factor <= 1.0) {
        let problem = format!("{factor} cannot be used: expected a number above 0 and at most 1, e.g. 0.5");
        return Err(Error::config("alarms.lr_factor", problem));
    }
    for (rule, policy) in config.alarms.policies() {
        let needs_evaluation = policy == Policy::Rollback && config.evaluate.every == 0;
        let goes_back =
            "\"rollback\" goes back to the best state, which is known by evaluation only: set evaluate.every";
        if let Some(problem) = (rule.refuses)(policy).or(needs_evaluation.then_some(goes_back)) {
            return Err(Error::config(format!("alarms.{}", rule.key), problem));
        }
    }
    Ok(())
}
