//! Batch norm over the batches of several processes that train one network (ranks), which only needs sums.
//!
//! Mean and variance are merged from each rank's own (Chan, Golub & LeVeque 1983): with nᵢ numbers, mean μᵢ and variance σᵢ² on rank i and
//! n = Σnᵢ, μ = Σnᵢμᵢ/n and σ² = Σnᵢ(σᵢ² + μᵢ²)/n − μ². In the backward pass Σg and Σg·x̂ are sums over all ranks too. Each rank's loss
//! must be scaled so that the sum of losses is the whole batch's; then the gradients are too.

use std::fmt::Debug;
use std::sync::Arc;

/// Sums over all ranks. All of them must call it with the same number of values, in the same order of calls.
pub trait Sums: Send + Sync + Debug {
    /// Replaces each number by its sum over the ranks; NaN if one of them is lost, so that the loss shows it.
    fn sum(&self, values: &mut [f64]);
}

/// Ranks whose batches statistics are taken over.
pub type Ranks = Option<Arc<dyn Sums>>;

/// Returns a channel's mean and variance, merged over all ranks, and the number of values.
pub(crate) fn merge(ranks: &Ranks, count: usize, mean: &mut [f64], variance: &mut [f64]) -> usize {
    let Some(ranks) = ranks else { return count };
    let (n, channels) = (count as f64, mean.len());
    let mut sums: Vec<f64> = mean.iter().map(|mean| n * mean).collect();
    sums.extend(mean.iter().zip(&*variance).map(|(mean, variance)| n * (variance + mean * mean)));
    sums.push(n);
    ranks.sum(&mut sums);
    let total = sums[2 * channels];
    for channel in 0..channels {
        mean[channel] = sums[channel] / total;
        variance[channel] = (sums[channels + channel] / total - mean[channel] * mean[channel]).max(0.0);
    }
    total as usize
}

/// Sums two lists of numbers per channel over all ranks.
pub(crate) fn both(ranks: &Ranks, a: &[f64], b: &[f64]) -> [Vec<f64>; 2] {
    let mut sums = [a, b].concat();
    if let Some(ranks) = ranks {
        ranks.sum(&mut sums);
    }
    let b = sums.split_off(a.len());
    [sums, b]
}
