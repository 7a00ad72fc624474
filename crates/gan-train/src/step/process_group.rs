//! The processes that train together: what one of them adds up with the others, and what rank 0 tells them to do.

use crate::error::Result;
use crate::optimizer::Optimizer;
use candle_core::backprop::GradStore;
use gan_comm::{Communicator, Single, Statistics};
use gan_kernels::Ranks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// This process among those that train together.
#[derive(Clone, Debug)]
pub struct ProcessGroup {
    /// The way to the others.
    pub ranks: Arc<dyn Communicator>,
    /// Over whose batches batch norm takes its statistics.
    pub norms: Ranks,
    /// Whether the others do what this one says; else each is called alike.
    led: bool,
    /// Whether an order is being carried out, in which the ranks wait for each other.
    busy: Arc<AtomicBool>,
}

/// What rank 0 says that all do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// A step, in a run that was taken back so often.
    Step { rollbacks: u64 },
    /// Each its share of work outside of the steps, such as an evaluation.
    Work,
    /// Each tells what a checkpoint needs of it.
    Save,
    /// All take the state that follows.
    Restore,
    /// The run has ended.
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

    /// One of several, with batch norm over all their batches or over each one's own.
    pub fn new(ranks: Arc<dyn Communicator>, sync_batch_norm: bool) -> Self {
        let shared = sync_batch_norm && ranks.size() > 1;
        let norms: Ranks = if shared { Some(Arc::new(Statistics(Arc::clone(&ranks)))) } else { None };
        Self { ranks, norms, led: false, busy: Arc::new(AtomicBool::new(false)) }
    }

    /// From now on rank 0 says what is done.
    pub(crate) fn lead(&mut self) {
        self.led = true;
    }

    /// Whether there are several ranks, and rank 0 says what is done.
    pub(crate) fn is_led(&self) -> bool {
        self.led && self.ranks.size() > 1
    }

    /// Whether this is rank 0, and others wait for what it says.
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

    /// What was ordered is done.
    pub(crate) fn done(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// The next order of rank 0.
    pub(crate) fn next(&self) -> Result<Order> {
        let bytes = self.ranks.broadcast(&[])?;
        let differ = || gan_comm::Error::Library("rank 0 said something that this version does not know".into());
        Ok(Order::read(&bytes).ok_or_else(differ)?)
    }

    /// Whether the ranks are in the middle of what this one has ordered.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Sends the others home, where they are not in the middle of something.
    pub(crate) fn shutdown(&self) {
        if !self.is_busy() && self.order(Order::End).is_ok() {
            self.done();
        }
    }

    /// The gradients and the sums in `found`, added up over all ranks.
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
