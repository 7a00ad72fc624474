//! Resizing of images in floating point. (gan-data resizes bytes, with Pillow's rounding.)

use candle_core::{Device, Result, Tensor};

/// How an output pixel is computed from the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// A triangle around the output pixel's centre, widened by the scale if the image shrinks: Pillow's bilinear.
    Triangle,
    /// TensorFlow 1's bilinear, with which the published FID numbers were computed: pixel i is read at position i·from/to instead of its
    /// centre, and nothing is widened (Parmar et al. 2022, arXiv:2104.11222, show the effect of the choice on FID).
    TensorFlow1,
}

impl Filter {
    /// Returns the first of the pixels of which one output consists, and their weights, which add up to 1.
    fn taps(self, from: usize, to: usize, output: usize) -> (usize, Vec<f32>) {
        match self {
            Self::Triangle => {
                let scale = from as f64 / to as f64;
                let centre = (output as f64 + 0.5) * scale;
                let width = scale.max(1.0);
                let start = ((centre - width - 1.0).max(0.0) as usize).min(from - 1);
                let end = ((centre + width + 1.0) as usize).clamp(start + 1, from);
                let weight = |input: usize| (1.0 - ((input as f64 + 0.5 - centre) / width).abs()).max(0.0);
                let weights: Vec<f64> = (start..end).map(weight).collect();
                let sum: f64 = weights.iter().sum();
                (start, weights.into_iter().map(|weight| (weight / sum) as f32).collect())
            }
            Self::TensorFlow1 => {
                // Positions in single precision, as in TensorFlow and its ports.
                let position = output as f32 * (from as f32 / to as f32);
                let below = position.floor() as usize;
                let share = f64::from(position.fract());
                if below + 1 < from { (below, vec![(1.0 - share) as f32, share as f32]) } else { (from - 1, vec![1.0]) }
            }
        }
    }

    /// Returns the weights `[to, from]`.
    fn matrix(self, from: usize, to: usize) -> Result<Tensor> {
        let mut matrix = vec![0.0; to * from];
        for (output, row) in matrix.chunks_exact_mut(from).enumerate() {
            let (start, weights) = self.taps(from, to, output);
            row[start..][..weights.len()].copy_from_slice(&weights);
        }
        Tensor::from_vec(matrix, (to, from), &Device::Cpu)
    }
}

/// Resizes images `[N, C, H, W]` on the CPU to `size` = `[H', W']`; images of that size do not change.
pub(super) fn resize(images: &Tensor, size: [usize; 2], filter: Filter) -> Result<Tensor> {
    let (n, c, h, w) = images.dims4()?;
    if [h, w] == size {
        return Ok(images.clone());
    }
    if h.max(w) > LONG {
        return resize_long(images, size, filter);
    }
    let across = filter.matrix(w, size[1])?.t()?;
    let down = filter.matrix(h, size[0])?.broadcast_left(n * c)?.contiguous()?;
    let rows = images.contiguous()?.reshape((n * c * h, w))?.matmul(&across)?;
    down.matmul(&rows.reshape((n * c, h, size[1]))?)?.reshape((n, c, size[0], size[1]))
}

/// Maximum side that is resized by one product with a matrix, whose rows are as long as the side.
const LONG: usize = 8192;

/// Resizes images with a long side, for which a matrix would take too much memory: that side first, one output at a time.
fn resize_long(images: &Tensor, size: [usize; 2], filter: Filter) -> Result<Tensor> {
    let (n, c, h, w) = images.dims4()?;
    let mut resized = images.contiguous()?.reshape((n * c, h, w))?;
    for axis in if h >= w { [1, 2] } else { [2, 1] } {
        resized = resize_axis(&resized, axis, size[axis - 1], filter)?;
    }
    resized.reshape((n, c, size[0], size[1]))
}

