//! Distributed runs: this process is one of those that `mpirun` or `srun` has started, or starts a thread for each GPU.

use crate::args::{Usage, usage};
use crate::{message, print};
use anyhow::{Context, Result};
use candle_core::Device;
use gan_comm::{Communicator, Single, launch, threads};
use gan_train::config::RunConfig;
use gan_train::{Plan, Trainer, distributed};
use rayon::ThreadPoolBuilder;
use std::sync::Arc;
use tracing::subscriber::NoSubscriber;

/// One rank of a run.
pub struct Rank {
    /// Communicator with the other ranks.
    pub group: Arc<dyn Communicator>,
    /// Whether it is a thread of a process that runs all ranks.
    pub is_thread: bool,
    device: String,
}

/// Runs `work` as the rank of this process or, with `gpus`, as that many ranks, each a thread with its own GPU. Returns the result of rank
/// 0.
pub fn run<R: Send>(gpus: Option<usize>, device: &str, work: impl Fn(&Rank) -> Result<R> + Sync) -> Result<R> {
    let Some(gpus) = gpus else {
        return work(&Rank { group: join()?, is_thread: false, device: device_here(device) });
    };
    let problem = if launch::processes().is_some() {
        "drives several GPUs from one process, mpirun and srun start a process for each: use one of them"
    } else if !cfg!(feature = "nccl") {
        "this build has no NCCL: build with `cargo build --release -p gan-cli --features nccl`"
    } else if !["auto", "cuda"].contains(&device) {
        "counts CUDA's devices from 0: leave --device out"
    } else {
        return in_threads(&(0..gpus).map(|gpu| format!("cuda:{gpu}")).collect::<Vec<_>>(), work);
    };
    Err(usage(format_args!("--gpus {gpus}"), problem))
}

/// Runs a rank on each of these devices.
fn in_threads<R: Send>(devices: &[String], work: impl Fn(&Rank) -> Result<R> + Sync) -> Result<R> {
    let as_rank = |group: Arc<dyn Communicator>| {
        let number = group.rank();
        let rank = Rank { group, is_thread: true, device: devices[number].clone() };
        if number == 0 {
            return work(&rank);
        }
        // Rank 0 reports what concerns all ranks.
        tracing::subscriber::with_default(NoSubscriber::default(), || work(&rank))
    };
    threads::run(devices.len(), as_rank)?.into_iter().next().context("there is no rank")
}

impl Rank {
    /// Returns this rank's device.
    pub fn device(&self) -> Result<Device> {
        Ok(gan_train::device::open(&self.device)?)
    }

    /// Moves a trainer to this rank's GPU, if that is where it should train, and says so unless it is to be `quiet`.
    pub fn place(&self, trainer: &mut Trainer, quiet: bool) -> Result<()> {
        match gan_train::device::place(trainer, &self.device)? {
            Some(chosen) if !quiet => print::note(chosen),
            _ => {}
        }
        Ok(())
    }

    /// Runs `work` with the given number of threads, or if that is 0 with this rank's share of the cores.
    pub fn compute<R: Send>(&self, asked: usize, work: impl FnOnce() -> Result<R> + Send) -> Result<R> {
        let share = match (self.is_thread, launch::processes()) {
            (true, _) => (launch::cores() / self.group.size()).max(1),
            (false, Some(_)) => launch::cores(),
            (false, None) => 0,
        };
        let pool = ThreadPoolBuilder::new().num_threads(if asked == 0 { share } else { asked });
        let starting = "starting the threads";
        if self.is_thread {
            // Ranks that wait for each other would block a shared pool.
            return pool.build().context(starting)?.install(work);
        }
        pool.build_global().context(starting)?;
        work()
    }

    /// Starts all ranks' trainers, if all are ready and have the same settings. Rank 0 then leads, and the others follow; they return when
    /// it is done, without a trainer.
    pub fn start(&self, trainer: Result<Trainer>) -> Result<Option<Trainer>> {
        let group = &self.group;
        if group.size() == 1 {
            return trainer.map(Some);
        }
        let trainer = trainer.and_then(|trainer| Ok(trainer.in_group(Arc::clone(group))?));
        let agreed = distributed::agree(group.as_ref(), trainer.as_ref().map_err(message));
        let trainer = match trainer {
            Ok(trainer) => agreed.map(|()| trainer)?,
            Err(own) if group.rank() == 0 => return Err(own),
            // Rank 0 has reported it.
            Err(_) => return Ok(agreed.map(|()| None)?),
        };
        let mut trainer = between_gpus(trainer, group).inspect_err(|error| self.abandon(error))?;
        if group.rank() == 0 {
            trainer.lead();
            return Ok(Some(trainer));
        }
        let followed = gan_run::follow(&mut trainer);
        let failed = || format!("rank {} failed after step {}", group.rank(), trainer.step());
        followed.with_context(failed).inspect_err(|error| self.abandon(error))?;
        Ok(None)
    }

