//! Random changes of what D sees, real and generated alike, through which G still learns: DiffAugment (Zhao et al. 2020,
//! arXiv:2006.10738). They let a D with little data go on learning instead of remembering.

use crate::random::RandomTensors;
use candle_core::{Result, Tensor};
use gan_base::Rng;
use serde::{Deserialize, Serialize};

/// Which changes, in the order in which they are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Another brightness (± 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5 times) for each image.
    pub color: bool,
    /// Images are moved by up to this part of their sides, zeros come in; 0 is not at all. The paper takes 0.125.
    pub translation: f64,
    /// A square with this part of each side is set to zero; 0 is none. The paper takes 0.5.
    pub cutout: f64,
}

impl Augment {
    /// Whether it changes nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// x `[N, C, H, W]` -> `[N, C, H, W]`, each image changed in its own way. Differentiable by x.
    ///
    /// # Errors
    /// If x are no images.
    pub fn apply(&self, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        let mut x = x.clone();
        if self.color {
            x = colored(&x, rng)?;
        }
        if self.translation > 0.0 {
            x = moved(&x, self.translation, rng)?;
        }
        if self.cutout > 0.0 {
            x = cut(&x, self.cutout, rng)?;
        }
        Ok(x)
    }
}

/// One number a sample, as wide as `[N, 1, 1, 1]`.
fn each(n: usize, low: f32, high: f32, x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    rng.uniform_tensor(low, high, (n, 1, 1, 1), x.device())
}

fn colored(x: &Tensor, rng: &mut Rng) -> Result<Tensor> {
    let n = x.dims4()?.0;
    let x = x.broadcast_add(&each(n, -0.5, 0.5, x, rng)?)?;
    let around = |x: &Tensor, mean: Tensor, factor: Tensor| -> Result<Tensor> {
        x.broadcast_sub(&mean)?.broadcast_mul(&factor)?.broadcast_add(&mean)
    };
    let x = around(&x, x.mean_keepdim(1)?, each(n, 0.0, 2.0, &x, rng)?)?;
    around(&x, x.mean_keepdim((1, 2, 3))?, each(n, 0.5, 1.5, &x, rng)?)
}

/// `[N, side, side]` matrices that move rows by up to `most` places, each its own way: out[i] = in[i − shift].
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

fn moved(x: &Tensor, part: f64, rng: &mut Rng) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    let matrices = |side: usize, rng: &mut Rng| {
        let most = ((side as f64 * part + 0.5) as usize).min(side);
        Tensor::from_vec(shifts(n, side, most, rng), (n, side, side), x.device())
    };
    let (down, across) = (matrices(h, rng)?, matrices(w, rng)?.transpose(1, 2)?.contiguous()?);
    let x = x.reshape((n, c * h, w))?.matmul(&across)?.reshape((n, c, h, w))?;
    let x = x.transpose(1, 2)?.contiguous()?.reshape((n, h, c * w))?;
    down.matmul(&x)?.reshape((n, h, c, w))?.transpose(1, 2)?.contiguous()
}

