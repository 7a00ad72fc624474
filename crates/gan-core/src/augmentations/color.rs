//! Random brightness (± 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5 times) for each image.
//!
//! Alpha does not change. Colors that are multiplied by it change as the colors themselves would: transparent pixels stay black.

use crate::random::RandomTensors;
use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) fn apply(_: bool, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let (n, channels, ..) = x.dims4()?;
    let [brightness, saturation, contrast] = [(-0.5, 0.5), (0.0, 2.0), (0.5, 1.5)].map(|range| each(n, range, x, rng));
    if channels == 4 {
        return premultiplied(x, &brightness?, &saturation?, &contrast?);
    }
    let x = x.broadcast_add(&brightness?)?;
    let x = around(&x, &x.mean_keepdim(1)?, &saturation?)?;
    around(&x, &x.mean_keepdim((1, 2, 3))?, &contrast?)
}

/// mean + factor·(x − mean)
fn around(x: &Tensor, mean: &Tensor, factor: &Tensor) -> Result<Tensor> {
    x.broadcast_sub(mean)?.broadcast_mul(factor)?.broadcast_add(mean)
}

/// The same for premultiplied colors p and α. In numbers from 0 to 1, a color c plus b becomes p + α·b, and the mean color of an image is
/// μ = Σp / Σα, around which the contrast changes p to μ·α + factor·(p − μ·α).
fn premultiplied(x: &Tensor, brightness: &Tensor, saturation: &Tensor, contrast: &Tensor) -> Result<Tensor> {
    let alpha = x.narrow(1, 3, 1)?.contiguous()?;
    let opacity = alpha.affine(0.5, 0.5)?;
    let colors = x.narrow(1, 0, 3)?.contiguous()?;
    let colors = colors.broadcast_add(&opacity.broadcast_mul(brightness)?)?;
    let colors = around(&colors, &colors.mean_keepdim(1)?, saturation)?;
    let p = colors.affine(0.5, 0.5)?;
    // A generator that has learned nothing yet may have colors where nothing is opaque.
    let mean = p.mean_keepdim((1, 2, 3))?.broadcast_div(&opacity.mean_keepdim((1, 2, 3))?.affine(1.0, 1e-3)?)?;
    let middle = opacity.broadcast_mul(&mean.clamp(0.0, 1.0)?)?.broadcast_as(p.shape())?;
    let colors = around(&p, &middle, contrast)?.affine(2.0, -1.0)?;
    Tensor::cat(&[colors, alpha], 1)
}

/// Returns one random number per sample, of shape `[N, 1, 1, 1]`.
fn each(n: usize, (low, high): (f32, f32), x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    rng.uniform_tensor(low, high, (n, 1, 1, 1), x.device())
}
