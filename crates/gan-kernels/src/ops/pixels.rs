//! Maps of pixels without weights: pooling, nearest-neighbor upsampling and zero padding.

use crate::spec::{Padding, product};
use candle_core::{Result, Tensor, bail};

/// Returns the maximum of each channel: `[N, C, H, W]` -> `[N, C]`.
///
/// Pixels that share the maximum share its gradient evenly, as in PyTorch and TensorFlow. This is common on MNIST:
/// every window that only sees background yields the same number.
///
/// # Errors
/// If x is not `[N, C, H, W]` or has no pixels.
pub fn global_max_pool2d(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    if h * w == 0 {
        bail!("global max pooling needs at least one pixel, got {:?}", x.dims());
    }
    let flat = x.reshape((n, c, h * w))?;
    let largest = flat.detach().max(2)?;
    // A sum of zero, whose gradient is the shared one.
    let shared = flat.mul(&shares(&flat.detach(), &largest)?)?.sum(2)?;
    largest + (&shared - shared.detach())?
}

/// Returns the mean of each channel: `[N, C, H, W]` -> `[N, C]`.
///
/// # Errors
/// If x is not `[N, C, H, W]` or has no pixels.
pub fn global_avg_pool2d(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    x.reshape((n, c, h * w))?.mean(2)
}

/// Returns the mean over adjacent windows of `window` = `[kh, kw]`: `[N, C, H, W]` -> `[N, C, ⌊H/kh⌋, ⌊W/kw⌋]`.
///
/// # Errors
/// If a window side is 0 or larger than the image.
pub fn avg_pool2d(x: &Tensor, window: [usize; 2]) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let [kh, kw] = window;
    if kh == 0 || kw == 0 || kh > h || kw > w {
        bail!("a pooling window of {kh}×{kw} does not fit into an image of {h}×{w}");
    }
    let whole = x.narrow(2, 0, h / kh * kh)?.narrow(3, 0, w / kw * kw)?;
    whole.contiguous()?.reshape((n, c, h / kh, kh, w / kw, kw))?.mean(5)?.mean(3)
}

/// Returns each entry's share of its row's gradient: 1/ties if it equals the row's maximum, else 0.
fn shares(x: &Tensor, largest: &Tensor) -> Result<Tensor> {
    let mask = x.broadcast_eq(&largest.unsqueeze(2)?)?.to_dtype(x.dtype())?;
    mask.broadcast_div(&mask.sum_keepdim(2)?)
}

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
