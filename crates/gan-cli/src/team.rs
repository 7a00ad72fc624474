//! This process among those that `mpirun` or `srun` has started with it.

use crate::args::Usage;
use crate::{message, say};
use anyhow::{Context, Result};
use gan_comm::{Communicator, Single, launch};
use gan_train::{Plan, RunConfig, Trainer, crew};
use std::sync::Arc;

/// The way to the other processes, where there are any.
pub fn join() -> Result<Arc<dyn Communicator>> {
    match launch::processes() {
        None => Ok(Arc::new(Single)),
        Some(count) => connect(count),
    }
}

#[cfg(feature = "mpi")]
fn connect(count: usize) -> Result<Arc<dyn Communicator>> {
    let ranks = gan_comm::Mpi::start().context("joining the other processes")?;
    if ranks.size() != count {
        return Err(Usage(format!(
            "{count} processes were started, but this program's MPI library sees {}: start them with the mpirun of the MPI that it was built with",
            ranks.size()
        ))
        .into());
    }
    Ok(Arc::new(ranks))
}

#[cfg(not(feature = "mpi"))]
fn connect(count: usize) -> Result<Arc<dyn Communicator>> {
    Err(Usage(format!(
        "{count} processes were started together, but this build has no MPI, so each would train for itself: build with \
         `cargo build --release -p gan-cli --features mpi`, or start one"
    ))
    .into())
}

/// What `plan` makes on rank 0, on every rank: where only rank 0 can read it.
pub fn plan_of_first(ranks: &dyn Communicator, plan: impl FnOnce() -> Result<Plan>) -> Result<Plan> {
    if ranks.rank() == 0 {
        let plan = plan();
        let config = plan.as_ref().map(|plan| serde_json::to_vec(plan.config())).ok().transpose()?;
        ranks.broadcast(&config.unwrap_or_default())?;
        return plan;
    }
    let config = ranks.broadcast(&[])?;
    // Of what is wrong there rank 0 tells.
    let config: RunConfig = serde_json::from_slice(&config).context("rank 0 has no settings")?;
    Ok(config.check()?)
}

/// `auto` and `cuda` name the GPU of this process's number on its host, where several were started there.
pub fn device(name: &str) -> String {
    let here = launch::rank_here();
    match name {
        "cuda" if launch::processes_here() > 1 => format!("cuda:{here}"),
        "auto" if launch::processes_here() > 1 && cfg!(feature = "cuda") => format!("cuda:{here}"),
        _ => name.into(),
    }
}

/// How many threads compute: as many as asked for, or one for each core that is this process's.
pub fn threads(asked: usize) -> usize {
    if asked == 0 && launch::processes().is_some() { launch::cores() } else { asked }
}

/// All ranks' trainers, if all are ready and about to do the same. Rank 0 leads then, and the others follow; they come back when it is
/// done, without a trainer.
pub fn start(ranks: &Arc<dyn Communicator>, begun: Result<Trainer>) -> Result<Option<Trainer>> {
    if ranks.size() == 1 {
        return begun.map(Some);
    }
    let agreed = crew::agree(ranks.as_ref(), begun.as_ref().map_err(message));
    let mut trainer = match (begun, agreed) {
        (Ok(trainer), agreed) => agreed.map(|()| trainer)?,
        (Err(own), _) if ranks.rank() == 0 => return Err(own),
        // Rank 0 has told.
        (Err(_), agreed) => return agreed.map(|()| None).map_err(anyhow::Error::from),
    };
    if ranks.rank() == 0 {
        trainer.lead();
        return Ok(Some(trainer));
    }
    let step = |trainer: &Trainer| format!("rank {} failed after step {}", ranks.rank(), trainer.step());
    let followed = crew::follow(&mut trainer);
    followed.with_context(|| step(&trainer)).inspect_err(|error| abandon(ranks, error))?;
    Ok(None)
}

/// Says what is wrong and ends the other processes, who wait for this one.
pub fn abandon(ranks: &Arc<dyn Communicator>, error: &anyhow::Error) {
    say::note(format_args!("error: {}", message(error)));
    ranks.abandon();
}

/// Whether rank 0 has told the user of an error of this process.
pub fn is_told(error: &anyhow::Error) -> bool {
    let is_common = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Usage>()
            || cause
                .downcast_ref::<gan_train::Error>()
                .is_some_and(|error| matches!(error, gan_train::Error::Ranks(gan_comm::Error::Refused(_))))
    };
    launch::processes().is_some() && launch::rank() > 0 && error.chain().any(is_common)
}
