//! Pooling: the largest or the mean value over windows or whole images.

use crate::storage::{Real, elements, with_real};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, backend::BackendStorage, bail};

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
    if x.device().is_cpu() {
        return flat.apply_op1(MaxOfRows);
    }
    // The product with a constant mask gives the same value and the shared gradient.
    flat.mul(&shares(&flat.detach(), &flat.detach().max(2)?)?)?.sum(2)
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

/// `[N, C, P]` -> `[N, C]`, the largest of each row.
struct MaxOfRows;

impl CustomOp1 for MaxOfRows {
    fn name(&self) -> &'static str {
        "global-max-pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, p) = l.shape().dims3()?;
        with_real!(x.dtype(), self.name(), T => {
            let x = elements::<T>(x, l)?;
            // A NaN stays one: `>` alone would drop it.
            let larger = |a: T, b: T| if b > a || b.wide().is_nan() { b } else { a };
            let y: Vec<T> = x.chunks_exact(p).map(|row| row.iter().copied().fold(row[0], larger)).collect();
            Ok((T::store(y), Shape::from((n, c))))
        })
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let shares = shares(&x.detach(), &y.detach())?;
        shares.broadcast_mul(&g.unsqueeze(2)?).map(Some)
    }
}
