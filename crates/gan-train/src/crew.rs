//! A run on several ranks: rank 0 steps it, judges, draws and saves; the others do their share of what it says.
//!
//! All begin with [`agree`]. Then rank 0 calls [`Trainer::lead`] and runs the loop as if it were alone, and the others [`follow`].

use crate::checkpoint;
use crate::error::{Error, Result};
use crate::evaluate::Embedding;
use crate::step::Order;
use crate::trainer::Trainer;
use gan_comm::Communicator;
use gan_data::Dataset;

/// Samples of the data that go into its checksum, at most.
const CHECKED: usize = 64;

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
    let (mine, theirs) = (text(mine), text(theirs));
    let (own, found) = checkpoint::first_difference(&mine, &theirs);
    Some(format!(
        "rank {rank} would train something else: it has `{found}`, rank 0 has `{own}`. Start all with the same program, settings and data"
    ))
}

/// What all ranks must have in common, a line for each thing.
fn passport(trainer: &Trainer) -> Result<String> {
    let data = fingerprint(trainer.loader.dataset().as_ref())?;
    let version = env!("CARGO_PKG_VERSION");
    Ok(format!("version = {version}\ndata = {data}\n{}", checkpoint::identity(trainer)))
}

/// How many samples there are, of which shape, and a checksum of some of them.
fn fingerprint(set: &dyn Dataset) -> Result<String> {
    let count = set.len().min(CHECKED);
    let mut crc = crc32fast::Hasher::new();
    let mut sample = vec![0.0; set.pixels()];
    for i in 0..count {
        let index = i * set.len() / count;
        set.write(index, &mut sample)?;
        sample.iter().for_each(|value| crc.update(&value.to_le_bytes()));
        crc.update(&set.label(index).unwrap_or(u32::MAX).to_le_bytes());
    }
    Ok(format!("{} samples of {:?}, checksum {:08x}", set.len(), set.shape(), crc.finalize()))
}

/// Does its share of what rank 0 says, until that ends the run.
///
/// # Errors
/// What this rank alone cannot do; the others wait for it then, and are freed by [`Communicator::abandon`].
pub fn follow(trainer: &mut Trainer) -> Result<()> {
    trainer.lead();
    let mut embedding = None;
    loop {
        match trainer.team.next()? {
            Order::Step { rollbacks } => {
                trainer.set_rollbacks(rollbacks);
                match trainer.advance() {
                    // Sums that are not finite are so on every rank; rank 0 decides what comes of it.
                    Ok(_) | Err(Error::NotFinite { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Order::Evaluate => {
                let embedding = match &mut embedding {
                    Some(embedding) => embedding,
                    none => none.insert(Embedding::for_trainer(trainer)?),
                };
                embedding.shared(trainer, &mut |_| {})?;
            }
            Order::Save => checkpoint::tell(trainer)?,
            Order::Restore => checkpoint::receive(trainer)?,
            Order::End => return Ok(()),
        }
    }
}
