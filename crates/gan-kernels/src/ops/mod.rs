//! Candle operations of the reference engine and for your own networks: `[N, C, H, W]` images, `[N, F]` vectors.
//!
//! They run on any device, and in f64 for gradient checks. If candle's own gradients are wrong or missing (convolutions whose windows do
//! not divide the image, pooling with ties, nearest upsampling), these are correct. Convolutions of f32 on the CPU use this crate's
//! kernels. Functions without a section "Errors" fail only where candle does, for shapes or number types that do not fit.

mod activation;
mod conv;
mod image_transform;
mod pixels;
mod spectral_norm;

pub use crate::ranks::sum_over_ranks;
pub use activation::{leaky_relu, relu, sigmoid, slopes, softplus};
pub use conv::{conv_transpose2d, conv2d, grouped_conv2d};
pub use image_transform::{ImageLayout, ImageTransform, transform_images};
pub use pixels::{avg_pool2d, global_avg_pool2d, global_max_pool2d, upsample_nearest2d, zero_pad2d};
pub use spectral_norm::{SpectralNorm, spectrally_normalized};

use candle_core::{Result, Tensor, bail};

/// Returns x·wᵀ + bias: x `[N, I]`, w `[O, I]`, bias `[O]` -> `[N, O]`.
///
/// # Errors
/// If the shapes do not fit each other.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&w.t()?)?;
    match bias {
        Some(bias) => y.broadcast_add(bias),
        None => Ok(y),
    }
}

/// Sets each element to zero where `uniform` (numbers from U[0, 1), the shape of x) is below `rate`, and scales the others
/// by 1 / (1 − rate), so that the expected value stays the same (Srivastava et al. 2014).
///
/// # Errors
/// If `rate` is outside `[0, 1)` or the shapes differ.
pub fn dropout(x: &Tensor, uniform: &Tensor, rate: f64) -> Result<Tensor> {
    if !(0.0..1.0).contains(&rate) {
        bail!("a dropout rate must lie in [0, 1), got {rate}");
    }
    let threshold = Tensor::new(rate as f32, uniform.device())?.to_dtype(uniform.dtype())?;
    let kept = uniform.detach().broadcast_ge(&threshold)?.to_dtype(x.dtype())?;
    x * kept.affine(1.0 / (1.0 - rate), 0.0)?
}
