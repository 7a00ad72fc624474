//! Pooling: the maximum or the mean over windows or whole images.

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
