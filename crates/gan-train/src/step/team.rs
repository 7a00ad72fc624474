//! The processes that train together: what one of them adds up with the others.

use crate::error::Result;
use crate::optimizer::Optimizer;
use candle_core::backprop::GradStore;
use gan_comm::{Communicator, Single, Statistics};
use gan_kernels::Ranks;
use std::sync::Arc;

/// This process among those that train together.
#[derive(Clone, Debug)]
pub struct Team {
    /// The way to the others.
    pub ranks: Arc<dyn Communicator>,
    /// Over whose batches batch norm takes its statistics.
    pub norms: Ranks,
}

impl Team {
    /// A process alone.
    pub fn single() -> Self {
        Self { ranks: Arc::new(Single), norms: None }
    }

    /// One of several, with batch norm over all their batches or over each one's own.
    pub fn new(ranks: Arc<dyn Communicator>, sync_batch_norm: bool) -> Self {
        let shared = sync_batch_norm && ranks.size() > 1;
        let norms: Ranks = if shared { Some(Arc::new(Statistics(Arc::clone(&ranks)))) } else { None };
        Self { ranks, norms }
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
