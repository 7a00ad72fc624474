//! Sliced Wasserstein distance: the distance between two sets along random directions, where it is that of sorted numbers.
//!
//! √(mean over directions θ of ∫₀¹ (F⁻¹(t) − G⁻¹(t))² dt), F and G the distributions of θ·x and θ·y (Bonneel et al., "Sliced and Radon
//! Wasserstein Barycenters of Measures", 2015). In the features' units.

use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use gan_core::Rng;
use rayon::prelude::*;

/// The distance along `directions` random directions.
///
/// # Errors
/// [`Error::TooFew`] without samples, [`Error::Mismatch`] where widths differ.
pub fn distance(real: &Features, generated: &Features, directions: usize, rng: &mut Rng) -> Result<f64> {
    let dim = real.dim();
    let drawn: Vec<Vec<f64>> = (0..directions).map(|_| direction(dim, rng)).collect();
    along(real, generated, &drawn)
}

/// A random direction: a vector of length 1.
fn direction(dim: usize, rng: &mut Rng) -> Vec<f64> {
    let drawn: Vec<f64> = (0..dim).map(|_| f64::from(rng.normal())).collect();
    let length = drawn.iter().map(|x| x * x).sum::<f64>().sqrt();
    drawn.iter().map(|x| x / length).collect()
}

/// The distance along the given directions `[K][D]` of length 1.
///
/// # Errors
/// As [`distance`].
pub fn along(real: &Features, generated: &Features, directions: &[Vec<f64>]) -> Result<f64> {
    same_width(real, generated)?;
    for (what, set) in [("real", real), ("generated", generated)] {
        if set.is_empty() {
            let advice = "give some";
            return Err(Error::TooFew { metric: "sliced Wasserstein distance", what, found: 0, needed: 1, advice });
        }
        set.check_finite(what)?;
    }
    let squares: Vec<f64> =
        directions.par_iter().map(|d| squared(&projected(real, d), &projected(generated, d))).collect();
    Ok((squares.iter().sum::<f64>() / directions.len() as f64).sqrt())
}

/// The samples' places along a direction, sorted.
fn projected(set: &Features, direction: &[f64]) -> Vec<f64> {
    let dot = |row: &[f32]| row.iter().zip(direction).map(|(x, d)| f64::from(*x) * d).sum::<f64>();
    let mut places: Vec<f64> = set.rows().map(dot).collect();
    places.sort_by(f64::total_cmp);
    places
}

/// ∫ (F⁻¹ − G⁻¹)² over the quantiles of two sorted lists, which may differ in length.
fn squared(a: &[f64], b: &[f64]) -> f64 {
    let (mut i, mut j, mut at, mut sum) = (0, 0, 0.0, 0.0);
    while i < a.len() && j < b.len() {
        let ends = [(i + 1) as f64 / a.len() as f64, (j + 1) as f64 / b.len() as f64];
        let to = ends[0].min(ends[1]);
        sum += (to - at) * (a[i] - b[j]).powi(2);
        at = to;
        // Integers decide, so that rounding never skips a sample.
        let (left, right) = ((i + 1) * b.len(), (j + 1) * a.len());
        i += usize::from(left <= right);
        j += usize::from(right <= left);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_numbers_are_compared_by_quantile() {
        assert!((squared(&[0.0, 1.0, 2.0], &[1.0, 2.0, 3.0]) - 1.0).abs() < 1e-12);
        // Each of two against two of four.
        let expected = (0.0 + 1.0 + 0.0 + 1.0) / 4.0;
        assert!((squared(&[0.0, 4.0], &[0.0, 1.0, 4.0, 5.0]) - expected).abs() < 1e-12);
        // Thirds against halves: [0, 1/3), [1/3, 1/2), [1/2, 2/3), [2/3, 1).
        let expected = 1.0 / 3.0 + 4.0 / 6.0 + 0.0 + 1.0 / 3.0;
        assert!((squared(&[0.0, 1.0, 2.0], &[-1.0, 1.0]) - expected).abs() < 1e-12);
    }

    #[test]
    fn a_shift_costs_its_part_along_the_directions() {
        let real = Features::new((0..60).map(|i| ((i * 37) % 19) as f32 * 0.3).collect(), 3).unwrap();
        let shifted = Features::new(real.rows().flat_map(|r| [r[0] + 2.0, r[1], r[2]]).collect(), 3).unwrap();
        let mut rng = Rng::new(3);
        let directions: Vec<Vec<f64>> = (0..200).map(|_| direction(3, &mut rng)).collect();
        let expected = (directions.iter().map(|d| (2.0 * d[0]).powi(2)).sum::<f64>() / 200.0).sqrt();
        assert!((along(&real, &shifted, &directions).unwrap() - expected).abs() < 1e-5);
        assert_eq!(distance(&real, &real, 50, &mut rng).unwrap(), 0.0);
        assert!(distance(&real, &Features::empty(3), 5, &mut rng).unwrap_err().to_string().contains("generated"));
    }
}
