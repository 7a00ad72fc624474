//! The process group: sums over all ranks, and the orders of rank 0.

use crate::error::{Error, Result};
use gan_comm::{Communicator, Single, Statistics};
use gan_kernels::Ranks;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// This process as one rank of a process group.
#[derive(Clone, Debug)]
pub struct ProcessGroup {
    /// Communication with the other ranks.
    pub ranks: Arc<dyn Communicator>,
    /// Ranks whose batches batch norm takes its statistics over.
    pub norms: Ranks,
    /// Whether rank 0 gives orders; otherwise all ranks are called alike.
    led: bool,
    /// Whether an order is being carried out, in which the ranks wait for each other.
    busy: Arc<AtomicBool>,
}

/// Order of rank 0 to all ranks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Do a step, in a run with this number of rollbacks.
    Step {
        /// Number of rollbacks.
        rollbacks: u64,
    },
    /// Do a share of work outside of the steps, such as an evaluation.
    Work,
    /// Send what a checkpoint needs.
    Save,
    /// Receive the state that follows.
    Restore,
    /// End the run.
    End,
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
    pub fn lead(&mut self) {
        self.led = true;
    }

    /// Returns whether there are several ranks, and rank 0 gives orders.
    pub fn is_led(&self) -> bool {
        self.led && self.ranks.size() > 1
    }

    /// Returns whether this is rank 0, and others wait for its orders.
    pub fn leads(&self) -> bool {
        self.is_led() && self.ranks.rank() == 0
    }

    /// Tells the others, if this rank leads them, what all do next. [`ProcessGroup::done`] follows.
    pub fn order(&self, order: Order) -> Result<()> {
        if self.leads() {
            self.busy.store(true, Ordering::Relaxed);
            self.ranks.broadcast(&serde_json::to_vec(&order).map_err(unreadable)?)?;
        }
        Ok(())
    }

    /// Marks an order as carried out.
    pub fn done(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    /// Receives the next order of rank 0.
    pub fn next(&self) -> Result<Order> {
        serde_json::from_slice(&self.ranks.broadcast(&[])?).map_err(unreadable)
    }

    /// Returns whether the ranks are carrying out an order of this one.
    pub fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Tells the other ranks to exit, unless they are carrying out an order.
    pub fn shutdown(&self) {
        if !self.is_busy() && self.order(Order::End).is_ok() {
            self.done();
        }
    }
}

/// Returns the error of a message from another rank that cannot be read.
pub fn unreadable(error: serde_json::Error) -> Error {
    gan_comm::Error::Library(format!("a rank said something that this version does not know: {error}")).into()
}