/// Resizes one axis of `[M, H, W]`.
fn resize_axis(images: &Tensor, axis: usize, to: usize, filter: Filter) -> Result<Tensor> {
    let from = images.dim(axis)?;
    let outputs = (0..to).map(|output| {
        let (start, weights) = filter.taps(from, to, output);
        let len = weights.len();
        let shape = if axis == 1 { (1, len, 1) } else { (1, 1, len) };
        let weights = Tensor::from_vec(weights, shape, &Device::Cpu)?;
        images.narrow(axis, start, len)?.broadcast_mul(&weights)?.sum_keepdim(axis)
    });
    Tensor::cat(&outputs.collect::<Result<Vec<_>>>()?, axis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f32], to: usize, filter: Filter) -> Vec<f32> {
        let image = Tensor::from_slice(values, (1, 1, 1, values.len()), &Device::Cpu).unwrap();
        resize(&image, [1, to], filter).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn close(a: &[f32], b: &[f32]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} against {b:?}");
    }

    #[test]
    fn tensorflow_looks_at_the_pixels_corner() {
        close(&row(&[0.0, 1.0, 4.0], 6, Filter::TensorFlow1), &[0.0, 0.5, 1.0, 2.5, 4.0, 4.0]);
        // Nothing is widened: every other pixel is left out.
        close(&row(&[1.0, 9.0, 3.0, 9.0], 2, Filter::TensorFlow1), &[1.0, 3.0]);
    }

    #[test]
    fn the_triangle_looks_at_the_pixels_centre_and_widens() {
        close(&row(&[0.0, 1.0], 4, Filter::Triangle), &[0.0, 0.25, 0.75, 1.0]);
        // Weights 3, 3, 1 of 7 at distances ½, ½, 1½ over a half-width of 2.
        close(&row(&[7.0, 0.0, 0.0, 0.0], 2, Filter::Triangle), &[3.0, 0.0]);
        close(&row(&[0.0, 0.0, 7.0, 0.0], 2, Filter::Triangle), &[1.0, 3.0]);
    }

    #[test]
    fn both_axes_and_all_channels_are_resized() {
        let values: Vec<f32> = (0..2 * 3 * 4 * 5).map(|i| i as f32).collect();
        let images = Tensor::from_vec(values, (2, 3, 4, 5), &Device::Cpu).unwrap();
        for filter in [Filter::Triangle, Filter::TensorFlow1] {
            let once = resize(&images, [7, 3], filter).unwrap();
            let turned = images.transpose(2, 3).unwrap();
            let other = resize(&turned, [3, 7], filter).unwrap().transpose(2, 3).unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (a, b) = (flat(&once), flat(&other.contiguous().unwrap()));
            assert_eq!(once.dims(), [2, 3, 7, 3]);
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{filter:?}");
        }
    }

    #[test]
    fn long_images_are_resized_as_short_ones_are() {
        let values: Vec<f32> = (0..2 * 3 * 40 * 9).map(|i| (i * 7919 % 251) as f32).collect();
        let images = Tensor::from_vec(values, (2, 3, 40, 9), &Device::Cpu).unwrap();
        for filter in [Filter::Triangle, Filter::TensorFlow1] {
            for size in [[7, 3], [50, 12], [40, 1], [1, 9]] {
                for images in [images.clone(), images.transpose(2, 3).unwrap().contiguous().unwrap()] {
                    let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                    let one = flat(resize(&images, size, filter).unwrap());
                    let other = flat(resize_long(&images, size, filter).unwrap());
                    assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-2), "{filter:?} {size:?}");
                }
            }
        }
        // A dense matrix of weights for this side would take 36 GB.
        let line = Tensor::ones((1, 1, 30_000_000, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let small = resize(&line, [299, 2], Filter::TensorFlow1).unwrap();
        assert_eq!(small.dims(), [1, 1, 299, 2]);
        assert!(small.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| (v - 1.0).abs() < 1e-6));
    }
}
