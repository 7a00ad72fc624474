//! Spectral norm: kernels divided by their largest singular value (Miyato et al. 2018, arXiv:1802.05957), computed by power iteration.
//!
//! W is treated as a matrix `[O, everything else]`. Each training pass with gradients for the weights does one iteration v = Wᵀu/‖Wᵀu‖, u =
//! Wv/‖Wv‖, as PyTorch does; other passes use u unchanged. σ = uᵀWv with u and v held fixed, so that gradients reach W through it.

use crate::forward_context::{ForwardContext, Mode, Weights};
use crate::params::Param;
use candle_core::{Result, Tensor};

/// Returns `weight` divided by its largest singular value; its outputs are along `axis`, and `direction` is u.
pub(crate) fn normalized(weight: &Tensor, direction: &Param, axis: usize, pass: &ForwardContext) -> Result<Tensor> {
    let matrix = if axis == 0 { weight.clone() } else { weight.transpose(0, axis)?.contiguous()? };
    let matrix = matrix.flatten_from(1)?;
    let fixed = matrix.detach();
    let mut u = unit(&direction.tensor()?.unsqueeze(1)?)?;
    let v = unit(&fixed.t()?.contiguous()?.matmul(&u)?)?;
    if pass.weights == Weights::Trained && matches!(pass.mode, Mode::Train(_)) {
        u = unit(&fixed.matmul(&v)?)?;
        direction.set(&u.squeeze(1)?)?;
    }
    let sigma = (u * matrix.matmul(&v)?)?.sum_all()?;
    // A kernel of zeros does not change until it is updated.
    let none = sigma.detach().eq(0.0)?.to_dtype(sigma.dtype())?;
    weight.broadcast_div(&(sigma + none)?)
}

fn unit(x: &Tensor) -> Result<Tensor> {
    // A kernel of zeros has no direction.
    let norm = (x.sqr()?.sum_all()?.sqrt()? + 1e-12)?;
    x.broadcast_div(&norm)
}
