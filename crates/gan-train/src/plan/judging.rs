//! `[evaluate]` and `[alarms]` checked.

use super::within;
use crate::config::{Policy, RunConfig};
use crate::error::{Error, Result};

/// Fewer samples give no figure that means anything.
const FEWEST: usize = 100;

pub(super) fn check(config: &RunConfig) -> Result<()> {
    within("evaluate.samples", config.evaluate.samples, FEWEST, 1_000_000)?;
    if let (Some(best), false) = (config.evaluate.best, config.evaluate.metrics.is_empty())
        && !config.evaluate.metrics.contains(&best)
    {
        let problem = format!("\"{}\" is not among evaluate.metrics: add it there", best.key());
        return Err(Error::config("evaluate.best", problem));
    }
    let factor = config.alarms.rate_factor;
    if !(factor > 0.0 && factor <= 1.0) {
        let problem = format!("{factor} cannot be used: expected a number above 0 and at most 1, e.g. 0.5");
        return Err(Error::config("alarms.rate_factor", problem));
    }
    if matches!(config.alarms.not_finite, Policy::Off | Policy::Warn) {
        let problem = "a run cannot go on with numbers that are none: expected \"stop\" or \"rollback\"";
        return Err(Error::config("alarms.not_finite", problem));
    }
    let asks = policies(config).find(|(_, policy)| *policy == Policy::Rollback);
    if let (Some((name, _)), 0) = (asks, config.evaluate.every) {
        let problem = "\"rollback\" goes back to the best state, which is known by evaluation only: set evaluate.every";
        return Err(Error::config(format!("alarms.{name}"), problem));
    }
    Ok(())
}

/// Every alarm's policy, by the alarm's name.
pub(super) fn policies(config: &RunConfig) -> impl Iterator<Item = (&'static str, Policy)> {
    let a = &config.alarms;
    [
        ("not_finite", a.not_finite),
        ("d_won", a.d_won),
        ("g_won", a.g_won),
        ("collapse", a.collapse),
        ("oscillation", a.oscillation),
        ("memorisation", a.memorisation),
        ("stalled", a.stalled),
    ]
    .into_iter()
}
