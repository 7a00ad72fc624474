//! D has won: it is always right, and G learns nothing from it.
//!
//! A D that is far ahead of a G whose samples still get better has not won.

use crate::history::History;
use crate::rule::{Evidence, Finding, Rule};
use crate::short;
use gan_base::messages::counted;

/// D classifies at least this fraction of the samples correctly.
const ALMOST_ALL: f64 = 0.99;
/// D gives G's samples at most this probability in G's update.
const NOTHING: f64 = 0.03;

pub(super) static D_WON: Rule = Rule::new(
    "d_won",
    "D has won",
    "lower optimizer.discriminator.lr, smooth its labels (loss.real_label = 0.9), give D dropout, or put batch norm into both networks",
    check,
);

fn check(history: &History) -> Finding {
    // Without a decision threshold D is neither right nor wrong.
    if !history.is_players_line() || !history.is_full() || !history.context().loss.has_threshold {
        return Finding::Undecided;
    }
    match evidence(history) {
        Some(_) if history.samples_improve() => Finding::Undecided,
        evidence => evidence.into(),
    }
}

fn evidence(history: &History) -> Option<Evidence> {
    let accuracy = history.mean("accuracy_d")?;
    let after = history.mean("d_fake_after")?;
    let gradient = history.mean("grad_norm_g")?;
    (accuracy >= ALMOST_ALL && after <= NOTHING).then(|| {
        format!(
            "over the last {} D was right about {:.1} % of the samples and gave G's {} when G was to learn from it (norm of G's gradient: {})",
            counted(history.window_steps(), "step"),
            100.0 * accuracy,
            short(after),
            short(gradient)
        )
    })
}
