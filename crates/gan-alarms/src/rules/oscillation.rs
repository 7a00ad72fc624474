//! Oscillation: the players chase each other without getting better.

use crate::history::{History, LossPart};
use crate::rule::{Finding, Rule};

/// Turns of G's smoothed loss that make an oscillation.
const TURNS: usize = 6;
/// How wide each is, from low to high.
const WIDE: f64 = 3.0;

/// See the file.
pub(super) struct Oscillation;

impl Rule for Oscillation {
    fn key(&self) -> &'static str {
        "oscillation"
    }

    fn title(&self) -> &'static str {
        "oscillation"
    }

    fn advice(&self) -> &'static str {
        "lower both rates, use β1 = 0.5 or less, and keep an average of G (train.ema = 0.999)"
    }

    fn check(&self, history: &History) -> Finding {
        // Factors mean nothing where the loss may be negative.
        let has_factors = !history.context().loss.properties().g_may_be_negative;
        if !has_factors || !history.players().is_some_and(|line| line.ends_loss_part) {
            return Finding::Undecided;
        }
        let over = 8 * history.span();
        let is_recent = |end: &u64| end.saturating_add(over) >= history.step();
        let turns = turns(history.loss_parts()).into_iter().filter(is_recent).count();
        (turns >= TURNS)
            .then(|| {
                let part = history.part_steps();
                format!(
                    "G's loss, averaged over {part} steps at a time, turned {turns} times by a factor of over {WIDE} in the last {over} steps"
                )
            })
            .into()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Unknown,
    Up,
    Down,
}

/// The ends of the parts in which a swing was complete.
fn turns(parts: &[LossPart]) -> Vec<u64> {
    let mut turned = vec![];
    let mut way = Way::Unknown;
    // The last turning point.
    let Some(mut extreme) = parts.first().map(|part| part.mean) else { return turned };
    for LossPart { end, mean } in parts.iter().copied() {
        let rises = mean > extreme * WIDE;
        let falls = mean < extreme / WIDE;
        let turns = match way {
            Way::Unknown => rises || falls,
            Way::Up => falls,
            Way::Down => rises,
        };
        if turns {
            if way != Way::Unknown {
                turned.push(end);
            }
            way = if rises { Way::Up } else { Way::Down };
        }
        let further = (way == Way::Up && mean > extreme) || (way == Way::Down && mean < extreme);
        if turns || further {
            extreme = mean;
        }
    }
    turned
}
