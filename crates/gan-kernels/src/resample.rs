//! Changing an image's size without weights: nearest-neighbour upsampling and zero padding.

use crate::conv::Padding;
use candle_core::{Result, Tensor, bail};

/// Every pixel repeated `scale` = `[down, across]` times: `[N, C, H, W]` -> `[N, C, H·down, W·across]`.
///
/// Made of a broadcast, whose gradient adds up; candle's own upsampling overwrites what other consumers contributed.
///
/// # Errors
/// If a scale is 0.
pub fn upsample_nearest2d(x: &Tensor, scale: [usize; 2]) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let [down, across] = scale;
    if down == 0 || across == 0 {
        bail!("an upsampling factor must be at least 1, got {scale:?}");
    }
    let spread = x.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, down, w, across))?;
    spread.contiguous()?.reshape((n, c, h * down, w * across))
}

/// Rows and columns of zeros around each image: `[N, C, H, W]` -> `[N, C, top + H + bottom, left + W + right]`.
///
/// # Errors
/// If x is not `[N, C, H, W]`.
pub fn zero_pad2d(x: &Tensor, padding: Padding) -> Result<Tensor> {
    let Padding { top, bottom, left, right } = padding;
    let tall = if top + bottom == 0 { x.clone() } else { x.pad_with_zeros(2, top, bottom)? };
    if left + right == 0 { Ok(tall) } else { tall.pad_with_zeros(3, left, right) }
}
