//! Pooling: the largest or the mean value over windows or whole images.

use candle_core::{Result, Tensor, bail};

/// The largest value of each channel: `[N, C, H, W]` -> `[N, C]`.
///
/// Where several pixels share the largest value they share its gradient evenly, as in PyTorch and TensorFlow. On MNIST
/// that is common: every window that sees only background yields the same number.
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

/// The mean of each channel: `[N, C, H, W]` -> `[N, C]`.
///
/// # Errors
/// If x is not `[N, C, H, W]` or has no pixels.
pub fn global_avg_pool2d(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    x.reshape((n, c, h * w))?.mean(2)
}

/// The mean over windows of `window` = `[kh, kw]` that touch but do not overlap: `[N, C, H, W]` -> `[N, C, ⌊H/kh⌋, ⌊W/kw⌋]`.
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

/// What share of its row's gradient each entry gets: 1/ties where it equals the row's largest, else 0.
fn shares(x: &Tensor, largest: &Tensor) -> Result<Tensor> {
    let mask = x.broadcast_eq(&largest.unsqueeze(2)?)?.to_dtype(x.dtype())?;
    mask.broadcast_div(&mask.sum_keepdim(2)?)
}