    /// Reports the error and ends the other ranks, which wait for this one.
    pub fn abandon(&self, error: &anyhow::Error) {
        // Rank 0 reports that a thread failed when all have ended, but not why; if a rank only lost another one, that one reported it.
        let lost = |cause: &(dyn std::error::Error + 'static)| {
            let cause = match crate::training(cause) {
                Some(gan_train::Error::Ranks(cause)) => Some(cause),
                _ => cause.downcast_ref(),
            };
            matches!(cause, Some(gan_comm::Error::Lost { .. }))
        };
        if !self.is_thread || (self.group.rank() > 0 && !error.chain().any(lost)) {
            print::note(format_args!("error: {}", message(error)));
        }
        self.group.abandon();
    }
}

/// Sums between GPUs with NCCL.
#[cfg(feature = "nccl")]
fn between_gpus(trainer: Trainer, group: &Arc<dyn Communicator>) -> Result<Trainer> {
    let device = trainer.device().clone();
    if !device.is_cuda() {
        return Ok(trainer);
    }
    let group = gan_comm::Nccl::new(Arc::clone(group), &device).context("connecting the GPUs")?;
    Ok(trainer.in_group(Arc::new(group))?)
}

#[cfg(not(feature = "nccl"))]
#[expect(clippy::unnecessary_wraps, reason = "as with NCCL")]
fn between_gpus(trainer: Trainer, _: &Arc<dyn Communicator>) -> Result<Trainer> {
    Ok(trainer)
}

/// Returns the communicator with the other processes, if there are any.
fn join() -> Result<Arc<dyn Communicator>> {
    match launch::processes() {
        None => Ok(Arc::new(Single)),
        Some(count) => connect(count),
    }
}

#[cfg(feature = "mpi")]
fn connect(count: usize) -> Result<Arc<dyn Communicator>> {
    let group = gan_comm::Mpi::start().context("joining the other processes")?;
    if group.size() != count {
        return Err(Usage(format!(
            "{count} processes were started, but this program's MPI library sees {}: start them with the mpirun of the MPI that it was built with",
            group.size()
        ))
        .into());
    }
    Ok(Arc::new(group))
}

#[cfg(not(feature = "mpi"))]
fn connect(count: usize) -> Result<Arc<dyn Communicator>> {
    Err(Usage(format!(
        "{count} processes were started together, but this build has no MPI, so each would train for itself: build with \
         `cargo build --release -p gan-cli --features mpi`, or start one"
    ))
    .into())
}

/// Returns the result of `plan` on rank 0 to every rank, if only rank 0 can read it.
pub fn plan_of_first(group: &dyn Communicator, plan: impl FnOnce() -> Result<Plan>) -> Result<Plan> {
    if group.rank() == 0 {
        let plan = plan();
        let config = plan.as_ref().map(|plan| serde_json::to_vec(plan.config())).ok().transpose()?;
        group.broadcast(&config.unwrap_or_default())?;
        return plan;
    }
    let config = group.broadcast(&[])?;
    // Rank 0 reports what is wrong.
    let config: RunConfig = serde_json::from_slice(&config).context("rank 0 has no settings")?;
    Ok(config.check()?)
}

/// Replaces `auto` and `cuda` by the GPU with this process's number on its host, if several were started there.
fn device_here(name: &str) -> String {
    let is_cuda = name == "cuda" || (name == "auto" && cfg!(feature = "cuda"));
    if is_cuda && launch::processes_here() > 1 { format!("cuda:{}", launch::rank_here()) } else { name.into() }
}

/// Returns whether rank 0 has reported an error of this process to the user.
pub fn is_reported(error: &anyhow::Error) -> bool {
    let is_common = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<Usage>()
            || crate::training(cause)
                .is_some_and(|error| matches!(error, gan_train::Error::Ranks(gan_comm::Error::Refused(_))))
    };
    launch::processes().is_some() && launch::rank() > 0 && error.chain().any(is_common)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source;

    /// Returns D's losses in five steps on these devices.
    fn losses(devices: &[&str]) -> Result<Vec<f64>> {
        let devices: Vec<String> = devices.iter().map(ToString::to_string).collect();
        in_threads(&devices, |rank| {
            rank.compute(1, || {
                let plan = source::plan("ring2d", &["train.precision=f32-accurate".into()])?;
                let trainer = rank.device().and_then(|device| Ok(Trainer::new(plan, &device)?));
                let Some(mut trainer) = rank.start(trainer)? else { return Ok(vec![]) };
                let losses = (0..5).map(|_| trainer.advance()?.loss_d.context("a loss")).collect();
                trainer.shutdown();
                losses
            })
        })
    }

    #[test]
    fn ranks_in_threads_train_as_one() {
        let (alone, both) = (losses(&["cpu"]).unwrap(), losses(&["cpu", "cpu"]).unwrap());
        assert_eq!(both.len(), 5);
        assert!(alone.iter().zip(&both).all(|(a, b)| (a - b).abs() < 1e-5), "{alone:?} {both:?}");
    }

    #[test]
    fn a_device_that_is_not_there_is_named_with_its_rank() {
        let error = message(&losses(&["cpu", "nowhere"]).unwrap_err());
        assert!(error.starts_with("rank 1 cannot start: --device nowhere"), "{error}");
    }
}
