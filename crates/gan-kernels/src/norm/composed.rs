//! Batch norm from candle's operations, for devices without a kernel here.

use super::{BatchStatistics, column, mean_keepdim};
use crate::ranks::{Ranks, Sums};
use crate::storage::{Real, elements, with_real};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, backend::BackendStorage};
use std::sync::Arc;

/// The same from candle's operations, for devices without a kernel here.
pub(super) fn composed(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    ranks: &Ranks,
) -> Result<(Tensor, BatchStatistics)> {
    let mut count = x.elem_count() / gamma.elem_count();
    let over_ranks = |t: Tensor| match ranks {
        Some(ranks) => t.apply_op1(Summed(Arc::clone(ranks))),
        None => Ok(t),
    };
    if let Some(ranks) = ranks {
        let mut total = [count as f64];
        ranks.sum(&mut total);
        count = total[0] as usize;
    }
    // Of this rank's numbers the part that they are of all.
    let part = (x.elem_count() / gamma.elem_count()) as f64 / count as f64;
    let mean = |x: &Tensor| over_ranks((mean_keepdim(x)? * part)?);
    let centre = mean(x)?;
    let centred = x.broadcast_sub(&centre)?;
    let variance = mean(&centred.sqr()?)?;
    let normal = centred.broadcast_div(&(&variance + eps)?.sqrt()?)?;
    let y = normal.broadcast_mul(&column(gamma, x)?)?.broadcast_add(&column(beta, x)?)?;
    let flat = |t: &Tensor| t.detach().flatten_all();
    Ok((y, BatchStatistics { mean: flat(&centre)?, variance: flat(&variance)?, count }))
}

/// Numbers added up over all ranks, by way of the host. Their gradients are added up too: each rank's loss depends on every rank's numbers.
struct Summed(Arc<dyn Sums>);

impl Summed {
    fn of(&self, t: &Tensor) -> Result<Tensor> {
        let mut values: Vec<f64> = t.flatten_all()?.to_dtype(DType::F64)?.to_device(&Device::Cpu)?.to_vec1()?;
        self.0.sum(&mut values);
        Tensor::from_vec(values, t.shape(), &Device::Cpu)?.to_dtype(t.dtype())?.to_device(t.device())
    }
}

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
        Ok(Some(self.of(&g.detach())?))
    }
}
