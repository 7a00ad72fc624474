//! Dropout (Srivastava et al. 2014), with random numbers from the caller so that a seed determines them.

use candle_core::{Result, Tensor, bail};

/// Sets each element to zero where `uniform` (numbers from U[0, 1), the shape of x) is below `rate`, and scales the others
/// by 1 / (1 − rate), so that the expected value stays the same.
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
