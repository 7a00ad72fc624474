//! A trainer as one rank of several that train the same networks.

use super::{Trainer, checks};
use crate::error::{Error, Result};
use crate::step::ProcessGroup;
use candle_core::Tensor;
use gan_base::Rng;
use gan_base::messages::counted;
use gan_comm::{Communicator, Single};
use gan_core::{Param, Role};
use gan_data::ProcessShard;
use std::sync::Arc;

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
        if smallest < shard.ranks {
            let problem = format!(
                "an epoch of {} has a batch of {smallest}, too few for {}: start fewer, or change train.batch",
                counted(sampling.len, "sample"),
                counted(shard.ranks, "process")
            );
            return Err(Error::config("train.batch", problem));
        }
        let pack = self.plan.config().train.pacgan;
        if pack > 1 && !sampling.batch.is_multiple_of(shard.ranks * pack) {
            let problem = format!(
                "packs of {pack} on {} do not divide train.batch = {}: choose a multiple of {}",
                counted(shard.ranks, "process"),
                sampling.batch,
                shard.ranks * pack
            );
            return Err(Error::config("train.batch", problem));
        }
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
        self.group.order(crate::step::Order::Work)?;
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
    pub(super) fn own(&self, all: &Tensor) -> candle_core::Result<Tensor> {
        let ranks = &self.group.ranks;
        if ranks.size() == 1 {
            return Ok(all.clone());
        }
        let range = ProcessShard { rank: ranks.rank(), ranks: ranks.size() }.range(all.dim(0)?);
        all.narrow(0, range.start, range.len())
    }

    /// Averages running averages that followed each rank's own batches, so that all ranks stay identical.
    pub(super) fn average_running(&self) -> Result<()> {
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
