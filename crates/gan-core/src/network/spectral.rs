//! Kernels divided by their largest singular value (Miyato et al. 2018, arXiv:1802.05957), found by power iteration.
//!
//! W is seen as a matrix `[O, everything else]`. Each training pass with gradients for the weights does one iteration v = Wᵀu/‖Wᵀu‖,
//! u = Wv/‖Wv‖, as PyTorch does; other passes take u as it is. σ = uᵀWv with u and v held fixed, so that gradients reach W through it.

use super::{Mode, Network, Pass, Weights};
use crate::layer::Layer;
use crate::params::{Param, Role};
use candle_core::{Result, Tensor};

impl Network {
    /// Layer `index`'s kernels with their places among all parameters.
    pub(super) fn kernels(&self, index: usize) -> impl Iterator<Item = (usize, &Param)> {
        let own = self.starts[index]..self.starts.get(index + 1).copied().unwrap_or(self.params.len());
        own.map(|i| (i, &self.params[i])).filter(|(_, param)| param.role == Role::Weight)
    }

    /// The kernel at place `i` of all parameters, of layer `index`, divided by its largest singular value.
    pub(super) fn normed(&self, index: usize, i: usize, pass: &Pass) -> Result<Tensor> {
        let weight = self.tensor_of(i, pass.weights)?;
        let name = format!("{}_u", self.params[i].name);
        let Some(direction) = self.params[self.starts[index]..].iter().find(|param| param.name == name) else {
            candle_core::bail!("\"{}\" has no direction \"{name}\" for its spectral norm", self.params[i].name)
        };
        let matrix = match &self.layers[index] {
            Layer::ConvTranspose(_) => weight.transpose(0, 1)?.contiguous()?,
            _ => weight.clone(),
        };
        let matrix = matrix.flatten_from(1)?;
        let fixed = matrix.detach();
        let mut u = unit(&direction.tensor()?.unsqueeze(1)?)?;
        let v = unit(&fixed.t()?.contiguous()?.matmul(&u)?)?;
        if pass.weights == Weights::Trained && matches!(pass.mode, Mode::Train(_)) {
            u = unit(&fixed.matmul(&v)?)?;
            direction.set(&u.squeeze(1)?)?;
        }
        let sigma = (u * matrix.matmul(&v)?)?.sum_all()?;
        // A kernel of zeros stays as it is until it has been stepped.
        let none = sigma.detach().eq(0.0)?.to_dtype(sigma.dtype())?;
        weight.broadcast_div(&(sigma + none)?)
    }
}

fn unit(x: &Tensor) -> Result<Tensor> {
    // A kernel of zeros has no direction.
    let norm = (x.sqr()?.sum_all()?.sqrt()? + 1e-12)?;
    x.broadcast_div(&norm)
}
