//! Batch norm over all ranks' batches.

use crate::Communicator;
use gan_kernels::Sums;
use std::sync::Arc;

/// Sums of batch norm's statistics over a communicator.
#[derive(Clone, Debug)]
pub struct Statistics(pub Arc<dyn Communicator>);

impl Sums for Statistics {
    fn sum(&self, values: &mut [f64]) {
        // Kernels cannot return errors about ranks; the next sum of gradients reports the problem.
        if self.0.sum_wide(values).is_err() {
            values.fill(f64::NAN);
        }
    }
}
