//! A run on several ranks: rank 0 controls the steps, evaluates, draws and saves; the other ranks take part on its orders.
//!
//! All ranks start with [`agree`]. Then rank 0 calls [`Trainer::lead`] and runs the loop as if it were alone, and the others [`follow`].

use crate::checkpoint;
use crate::checkpoint::identity::{self, Difference};
use crate::error::{Error, Result};
use crate::step::Order;
use crate::trainer::Trainer;
use gan_comm::Communicator;

/// Checks that all ranks are ready and have the same version of this program, settings and data. `mine` is this rank's trainer, or the
/// reason why there is none.
///
/// # Errors
/// On rank 0, which rank differs and how; on the others, only that the start is refused.
pub fn agree(ranks: &dyn Communicator, mine: std::result::Result<&Trainer, String>) -> Result<()> {
    let mine = match mine {
        Ok(trainer) => {
            let lines = passport(trainer)?;
            [b"+", lines.as_bytes()].concat()
        }
        Err(problem) => [b"-", problem.as_bytes()].concat(),
    };
    let all = ranks.gather(&mine)?;
    let problem = all.iter().enumerate().skip(1).find_map(|(rank, theirs)| differs(rank, &mine, theirs));
    let refused = problem.is_some() || mine.starts_with(b"-");
    let refused = ranks.broadcast(&[u8::from(refused)])? == [1];
    match (refused, problem) {
        (false, _) => Ok(()),
        (true, Some(problem)) => Err(gan_comm::Error::Refused(problem).into()),
        (true, None) => Err(gan_comm::Error::Refused("rank 0 does not start".into()).into()),
    }
}

/// Describes the problem with a rank that sent `theirs` if rank 0 has `mine`.
fn differs(rank: usize, mine: &[u8], theirs: &[u8]) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()).into_owned();
    if theirs.starts_with(b"-") {
        return Some(format!("rank {rank} cannot start: {}", text(theirs)));
    }
    if theirs == mine || mine.starts_with(b"-") {
        return None;
    }
    let (own, found) = first_difference(&text(mine), &text(theirs))?;
    Some(format!(
        "rank {rank} would train something else: it has `{found}`, rank 0 has `{own}`. Start all with the same program, settings and data"
    ))
}

/// Returns what all ranks must have in common, as TOML.
fn passport(trainer: &Trainer) -> Result<String> {
    let data = trainer.data_identity()?.to_string();
    let version = env!("CARGO_PKG_VERSION");
    // No settings have these keys.
    Ok(format!("version = \"{version}\"\ndata_set = \"{data}\"\n{}", identity::settings(trainer)))
}

/// Returns the first difference between two passports, as each has it.
fn first_difference(mine: &str, theirs: &str) -> Option<(String, String)> {
    let Difference { key, before, after } = identity::difference(mine, theirs)?;
    let said = |value: Option<String>| value.map_or(format!("no {key}"), |value| format!("{key} = {value}"));
    Some((said(before), said(after)))
}

/// Carries out the orders of rank 0 until the end of the run; `work` is this rank's share of an evaluation.
///
/// # Errors
/// If this rank alone fails. The others then wait for it, and [`Communicator::abandon`] frees them.
pub fn follow<E: From<Error>>(
    trainer: &mut Trainer,
    work: &mut dyn FnMut(&Trainer) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    trainer.lead();
    loop {
        match trainer.group.next()? {
            Order::Step { rollbacks } => {
                trainer.set_rollbacks(rollbacks);
                match trainer.advance() {
                    // Sums that are not finite are so on every rank; rank 0 decides what to do.
                    Ok(_) | Err(Error::NotFinite { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Order::Work => work(trainer)?,
            Order::Save => checkpoint::tell(trainer)?,
            Order::Restore => checkpoint::receive(trainer)?,
            Order::End => return Ok(()),
        }
    }
}