fn cut(x: &Tensor, part: f64, rng: &mut Rng) -> Result<Tensor> {
    let (n, _, h, w) = x.dims4()?;
    let sizes = [h, w].map(|side| (side as f64 * part + 0.5) as usize);
    let mut mask = vec![1.0f32; n * h * w];
    for one in mask.chunks_exact_mut(h * w) {
        // The square's middle may lie anywhere, so that it may stick out.
        let [top, left] =
            [(h, sizes[0]), (w, sizes[1])].map(|(side, size)| rng.below(side + 1) as i64 - (size / 2) as i64);
        let inside = |at: usize, from: i64, size: usize| (from..from + size as i64).contains(&(at as i64));
        for (_, row) in one.chunks_exact_mut(w).enumerate().filter(|(y, _)| inside(*y, top, sizes[0])) {
            row.iter_mut().enumerate().filter(|(x, _)| inside(*x, left, sizes[1])).for_each(|(_, m)| *m = 0.0);
        }
    }
    x.broadcast_mul(&Tensor::from_vec(mask, (n, 1, h, w), x.device())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use gan_kernels::testing::test_device;

    fn values(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn images_move_as_a_whole_and_zeros_come_in() -> Result<()> {
        let x = Tensor::arange(1f32, 33.0, test_device())?.reshape((1, 2, 4, 4))?;
        let augment = Augment { translation: 0.25, ..Augment::default() };
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..40 {
            let y = values(&augment.apply(&x, &mut Rng::new(seed))?);
            let at = |c: i64, i: i64, j: i64| {
                let inside = (0..4).contains(&i) && (0..4).contains(&j);
                if inside { (1 + c * 16 + i * 4 + j) as f32 } else { 0.0 }
            };
            let shifted =
                |dy: i64, dx: i64| -> Vec<f32> { (0..32).map(|k| at(k / 16, k % 16 / 4 - dy, k % 4 - dx)).collect() };
            let found =
                (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))).find(|(dy, dx)| shifted(*dy, *dx) == y);
            seen.insert(found.expect("a shift by at most one pixel"));
        }
        assert_eq!(seen.len(), 9);
        Ok(())
    }

    #[test]
    fn a_square_is_cut_out_of_all_channels() -> Result<()> {
        let x = Tensor::ones((50, 3, 8, 8), candle_core::DType::F32, test_device())?;
        let y = Augment { cutout: 0.5, ..Augment::default() }.apply(&x, &mut Rng::new(1))?;
        let left = values(&y.sum((1, 2, 3))?);
        // From a quarter of the square (its middle in a corner) to all of it.
        assert!(left.iter().all(|l| (144.0..=180.0).contains(l) && l % 3.0 == 0.0), "{left:?}");
        assert!(left.contains(&144.0));
        Ok(())
    }

    #[test]
    fn colours_change_within_their_ranges() -> Result<()> {
        let x = Tensor::new(&[0.5f32, -0.5, 0.1, 0.3, 0.2, -0.1], test_device())?.reshape((1, 3, 1, 2))?;
        let y = Augment { color: true, ..Augment::default() }.apply(&x, &mut Rng::new(3))?;
        // Saturation keeps each pixel's mean over channels, contrast the image's mean: what is left is brightness.
        let brightness = f64::from((y.mean_all()? - x.mean_all()?)?.to_scalar::<f32>()?);
        assert!(brightness != 0.0 && brightness.abs() <= 0.5);
        let deviation = |t: &Tensor| -> Result<Vec<f32>> {
            let grey = t.mean_keepdim(1)?;
            Ok(values(&t.broadcast_sub(&grey)?))
        };
        let (a, b) = (deviation(&x)?, deviation(&y)?);
        let factor = b[0] / a[0];
        assert!((0.0..=3.0).contains(&factor) && a.iter().zip(&b).all(|(a, b)| (a * factor - b).abs() < 1e-5));
        Ok(())
    }

    #[test]
    fn gradients_reach_the_images() -> Result<()> {
        let all = Augment { color: true, translation: 0.2, cutout: 0.3 };
        let x = Rng::new(5).normal_tensor(0.0, 1.0, (2, 1, 6, 6), test_device())?;
        let weights = Rng::new(6).normal_tensor(0.0, 1.0, (2, 1, 6, 6), test_device())?;
        let loss = |x: &Tensor| (all.apply(x, &mut Rng::new(7))? * &weights)?.sum_all();
        let var = Var::from_tensor(&x)?;
        let grads = loss(var.as_tensor())?.backward()?;
        let gradient = values(grads.get(&var).unwrap());
        // The changes are linear, so one finite difference is exact but for rounding.
        for i in [0, 7, 20, 50, 71] {
            let mut other = values(&x);
            other[i] += 0.5;
            let difference =
                (loss(&Tensor::from_vec(other, x.shape(), test_device())?)? - loss(&x)?)?.to_scalar::<f32>()?;
            assert!((difference * 2.0 - gradient[i]).abs() < 1e-3, "{i}: {} {}", difference * 2.0, gradient[i]);
        }
        Ok(())
    }
}
