//! Cutout: sets a square of each image to zero.

use candle_core::{Result, Tensor};
use gan_base::Rng;

pub(super) fn apply(part: f64, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let (n, _, h, w) = x.dims4()?;
    let sizes = [h, w].map(|side| (side as f64 * part + 0.5) as usize);
    let mut mask = vec![1.0f32; n * h * w];
    for one in mask.chunks_exact_mut(h * w) {
        // The center of the square may lie anywhere, so the square may extend beyond the image.
        let [top, left] =
            [(h, sizes[0]), (w, sizes[1])].map(|(side, size)| rng.below(side + 1) as i64 - (size / 2) as i64);
        let inside = |at: usize, from: i64, size: usize| (from..from + size as i64).contains(&(at as i64));
        for (_, row) in one.chunks_exact_mut(w).enumerate().filter(|(y, _)| inside(*y, top, sizes[0])) {
            row.iter_mut().enumerate().filter(|(x, _)| inside(*x, left, sizes[1])).for_each(|(_, m)| *m = 0.0);
        }
    }
    x.broadcast_mul(&Tensor::from_vec(mask, (n, 1, h, w), x.device())?)
}
