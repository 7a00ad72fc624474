//! Resizing of images without weights: nearest-neighbor upsampling and zero padding.

use crate::problem::product;
use crate::spec::Padding;
use candle_core::{Result, Tensor, bail};

/// Repeats every pixel `scale` = `[down, across]` times: `[N, C, H, W]` -> `[N, C, H·down, W·across]`.
///
/// It uses a broadcast, whose gradient adds up; candle's own upsampling overwrites what other consumers contributed.
///
/// # Errors
/// If a scale is 0 or the result exceeds any memory.
pub fn upsample_nearest2d(x: &Tensor, scale: [usize; 2]) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let [down, across] = scale;
    if down == 0 || across == 0 {
        bail!("an upsampling factor must be at least 1, got {scale:?}");
    }
    check_size(&[n, c, h, down, w, across])?;
    let spread = x.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, down, w, across))?;
    spread.contiguous()?.reshape((n, c, h * down, w * across))
}

/// Fails if a tensor with these sides exceeds any memory.
fn check_size(sides: &[usize]) -> Result<()> {
    match product(sides) {
        size if size > isize::MAX as usize / 8 => bail!("an image of sides {sides:?} is beyond any memory"),
        _ => Ok(()),
    }
}

/// Pads each image with rows and columns of zeros: `[N, C, H, W]` -> `[N, C, top + H + bottom, left + W + right]`.
///
/// # Errors
/// If x is not `[N, C, H, W]` or the result exceeds any memory.
pub fn zero_pad2d(x: &Tensor, padding: Padding) -> Result<Tensor> {
    let Padding { top, bottom, left, right } = padding;
    let (n, c, h, w) = x.dims4()?;
    let [tall, wide] = padding.total();
    check_size(&[n, c, h.saturating_add(tall), w.saturating_add(wide)])?;
    let tall = if top + bottom == 0 { x.clone() } else { x.pad_with_zeros(2, top, bottom)? };
    if left + right == 0 { Ok(tall) } else { tall.pad_with_zeros(3, left, right) }
}
