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
    let matrix = |from, to, device: &Device| Tensor::from_vec(filter.weights(from, to), (to, from), device);
    let across = matrix(w, size[1], images.device())?.t()?;
    let down = matrix(h, size[0], images.device())?;
    let rows = images.contiguous()?.reshape((n * c * h, w))?.matmul(&across)?;
    let columns = rows.reshape((n * c, h, size[1]))?;
    let down = down.broadcast_left(n * c)?.contiguous()?;
    down.matmul(&columns)?.reshape((n, c, size[0], size[1]))
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
}
