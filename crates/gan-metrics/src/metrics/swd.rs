//! Sliced Wasserstein-2 distance: the mean over many lines of the distance between the projections (Bonneel et al., "Sliced and Radon
//! Wasserstein Barycenters of Measures", 2015).

use super::{Better, DataKind, Inputs, Measured, Metric};
use crate::error::{Error, Result};
use crate::features::{Features, check_sets};
use crate::linalg::product;
use faer::{Mat, MatRef};
use gan_base::Rng;
use rayon::prelude::*;

/// Number of lines that are projected on at once, which bounds the memory.
const LINES: usize = 64;

/// Returns √ of the mean of W₂² between the projections of the sets `[N, D]` and `[M, D]` on `lines` random lines, in the features' units: the
/// convention of POT's `sliced_wasserstein_distance`. Sets of different sizes are compared quantile by quantile.
///
/// # Errors
/// If a set is empty, there are no lines, widths differ or numbers are not finite.
pub fn distance(real: &Features, generated: &Features, lines: usize, rng: &mut Rng) -> Result<f64> {
    if lines == 0 {
        return Err(Error::mismatch("sliced Wasserstein distance", "0 lines", "at least 1", "take a hundred"));
    }
    along(real, generated, &directions(lines, real.dim(), rng))
}

/// Returns unit vectors `[L, D]`, row after row, distributed evenly over the sphere.
fn directions(count: usize, dim: usize, rng: &mut Rng) -> Vec<f64> {
    let mut values: Vec<f64> = (0..count * dim).map(|_| f64::from(rng.normal())).collect();
    for row in values.chunks_mut(dim.max(1)) {
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm.max(f64::MIN_POSITIVE));
    }
    values
}

/// Returns the distance along the unit vectors `directions` `[L, D]`.
pub(super) fn along(real: &Features, generated: &Features, directions: &[f64]) -> Result<f64> {
    Ok(mean_cost(real, generated, directions, |gap| gap * gap)?.sqrt())
}

/// Returns the mean of W₁ between the projections of the sets on `lines` random lines.
///
/// # Errors
/// As [`distance`].
pub(super) fn first_order(real: &Features, generated: &Features, lines: usize, rng: &mut Rng) -> Result<f64> {
    mean_cost(real, generated, &directions(lines, real.dim(), rng), f64::abs)
}

/// Returns the mean over the lines of the cost of moving one set's projections to the other's.
fn mean_cost(real: &Features, generated: &Features, directions: &[f64], cost: fn(f64) -> f64) -> Result<f64> {
    check_sets(real, generated, 1, "sliced Wasserstein distance", "thousands make it meaningful")?;
    let dim = real.dim();
    let costs = directions.chunks(LINES * dim).flat_map(|lines| {
        let [real, generated] = [real, generated].map(|set| project(set, lines));
        let lines: Vec<f64> =
            (0..real.ncols()).into_par_iter().map(|l| along_line(&real, &generated, l, cost)).collect();
        lines
    });
    Ok(costs.sum::<f64>() / (directions.len() / dim) as f64)
}

/// Returns the projections of `[N, D]` on lines `[L, D]`: `[N, L]`, each column sorted.
fn project(features: &Features, lines: &[f64]) -> Mat<f64> {
    let dim = features.dim();
    let x: Vec<f64> = features.values().iter().map(|x| f64::from(*x)).collect();
    let x = MatRef::from_row_major_slice(&x, features.len(), dim);
    let mut projections = product(x, MatRef::from_column_major_slice(lines, dim, lines.len() / dim));
    projections.par_col_iter_mut().for_each(|column| {
        let column = column.try_as_col_major_mut().expect("a new matrix is stored column by column");
        column.as_slice_mut().sort_unstable_by(f64::total_cmp);
    });
    projections
}

/// Returns ∫ cost(F⁻¹(q) − G⁻¹(q)) dq for two sorted columns, whose quantile functions are step functions.
fn along_line(real: &Mat<f64>, generated: &Mat<f64>, line: usize, cost: fn(f64) -> f64) -> f64 {
    let [n, m] = [real.nrows() as u64, generated.nrows() as u64];
    let [mut i, mut j, mut at] = [0; 3];
    let mut sum = 0.0;
    // q is in units of 1 / (n m), so that the edges of both functions are whole numbers.
    while i < n && j < m {
        let edge = ((i + 1) * m).min((j + 1) * n);
        let gap = real[(i as usize, line)] - generated[(j as usize, line)];
        sum += (edge - at) as f64 * cost(gap);
        (i, j, at) = (edge / m, edge / n, edge);
    }
    sum / (n * m) as f64
}

