//! A run on several ranks: rank 0 steps it, judges, draws and saves; the others do their share of what it says.
//!
//! All begin with [`agree`]. Then rank 0 calls [`Trainer::lead`] and runs the loop as if it were alone, and the others [`follow`].

use crate::checkpoint;
use crate::checkpoint::identity::{self, Difference};
use crate::error::{Error, Result};
use crate::step::Order;
use crate::trainer::Trainer;
use gan_comm::Communicator;

/// Makes sure that all ranks are ready and about to do the same: that they have the same version of this program, settings and data.
/// `mine` is this rank's trainer, or why there is none.
///
/// # Errors
/// On rank 0 what is wrong with which rank; on the others only that something is.
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

/// What is wrong with a rank that says `theirs` where rank 0 says `mine`.
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

/// What all ranks must have in common, as TOML.
fn passport(trainer: &Trainer) -> Result<String> {
    let data = trainer.data_identity()?.to_string();
    let version = env!("CARGO_PKG_VERSION");
    // No settings have these keys.
    Ok(format!("version = \"{version}\"\ndata_set = \"{data}\"\n{}", identity::settings(trainer)))
}

/// The first thing that differs between two passports, as each has it.
fn first_difference(mine: &str, theirs: &str) -> Option<(String, String)> {
    let Difference { key, before, after } = identity::difference(mine, theirs)?;
    let said = |value: Option<String>| value.map_or(format!("no {key}"), |value| format!("{key} = {value}"));
    Some((said(before), said(after)))
}

/// Does its share of what rank 0 says, until that ends the run; `work` is its share of an evaluation.
///
/// # Errors
/// What this rank alone cannot do; the others wait for it then, and are freed by [`Communicator::abandon`].
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
                    // Sums that are not finite are so on every rank; rank 0 decides what comes of it.
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
