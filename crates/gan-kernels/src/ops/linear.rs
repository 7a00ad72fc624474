//! The dense layer.

use candle_core::{Result, Tensor};

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
