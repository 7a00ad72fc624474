//! G has won: D cannot tell apart what the evaluation can.

use super::{EARLIEST, START};
use crate::history::History;
use crate::rule::{Evidence, Finding, Rule};
use crate::short;

/// A difference of D's answers to real and generated samples that counts as nothing.
const NO_GAP: f64 = 0.1;
/// Coverage of the real samples that does.
const NO_COVERAGE: f64 = 0.1;

/// See the file.
pub(super) struct GWon;

impl Rule for GWon {
    fn key(&self) -> &'static str {
        "g_won"
    }

    fn title(&self) -> &'static str {
        "G has won"
    }

    fn advice(&self) -> &'static str {
        "give D more to work with: more width or layers, a higher optimizer.discriminator.lr, or train.d_steps = 2"
    }

    fn check(&self, history: &History) -> Finding {
        let Some((now, _)) = history.evaluation() else { return Finding::Undecided };
        if history.progress() < START || now.step < EARLIEST {
            return Finding::Undecided;
        }
        evidence(history, now.coverage).filter(|_| !history.is_improving()).into()
    }
}

fn evidence(history: &History, coverage: Option<f64>) -> Option<Evidence> {
    let coverage = coverage?;
    if !history.is_full() || !history.context().loss.properties().has_threshold {
        return None;
    }
    let gap = history.mean(|line| Some(line.real))? - history.mean(|line| Some(line.fake))?;
    (gap.abs() < NO_GAP && coverage < NO_COVERAGE).then(|| {
        format!(
            "D gives real samples only {} more than generated ones, though those cover {} of the real ones",
            short(gap),
            short(coverage)
        )
    })
}
