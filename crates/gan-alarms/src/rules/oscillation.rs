//! Oscillation: the players chase each other without getting better.

use crate::history::{History, LossPart};
use crate::rule::{Finding, Rule};

/// Number of turns of G's smoothed loss that make an oscillation.
const TURNS: usize = 6;
/// Factor between the low and the high end of each swing.
const WIDE: f64 = 3.0;

pub(super) static OSCILLATION: Rule = Rule::new(
    "oscillation",
    "oscillation",
    "lower both rates, use β1 = 0.5 or less, and keep an average of G (train.ema = 0.999)",
    check,
);

fn check(history: &History) -> Finding {
    // Factors are meaningless where the loss may be negative.
    if history.context().loss.g_may_be_negative || !history.ends_loss_part() {
        return Finding::Undecided;
    }
    let over = 8 * history.span();
    let is_recent = |end: &u64| end.saturating_add(over) >= history.step();
    let turns = turns(history.loss_parts()).into_iter().filter(is_recent).count();
    let evidence = (turns >= TURNS).then(|| {
        let part = history.part_steps();
        format!(
            "G's loss, averaged over {part} steps at a time, turned {turns} times by a factor of over {WIDE} in the last {over} steps"
        )
    });
    evidence.into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Unknown,
    Up,
    Down,
}

/// Returns the ends of the parts in which a swing was complete.
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
