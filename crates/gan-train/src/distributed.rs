//! A run on several ranks: rank 0 controls the steps, evaluates, draws and saves; the other ranks take part on its orders.
//!
//! All ranks start with [`agree`]. Then rank 0 calls [`Trainer::lead`] and runs the loop as if it were alone, and the others [`follow`].

use crate::checkpoint;
use crate::checkpoint::identity::{self, Difference};
use crate::error::{Error, Result, refuse_if};
use crate::step::{Order, ProcessGroup};
use crate::trainer::{Trainer, checks};
use candle_core::Tensor;
use gan_base::Rng;
use gan_base::messages::counted;
use gan_comm::{Communicator, Single};
use gan_core::{Param, Role};
use gan_data::ProcessShard;
use std::sync::Arc;

/// Checks that all ranks are ready and have the same version of this program, settings and data. `mine` is this rank's trainer, or the
/// reason why there is none.
///
/// # Errors
/// On rank 0, which rank differs and how; on the others, only that the start is refused.
pub fn agree(ranks: &dyn Communicator, mine: std::result::Result<&Trainer, String>) -> Result<()> {
    // A sign, and the text of what all must have in common or of the reason.
    let mine = match mine {
        Ok(trainer) => format!("+{}", passport(trainer)?).into_bytes(),
        Err(problem) => format!("-{problem}").into_bytes(),
    };
    let all = ranks.gather(&mine)?;
    let problem = all.iter().enumerate().skip(1).find_map(|(rank, theirs)| differs(rank, &mine, theirs));
    let refused = problem.is_some() || mine.starts_with(b"-");
    let refused = ranks.broadcast(&[u8::from(refused)])? == [1];
    if !refused {
        return Ok(());
    }
    Err(gan_comm::Error::Refused(problem.unwrap_or_else(|| "rank 0 does not start".into())).into())
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
    let Difference { key, before, after } = identity::difference(&text(mine), &text(theirs))?;
    let setting = |value: Option<String>| value.map_or(format!("no {key}"), |value| format!("{key} = {value}"));
    let [own, found] = [before, after].map(setting);
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
        match trainer.group.next().map_err(Error::from)? {
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

impl Trainer {
    /// Makes this trainer one of several ranks. `train.batch` is the batch of all of them together, and each takes its share; gradients and
    /// metrics are summed, so that all ranks do the same updates. With `train.sync_batch_norm` the steps equal those of one process with
    /// the same batch, up to rounding, if a preset has no dropout, augmentation or label flipping, which each rank draws itself. Penalties
    /// on D's gradient use each rank's own batch statistics; so do losses and layers that compare the samples of a batch.
    ///
    /// # Errors
    /// If a batch has fewer samples than there are ranks, or packs of samples would be cut.
    pub fn in_group(mut self, ranks: Arc<dyn Communicator>) -> Result<Self> {
        let shard = ProcessShard { rank: ranks.rank(), ranks: ranks.size() };
        let sampling = self.loader.position().sampling;
        let smallest = checks::kept_rest(&sampling).unwrap_or(sampling.batch);
        let processes = counted(shard.ranks, "process");
        let samples = counted(sampling.len, "sample");
        let problem = format!(
            "an epoch of {samples} has a batch of {smallest}, too few for {processes}: start fewer, or change train.batch"
        );
        refuse_if(smallest < shard.ranks, "train.batch", problem)?;
        let pack = self.plan.config().train.pacgan;
        let all = shard.ranks * pack;
        let batch = sampling.batch;
        let problem =
            format!("packs of {pack} on {processes} do not divide train.batch = {batch}: choose a multiple of {all}");
        refuse_if(pack > 1 && !batch.is_multiple_of(all), "train.batch", problem)?;
        if !self.has_own_networks {
            checks::batches(&self.plan, &self.loader, shard.ranks)?;
        }
        if shard.rank > 0 {
            // ignore-tidy-names: a random stream
            self.dropout = Rng::numbered(self.plan.config().train.seed, "dropout", shard.rank as u64);
        }
        self.loader = self.loader.with_shard(shard);
        self.group = ProcessGroup::new(ranks, self.plan.config().train.sync_batch_norm);
        Ok(self)
    }

    /// Makes the other ranks do what this one, rank 0, does with its trainer: they must [follow](crate::distributed::follow).
    pub fn lead(&mut self) {
        self.group.lead();
    }

    /// Returns the ranks that carry out this one's orders, including itself: a single process, unless it leads others or follows one.
    pub fn ranks(&self) -> &dyn Communicator {
        if self.group.is_led() { self.group.ranks.as_ref() } else { &Single }
    }

    /// Does work outside of the steps, such as an evaluation, together with the ranks that this one leads.
    ///
    /// # Errors
    /// Those of `work`, and if another rank is lost.
    pub fn share_work<R, E: From<Error>>(&self, work: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        self.group.order(Order::Work).map_err(Error::from)?;
        let result = work()?;
        self.group.done();
        Ok(result)
    }

    /// Tells the ranks that follow this one to exit: at the end of the run, or when it failed. Ranks in the middle of a step that this rank
    /// cannot end do not receive this ([`Trainer::strands_others`]).
    pub fn shutdown(&self) {
        self.group.shutdown();
    }

    /// Returns whether others wait for this rank in the middle of something that it has abandoned; only [`Communicator::abandon`] frees
    /// them.
    pub fn strands_others(&self) -> bool {
        self.group.is_busy()
    }

    /// Returns this process's rows of the common tensor `all`, `[N, …]`.
    pub(crate) fn own(&self, all: &Tensor) -> candle_core::Result<Tensor> {
        let ranks = &self.group.ranks;
        let range = ProcessShard { rank: ranks.rank(), ranks: ranks.size() }.range(all.dim(0)?);
        all.narrow(0, range.start, range.len())
    }

    /// Averages running averages that followed each rank's own batches, so that all ranks stay identical.
    pub(crate) fn average_running(&self) -> Result<()> {
        let ranks = &self.group.ranks;
        if ranks.size() == 1 || self.group.norms.is_some() {
            return Ok(());
        }
        let is_running = |param: &Param| matches!(param.role, Role::RunningMean | Role::RunningVariance);
        for param in self.generator.params().into_iter().chain(self.discriminator.params()).filter(is_running) {
            let average = param.tensor()?;
            let mut values: Vec<f32> = average.to_vec1()?;
            ranks.sum(&mut values)?;
            values.iter_mut().for_each(|value| *value /= ranks.size() as f32);
            param.set(&Tensor::from_vec(values, average.shape(), average.device())?)?;
        }
        Ok(())
    }
}
