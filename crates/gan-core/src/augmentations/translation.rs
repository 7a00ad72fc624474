//! Translation: shifts images by whole pixels, with zeros shifted in.

use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) fn apply(part: f64, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let matrices = |side: usize, rng: &mut Rng| {
        let most = ((side as f64 * part + 0.5) as usize).min(side);
        Tensor::from_vec(shifts(n, side, most, rng), (n, side, side), x.device())
    };
    let down = matrices(h, rng)?;
    let across = matrices(w, rng)?.transpose(1, 2)?.contiguous()?;
    let x = x.reshape((n, c * h, w))?.matmul(&across)?.reshape((n, c, h, w))?;
    let x = x.transpose(1, 2)?.contiguous()?.reshape((n, h, c * w))?;
    down.matmul(&x)?.reshape((n, h, c, w))?.transpose(1, 2)?.contiguous()
}

/// Returns `[N, side, side]` matrices that each shift rows by a random distance of up to `most`: out[i] = in[i − shift].
fn shifts(n: usize, side: usize, most: usize, rng: &mut Rng) -> Vec<f32> {
    let mut all = vec![0.0; n * side * side];
    for one in all.chunks_exact_mut(side * side) {
        let shift = rng.below(2 * most + 1) as i64 - most as i64;
        for out in 0..side {
            if let Some(from) = usize::try_from(out as i64 - shift).ok().filter(|from| *from < side) {
                one[out * side + from] = 1.0;
            }
        }
    }
    all
}
