//! Structural similarity of two images (Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity").

use candle_core::{Result, Tensor};

/// Standard deviation and radius of the window, in pixels.
const SIGMA: f64 = 1.5;
const RADIUS: usize = 5;
/// The paper's K₁ and K₂ times the width of the range of pixels, −1 to 1, squared.
const C1: f64 = (0.01 * 2.0) * (0.01 * 2.0);
const C2: f64 = (0.03 * 2.0) * (0.03 * 2.0);

/// Returns the structural similarity of images `[C, H, W]` in [−1, 1], averaged over pixels and channels: 1 for equal images, near 0 for
/// unrelated ones. Windows at the edges are cut off.
pub fn ssim(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (channels, height, width) = a.dims3()?;
    let values = |image: &Tensor| -> Result<Vec<f64>> {
        Ok(image.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
    };
    let a = values(a)?;
    let b = values(b)?;
    let size = height * width;
    let mut sum = 0.0;
    for (a, b) in a.chunks_exact(size).zip(b.chunks_exact(size)) {
        let local = |f: &dyn Fn(f64, f64) -> f64| {
            let plane: Vec<f64> = a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect();
            blurred(&blurred(&plane, width), height)
        };
        let [mean_a, mean_b] = [local(&|a, _| a), local(&|_, b| b)];
        let [square_a, square_b, product] = [local(&|a, _| a * a), local(&|_, b| b * b), local(&|a, b| a * b)];
        for at in 0..size {
            let x = mean_a[at];
            let y = mean_b[at];
            let [variance_a, variance_b, covariance] =
                [square_a[at] - x * x, square_b[at] - y * y, product[at] - x * y];
            let brightness = (2.0 * x * y + C1) / (x * x + y * y + C1);
            sum += brightness * (2.0 * covariance + C2) / (variance_a + variance_b + C2);
        }
    }
    Ok(sum / (channels * size) as f64)
}

/// Returns the plane with its rows of `width` blurred, and transposed.
fn blurred(plane: &[f64], width: usize) -> Vec<f64> {
    let height = plane.len() / width;
    let mut out = vec![0.0; plane.len()];
    for (y, row) in plane.chunks_exact(width).enumerate() {
        for x in 0..width {
            let window = x.saturating_sub(RADIUS)..(x + RADIUS + 1).min(width);
            let weight = |at: usize| (-(at.abs_diff(x) as f64 / SIGMA).powi(2) / 2.0).exp();
            let total: f64 = window.clone().map(weight).sum();
            out[x * height + y] = window.map(|at| weight(at) * row[at]).sum::<f64>() / total;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use gan_base::Rng;
    use gan_core::RandomTensors;

    #[test]
    fn similarity_equals_the_formula_in_plain_loops() {
        let image = |seed| Rng::new(seed).uniform_tensor(-1.0, 1.0, (2, 9, 14), &Device::Cpu).unwrap();
        let (a, b) = (image(1), image(2));
        assert!((ssim(&a, &a).unwrap() - 1.0).abs() < 1e-12);
        let near = ((&a * 0.9).unwrap() + (&b * 0.1).unwrap()).unwrap();
        assert!(ssim(&near, &a).unwrap() > 0.9 && ssim(&b, &a).unwrap().abs() < 0.3);
        let [planes_a, planes_b]: [Vec<Vec<Vec<f32>>>; 2] = [&a, &near].map(|image| image.to_vec3().unwrap());
        let mut sum = 0.0;
        for planes in planes_a.iter().zip(&planes_b) {
            for (y, x) in (0..9i32).flat_map(|y| (0..14i32).map(move |x| (y, x))) {
                let mut moments = [0.0; 6];
                for (v, u) in (y - 5..=y + 5).flat_map(|v| (x - 5..=x + 5).map(move |u| (v, u))) {
                    if !(0..9).contains(&v) || !(0..14).contains(&u) {
                        continue;
                    }
                    let weight = (-f64::from((v - y).pow(2) + (u - x).pow(2)) / 4.5).exp();
                    let [p, q] = [planes.0, planes.1].map(|plane| f64::from(plane[v as usize][u as usize]));
                    for (moment, value) in moments.iter_mut().zip([1.0, p, q, p * p, q * q, p * q]) {
                        *moment += weight * value;
                    }
                }
                let [n, p, q, pp, qq, pq] = moments;
                let [p, q, pp, qq, pq] = [p, q, pp, qq, pq].map(|moment| moment / n);
                sum += (2.0 * p * q + 4e-4) * (2.0 * (pq - p * q) + 36e-4)
                    / ((p * p + q * q + 4e-4) * (pp - p * p + qq - q * q + 36e-4));
            }
        }
        assert!((sum / 252.0 - ssim(&a, &near).unwrap()).abs() < 1e-9);
    }
}
