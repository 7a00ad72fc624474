//! The process group: sums over all ranks, and the orders of rank 0.

use crate::error::Result;
use crate::optimizer::Optimizer;
use candle_core::backprop::GradStore;
use gan_comm::{Communicator, Single, Statistics};
use gan_kernels::Ranks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// This process as one rank of a process group.
#[derive(Clone, Debug)]
pub struct ProcessGroup {
    /// The way to the others.
    pub ranks: Arc<dyn Communicator>,
    /// Ranks whose batches batch norm takes its statistics over.
    pub norms: Ranks,
    /// Whether rank 0 gives orders; otherwise all ranks are called alike.
    led: bool,
    /// Whether an order is being carried out, in which the ranks wait for each other.
    busy: Arc<AtomicBool>,
}

/// Order of rank 0 to all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Do a step, in a run with this number of rollbacks.
    Step { rollbacks: u64 },
    /// Do a share of work outside of the steps, such as an evaluation.
    Work,
    /// Send what a checkpoint needs.
    Save,
    /// Receive the state that follows.
    Restore,
    /// End the run.
    End,
}

impl Order {
    fn bytes(self) -> Vec<u8> {
        let (kind, value) = match self {
            Self::Step { rollbacks } => (0, rollbacks),
            Self::Work => (1, 0),
            Self::Save => (2, 0),
            Self::Restore => (3, 0),
            Self::End => (4, 0),
        };
        [&[kind], &u64::to_le_bytes(value)[..]].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, value) = bytes.split_first()?;
        let value = u64::from_le_bytes(value.try_into().ok()?);
        [Self::Step { rollbacks: value }, Self::Work, Self::Save, Self::Restore, Self::End]
            .get(usize::from(*kind))
            .copied()
    }
}

impl ProcessGroup {
    /// A process alone.
    pub fn single() -> Self {
        Self::new(Arc::new(Single), false)
    }

    /// Returns one of several ranks, with batch norm over all batches or over each rank's own.
    pub fn new(ranks: Arc<dyn Communicator>, sync_batch_norm: bool) -> Self {
        let shared = sync_batch_norm && ranks.size() > 1;
        let norms: Ranks = if shared { Some(Arc::new(Statistics(Arc::clone(&ranks)))) } else { None };
        Self { ranks, norms, led: false, busy: Arc::new(AtomicBool::new(false)) }
    }

    /// Lets rank 0 give orders from now on.
    pub(crate) fn lead(&mut self) {
        self.led = true;
    }

    /// Returns whether there are several ranks, and rank 0 gives orders.
    pub(crate) fn is_led(&self) -> bool {
        self.led && self.ranks.size() > 1
    }

    /// Returns whether this is rank 0, and others wait for its orders.
    pub(crate) fn leads(&self) -> bool {
        self.is_led() && self.ranks.rank() == 0
    }

    /// Tells the others, if this rank leads them, what all do next. [`ProcessGroup::done`] follows.
    pub(crate) fn order(&self, order: Order) -> Result<()> {
        if self.leads() {
            self.busy.store(true, Ordering::Relaxed);
            self.ranks.broadcast(&order.bytes())?;
        }
        Ok(())
    }

    /// Marks an order as carried out.
    pub(crate) fn done(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// Receives the next order of rank 0.
    pub(crate) fn next(&self) -> Result<Order> {
        let bytes = self.ranks.broadcast(&[])?;
        let differ = || gan_comm::Error::Library("rank 0 said something that this version does not know".into());
        Ok(Order::read(&bytes).ok_or_else(differ)?)
    }

    /// Returns whether the ranks are carrying out an order of this one.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Sends the others home, where they are not in the middle of something.
    pub(crate) fn shutdown(&self) {
        if !self.is_busy() && self.order(Order::End).is_ok() {
            self.done();
        }
    }

    /// Sums the gradients and the values in `found` over all ranks.
    pub(super) fn together(&self, optimizer: &Optimizer, grads: &mut GradStore, found: &mut [f64]) -> Result<()> {
        if self.ranks.size() > 1 {
            optimizer.sum_over(grads, self.ranks.as_ref())?;
            self.ranks.sum_wide(found)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_way() {
        for order in [Order::Step { rollbacks: 3 }, Order::Work, Order::Save, Order::Restore, Order::End] {
            assert_eq!(Order::read(&order.bytes()), Some(order));
        }
        assert_eq!(Order::read(&[9; 9]), None);
    }
}
