//! Initialization of parameters.

use crate::params::Role;
use crate::random::RandomTensors;
use candle_core::{Device, Result, Tensor};
use gan_base::Rng;
use serde::{Deserialize, Serialize};

/// Rule for the initial values of a whole network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// Kernels N(0, 0.02²), normalization scales N(1, 0.02²), shifts and biases 0 (Radford et al. 2015, arXiv:1511.06434).
    Dcgan,
    /// Kernels U(±√(6 / (fan_in + fan_out))), biases 0 (Glorot & Bengio 2010): Keras' default.
    Glorot,
    /// Kernels N(0, 2 / fan_in), biases 0 (He et al. 2015, arXiv:1502.01852).
    He,
    /// Kernels and biases U(±1/√fan_in): PyTorch's default.
    #[default]
    Pytorch,
}

impl Init {
    /// Returns initial values of a parameter of `shape`; `weight` is the shape of the kernel in the same layer, for its fans.
    pub fn tensor(
        self,
        role: Role,
        shape: &[usize],
        weight: &[usize],
        rng: &mut Rng,
        device: &Device,
    ) -> Result<Tensor> {
        let [fan_in, fan_out] = fans(weight).map(|fan| fan as f32);
        match (role, self) {
            (Role::Weight, Self::Dcgan) => rng.normal_tensor(0.0, 0.02, shape, device),
            (Role::Scale, Self::Dcgan) => rng.normal_tensor(1.0, 0.02, shape, device),
            (Role::Weight, Self::Glorot) => {
                let limit = (6.0 / (fan_in + fan_out)).sqrt();
                rng.uniform_tensor(-limit, limit, shape, device)
            }
            (Role::Weight, Self::He) => rng.normal_tensor(0.0, (2.0 / fan_in).sqrt(), shape, device),
            (Role::Weight | Role::Bias, Self::Pytorch) => {
                let limit = fan_in.sqrt().recip();
                rng.uniform_tensor(-limit, limit, shape, device)
            }
            (Role::Scale | Role::RunningVariance, _) => Tensor::ones(shape, candle_core::DType::F32, device),
            (Role::Slope, _) => Tensor::full(0.25f32, shape, device),
            (Role::Embedding | Role::Direction, _) => rng.normal_tensor(0.0, 1.0, shape, device),
            (Role::Bias | Role::Shift | Role::RunningMean | Role::Gate, _) => {
                Tensor::zeros(shape, candle_core::DType::F32, device)
            }
        }
    }
}

/// Returns `[fan_in, fan_out]` of a kernel, counted as PyTorch does: the second and the first axis, times the taps.
fn fans(weight: &[usize]) -> [usize; 2] {
    match weight {
        [o, i, taps @ ..] => {
            let taps: usize = taps.iter().product();
            [i * taps, o * taps]
        }
        _ => [1, 1],
    }
}
