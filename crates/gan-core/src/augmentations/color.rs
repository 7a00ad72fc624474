//! Random brightness (± 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5 times) for each image.

use crate::random::RandomTensors;
use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) fn apply(_: bool, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let n = x.dims4()?.0;
    let x = x.broadcast_add(&each(n, -0.5, 0.5, x, rng)?)?;
    let around = |x: &Tensor, mean: Tensor, factor: Tensor| -> Result<Tensor> {
        x.broadcast_sub(&mean)?.broadcast_mul(&factor)?.broadcast_add(&mean)
    };
    let x = around(&x, x.mean_keepdim(1)?, each(n, 0.0, 2.0, &x, rng)?)?;
    around(&x, x.mean_keepdim((1, 2, 3))?, each(n, 0.5, 1.5, &x, rng)?)
}

/// Returns one random number per sample, of shape `[N, 1, 1, 1]`.
fn each(n: usize, low: f32, high: f32, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    rng.uniform_tensor(low, high, (n, 1, 1, 1), x.device())
}
