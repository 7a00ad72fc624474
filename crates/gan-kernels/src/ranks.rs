//! Batch norm over the batches of several processes that train one network (ranks), which only needs sums.
//!
//! Mean and variance are merged from each rank's own (Chan, Golub & LeVeque 1983): with nᵢ numbers, mean μᵢ and variance σᵢ² on rank i and
//! n = Σnᵢ, μ = Σnᵢμᵢ/n and σ² = Σnᵢ(σᵢ² + μᵢ²)/n − μ². In the backward pass Σg and Σg·x̂ are sums over all ranks too. Each rank's loss
//! must be scaled so that the sum of losses is the whole batch's; then the gradients are too.

use crate::storage::elements;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, backend::BackendStorage, bail};
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
pub(crate) fn merge(ranks: &Ranks, count: usize, mean: &mut [f32], variance: &mut [f32]) -> usize {
    let Some(ranks) = ranks else { return count };
    let n = count as f64;
    let channels = mean.len();
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let mut sums: Vec<f64> = wide(mean).iter().map(|mean| n * mean).collect();
    sums.extend(wide(mean).iter().zip(wide(variance)).map(|(mean, variance)| n * (variance + mean * mean)));
    sums.push(n);
    ranks.sum(&mut sums);
    let total = sums[2 * channels];
    for channel in 0..channels {
        let merged = sums[channel] / total;
        mean[channel] = merged as f32;
        variance[channel] = (sums[channels + channel] / total - merged * merged).max(0.0) as f32;
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

/// Mean and variance of each channel of a batch, without a graph.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// `[C]`
    pub mean: Tensor,
    /// `[C]`, the biased variance (divided by the count).
    pub variance: Tensor,
    /// Number of values in each channel's statistics: N·H·W.
    pub count: usize,
}

/// Returns the sum of a tensor over all ranks, or the tensor itself for a single process.
pub fn sum_over_ranks(t: &Tensor, ranks: &Ranks) -> Result<Tensor> {
    match ranks {
        Some(ranks) => t.apply_op1(Summed(Arc::clone(ranks))),
        None => Ok(t.clone()),
    }
}

/// Sum over all ranks by way of the host. Gradients are summed too, because each rank's loss depends on every rank's numbers.
struct Summed(Arc<dyn Sums>);

impl CustomOp1 for Summed {
    fn name(&self) -> &'static str {
        "sum-over-ranks"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sum = |mut values: Vec<f64>| {
            self.0.sum(&mut values);
            values
        };
        let sums = match x {
            CpuStorage::F32(_) => {
                let sums = sum(elements::<f32>(x, layout)?.iter().map(|v| f64::from(*v)).collect());
                CpuStorage::F32(sums.into_iter().map(|v| v as f32).collect())
            }
            CpuStorage::F64(_) => CpuStorage::F64(sum(elements::<f64>(x, layout)?.to_vec())),
            other => bail!("{} works on f32 and f64, got {:?}", self.name(), other.dtype()),
        };
        Ok((sums, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &candle_core::CudaStorage, layout: &Layout) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendDevice;
        let (y, shape) = self.cpu_fwd(&x.to_cpu_storage()?, layout)?;
        Ok((x.device().storage_from_cpu_storage(&y)?, shape))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = g.detach();
        let mut values: Vec<f64> = g.flatten_all()?.to_dtype(DType::F64)?.to_device(&Device::Cpu)?.to_vec1()?;
        self.0.sum(&mut values);
        Tensor::from_vec(values, g.shape(), &Device::Cpu)?.to_dtype(g.dtype())?.to_device(g.device()).map(Some)
    }
}
