//! Sums over all ranks, as a differentiable operation.

use crate::ranks::{Ranks, Sums};
use crate::storage::{Real, elements, with_real};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, backend::BackendStorage};
use std::sync::Arc;

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
///
/// # Errors
/// From candle.
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
        with_real!(x.dtype(), self.name(), T => {
            let mut values: Vec<f64> = elements::<T>(x, layout)?.iter().map(|v| v.wide()).collect();
            self.0.sum(&mut values);
            Ok((T::store(values.into_iter().map(T::of).collect()), layout.shape().clone()))
        })
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