/// Number of lines for the metric.
const DIRECTIONS: usize = 128;

/// The sliced Wasserstein distance of features.
pub(super) static SLICED_WASSERSTEIN: Metric = Metric {
    in_evaluation: &[DataKind::Classes, DataKind::Images, DataKind::PointsAroundModes, DataKind::Points],
    ..Metric::new(
        "swd",
        "Sliced Wasserstein distance",
        Better::Lower,
        "Bonneel et al. 2015, Journal of Mathematical Imaging and Vision 51(1)",
        measure,
    )
};

fn measure(inputs: &Inputs<'_>) -> Result<Measured> {
    let (real, generated) = inputs.same_number();
    // The label of the stream is older than the metric's key, and determines the directions.
    Ok(distance(&real, &generated, DIRECTIONS, &mut inputs.rng("sliced"))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seed: u64, n: usize, dim: usize) -> Features {
        let mut rng = Rng::new(seed);
        Features::new((0..n * dim).map(|_| rng.normal()).collect(), dim).unwrap()
    }

    #[test]
    fn on_a_line_is_the_difference_of_quantiles() {
        let of = |a: &[f32], b: &[f32]| {
            let set = |values: &[f32]| Features::new(values.to_vec(), 1).unwrap();
            along(&set(a), &set(b), &[1.0]).unwrap()
        };
        assert_eq!(of(&[3.0, 1.0], &[0.0, 4.0]), 1.0);
        assert_eq!(of(&[1.0], &[0.0, 3.0]), (2.5_f64).sqrt());
        // Quantile by quantile, at steps of a sixth: 0 0 1 1 2 2 against 0 0 0 4 4 4.
        assert!((of(&[2.0, 0.0, 1.0], &[4.0, 0.0]) - ((1.0 + 9.0 + 4.0 + 4.0) / 6.0_f64).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn the_first_order_is_the_mean_of_absolute_differences() {
        let set = |values: &[f32]| Features::new(values.to_vec(), 1).unwrap();
        let found = first_order(&set(&[3.0, 1.0]), &set(&[0.0, 5.0]), 3, &mut Rng::new(1)).unwrap();
        assert!((found - 1.5).abs() < 1e-12, "{found}");
    }

    #[test]
    fn repeating_samples_changes_nothing() {
        let (a, b) = (made(1, 12, 5), made(2, 8, 5));
        let lines = directions(70, 5, &mut Rng::new(0));
        let twice = Features::new([a.values(), a.values(), a.values()].concat(), 5).unwrap();
        let (once, thrice) = (along(&a, &b, &lines).unwrap(), along(&twice, &b, &lines).unwrap());
        assert!((once - thrice).abs() < 1e-12 * once);
        assert_eq!(along(&a, &a, &lines).unwrap(), 0.0);
        assert!((once - along(&b, &a, &lines).unwrap()).abs() < 1e-12 * once);
    }

    #[test]
    fn a_shift_costs_its_share_along_the_lines() {
        // The mean of cos² over the sphere is 1 / D.
        let a = made(1, 50, 3);
        let shifted = Features::new(a.values().iter().map(|x| x + 2.0).collect(), 3).unwrap();
        let lines = directions(4000, 3, &mut Rng::new(0));
        let found = along(&a, &shifted, &lines).unwrap();
        assert!((found - 2.0).abs() < 0.05, "{found}");
    }

    #[test]
    fn directions_are_unit_vectors_and_repeatable() {
        let lines = directions(20, 7, &mut Rng::new(1));
        assert!(lines.chunks(7).all(|row| (row.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12));
        assert_eq!(lines, directions(20, 7, &mut Rng::new(1)));
    }

    #[test]
    fn bad_input_is_an_error() {
        let (a, lines) = (made(1, 5, 3), directions(4, 3, &mut Rng::new(1)));
        assert!(along(&Features::empty(3), &a, &lines).unwrap_err().to_string().contains("0 real samples"));
        assert!(along(&a, &made(1, 5, 2), &lines).is_err());
        let lines = |lines| distance(&a, &a, lines, &mut Rng::new(1));
        assert!(lines(4).is_ok() && lines(0).unwrap_err().to_string().contains("found 0 lines"));
    }
}
