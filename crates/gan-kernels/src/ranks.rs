//! Batch norm over the batches of several processes that train one network (ranks): what it needs of the others is sums.
//!
//! Mean and variance are merged from each rank's own (Chan, Golub & LeVeque 1983): with nᵢ numbers, mean μᵢ and variance σᵢ² on rank i and
//! n = Σnᵢ, μ = Σnᵢμᵢ/n and σ² = Σnᵢ(σᵢ² + μᵢ²)/n − μ². In the backward pass Σg and Σg·x̂ are sums over all ranks too. Each rank's loss must
//! be scaled so that their sum is the whole batch's; then so are the gradients.

use std::fmt::Debug;
use std::sync::Arc;

/// Adds numbers up over all ranks. All of them must call it with as many numbers, in the same order of calls.
pub trait Sums: Send + Sync + Debug {
    /// Each number becomes its sum over the ranks; NaN where one of them is lost, so that the loss tells.
    fn sum(&self, values: &mut [f64]);
}

/// Over whose batches statistics are taken.
pub type Ranks = Option<Arc<dyn Sums>>;

/// A channel's mean and variance, merged over all ranks, and how many numbers they are over.
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

/// Two lists of numbers of each channel, added up over all ranks.
pub(crate) fn both(ranks: &Ranks, a: &[f64], b: &[f64]) -> [Vec<f64>; 2] {
    let mut sums = [a, b].concat();
    if let Some(ranks) = ranks {
        ranks.sum(&mut sums);
    }
    let b = sums.split_off(a.len());
    [sums, b]
}
