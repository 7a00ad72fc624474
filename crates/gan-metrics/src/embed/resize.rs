//! Images at another size, each axis a product with a matrix of weights, in floating point.

use candle_core::{Device, Result, Tensor};

/// How an output pixel is made from the input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A triangle around the output pixel's centre, widened by the scale where the image shrinks: Pillow's bilinear.
    Triangle,
    /// TensorFlow 1's bilinear, with which the published FID numbers were made: pixel i looks at position i·from/to, not at its
    /// centre, and nothing is widened (Parmar et al. 2022, arXiv:2104.11222, show what the choice does to FID).
    #[allow(dead_code, reason = "networks in their published FID form need it; the tests check it")]
    TensorFlow1,
}

impl Filter {
    /// The weights `[to, from]` that make `to` pixels from `from`; every row sums to 1.
    fn weights(self, from: usize, to: usize) -> Vec<f32> {
        let scale = from as f64 / to as f64;
        let rows = (0..to).flat_map(|output| match self {
            Self::Triangle => triangle(from, (output as f64 + 0.5) * scale, scale.max(1.0)),
            // Positions in single precision, as TensorFlow and its ports take them.
            Self::TensorFlow1 => between(from, output as f32 * (from as f32 / to as f32)),
        });
        rows.map(|weight| weight as f32).collect()
    }

    /// The first of the pixels that make one output, and the weights of these.
    fn stretch(self, from: usize, to: usize, output: usize) -> (usize, Vec<f32>) {
        let scale = from as f64 / to as f64;
        let centre = (output as f64 + 0.5) * scale;
        let reach = scale.max(1.0) + 1.0;
        let position = output as f32 * (from as f32 / to as f32);
        let (start, end) = match self {
            Self::Triangle => ((centre - reach).max(0.0) as usize, (centre + reach) as usize),
            Self::TensorFlow1 => (position as usize, position as usize + 2),
        };
        let start = start.min(from - 1);
        let end = end.clamp(start + 1, from);
        let weights = match self {
            Self::Triangle => triangle(end - start, centre - start as f64, scale.max(1.0)),
            Self::TensorFlow1 => between(end - start, position - start as f32),
        };
        (start, weights.into_iter().map(|weight| weight as f32).collect())
    }
}

/// A triangle of half-width `stretch` around `centre`, cut off at the edges.
fn triangle(from: usize, centre: f64, stretch: f64) -> Vec<f64> {
    let weights = (0..from).map(|input| (1.0 - ((input as f64 + 0.5 - centre) / stretch).abs()).max(0.0));
    let weights: Vec<f64> = weights.collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// The two pixels around `position`, by their distances; the last one alone beyond it.
fn between(from: usize, position: f32) -> Vec<f64> {
    let (below, share) = (position.floor() as usize, f64::from(position.fract()));
    let mut weights = vec![0.0; from];
    weights[below.min(from - 1)] += 1.0 - share;
    weights[(below + 1).min(from - 1)] += share;
    weights
}

/// images `[N, C, H, W]` -> `[N, C, size…]`, with `size` = `[H', W']`; the same numbers where that is their size.
///
/// # Errors
/// From candle.
pub fn resize(images: &Tensor, size: [usize; 2], filter: Filter) -> Result<Tensor> {
    let (n, c, h, w) = images.dims4()?;
    if [h, w] == size {
        return Ok(images.clone());
    }
    if h.max(w) > LONG {
        return resize_long(images, size, filter);
    }
    let matrix = |from, to, device: &Device| Tensor::from_vec(filter.weights(from, to), (to, from), device);
    let across = matrix(w, size[1], images.device())?.t()?;
    let down = matrix(h, size[0], images.device())?;
    let rows = images.contiguous()?.reshape((n * c * h, w))?.matmul(&across)?;
    let columns = rows.reshape((n * c, h, size[1]))?;
    let down = down.broadcast_left(n * c)?.contiguous()?;
    down.matmul(&columns)?.reshape((n, c, size[0], size[1]))
}

/// Sides up to this many pixels are resized by one product with a matrix, which has a row of weights as long as the side.
const LONG: usize = 8192;

/// The same for images with a long side, which memory must not grow with the square of: that side first, an output at a time from the
/// stretch of pixels that it is made of.
fn resize_long(images: &Tensor, size: [usize; 2], filter: Filter) -> Result<Tensor> {
    let (n, c, h, w) = images.dims4()?;
    let images = images.contiguous()?.reshape((n * c, h, w))?;
    let both = match h >= w {
        true => stretch_by_stretch(&stretch_by_stretch(&images, 1, size[0], filter)?, 2, size[1], filter)?,
        false => stretch_by_stretch(&stretch_by_stretch(&images, 2, size[1], filter)?, 1, size[0], filter)?,
    };
    both.reshape((n, c, size[0], size[1]))
}

/// `[M, H, W]` with `axis` of `to` pixels.
fn stretch_by_stretch(images: &Tensor, axis: usize, to: usize, filter: Filter) -> Result<Tensor> {
    let from = images.dim(axis)?;
    let outputs = (0..to).map(|output| {
        let (start, weights) = filter.stretch(from, to, output);
        let len = weights.len();
        let shape = if axis == 1 { (1, len, 1) } else { (1, 1, len) };
        let weights = Tensor::from_vec(weights, shape, images.device())?;
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
