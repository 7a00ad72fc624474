//! A search without coverage feedback: it mutates inputs that were accepted or that were refused with a new message.

use crate::bound::{Fault, run};
use crate::mutate::mutate;
use crate::target::Target;
use gan_base::Rng;
use gan_kernels::process::Counting;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Maximum number of inputs to mutate; beyond it, new inputs replace old ones.
const MOST: usize = 400;

/// The result of a search.
#[derive(Debug, Default)]
pub struct Found {
    /// Number of inputs that were run.
    pub executions: u64,
    /// Number of inputs that were accepted.
    pub accepted: u64,
    /// Inputs with faults, one for each kind of fault.
    pub faults: Vec<(Vec<u8>, Fault)>,
}

/// Runs mutations of `inputs` for `time`. `before` is called with each input before it runs, because the process may die.
pub fn search(
    target: &Target,
    inputs: &[Vec<u8>],
    time: Duration,
    memory: &Counting,
    before: &mut dyn FnMut(&[u8]),
) -> Found {
    let mut rng = Rng::stream(1, target.name);
    let mut pool: Vec<Vec<u8>> = if inputs.is_empty() { vec![vec![]] } else { inputs.to_vec() };
    let mut known = HashSet::new();
    let mut found = Found::default();
    let start = Instant::now();
    while start.elapsed() < time {
        // Half of the mutations start from the corpus, the others from all inputs in the pool.
        let from = if rng.below(2) == 0 { inputs.len().max(1) } else { pool.len() };
        let input = mutate(target, &pool[rng.below(from)], &pool, &mut rng);
        before(&input);
        found.executions += 1;
        let words = match run(target, &input, memory) {
            Ok(outcome) => {
                found.accepted += u64::from(outcome.is_ok());
                outcome.map_or_else(|refusal| kind(&refusal.to_string()), |()| format!("accepted {}", input.len() / 64))
            }
            Err(fault) => {
                if known.insert(kind(&fault.to_string())) {
                    found.faults.push((input, fault));
                }
                continue;
            }
        };
        if known.insert(words) {
            if pool.len() < MOST {
                pool.push(input);
            } else {
                let at = inputs.len() + rng.below(MOST - inputs.len());
                pool[at] = input;
            }
        }
    }
    found
}

/// Returns the kind of a message, so that messages that differ only in names and numbers have the same kind: its letters outside quotes,
/// up to a limit.
fn kind(message: &str) -> String {
    let outside = message.split(['"', '`', '\'']).step_by(2);
    outside.flat_map(str::chars).filter(|c| c.is_alphabetic() || *c == ' ').take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_classified_by_their_words() {
        assert_eq!(kind("width 3 of \"a\" is wrong"), kind("width 17 of \"b c\" is wrong"));
        assert_ne!(kind("width 3 is wrong"), kind("height 3 is wrong"));
    }
}
