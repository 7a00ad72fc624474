//! Sliced Wasserstein-2 distance: that of the sets' shadows on lines, over many lines (Bonneel et al., "Sliced and Radon
//! Wasserstein Barycenters of Measures", 2015).

use super::{Better, DataKind, Inputs, Measured, Metric, MetricInfo};
use crate::error::{Error, Result};
use crate::features::{Features, same_width};
use crate::linalg::product;
use faer::{Mat, MatRef};
use gan_base::Rng;
use gan_base::messages::counted;
use rayon::prelude::*;

/// Lines projected on at once: bounds the memory.
const LINES: usize = 64;

/// Unit vectors `[L, D]`, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Directions {
    values: Vec<f64>,
    dim: usize,
}

impl Directions {
    /// `count` directions drawn evenly from the sphere in `dim` dimensions.
    pub fn draw(count: usize, dim: usize, rng: &mut Rng) -> Self {
        let mut values: Vec<f64> = (0..count * dim).map(|_| f64::from(rng.normal())).collect();
        for row in values.chunks_mut(dim.max(1)) {
            let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm.max(f64::MIN_POSITIVE));
        }
        Self { values, dim }
    }

    /// These rows of `dim` numbers, taken as they are.
    ///
    /// # Errors
    /// If there are none or they do not make whole rows.
    pub fn new(values: Vec<f64>, dim: usize) -> Result<Self> {
        if dim > 0 && !values.is_empty() && values.len().is_multiple_of(dim) {
            return Ok(Self { values, dim });
        }
        let (found, expected) = (counted(values.len(), "number"), format!("rows of {dim}, at least one"));
        Err(Error::Mismatch { what: "directions".into(), found, expected, advice: "check the shape".into() })
    }
}

/// √ of the mean over directions of W₂² between the projected sets `[N, D]` and `[M, D]`, in the features' units: the
/// convention of POT's `sliced_wasserstein_distance`. Sets of different sizes meet quantile by quantile.
///
/// # Errors
/// If a set is empty, there are no directions, widths differ or numbers are not finite.
pub fn distance(real: &Features, generated: &Features, directions: &Directions) -> Result<f64> {
    check(real, generated, directions)?;
    let squares = directions.values.chunks(LINES * directions.dim).flat_map(|lines| {
        let (real, generated) = (project(real, lines), project(generated, lines));
        let lines: Vec<f64> = (0..real.ncols()).into_par_iter().map(|l| squared(&real, &generated, l)).collect();
        lines
    });
    Ok((squares.sum::<f64>() / (directions.values.len() / directions.dim) as f64).sqrt())
}

fn check(real: &Features, generated: &Features, directions: &Directions) -> Result<()> {
    same_width(real, generated)?;
    for (set, what) in [(real, "real"), (generated, "generated")] {
        if set.is_empty() {
            let advice = "thousands make it meaningful";
            return Err(Error::TooFew { metric: "sliced Wasserstein distance", what, found: 0, needed: 1, advice });
        }
        set.check_finite(what)?;
    }
    if directions.dim == real.dim() && !directions.values.is_empty() {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "directions".into(),
        found: format!("{} in rows of {}", counted(directions.values.len(), "number"), directions.dim),
        expected: format!("rows of {}, at least one", real.dim()),
        advice: "draw them for the features' width".into(),
    })
}

/// `[N, D]` on lines `[L, D]` -> `[N, L]`, each column sorted.
fn project(features: &Features, lines: &[f64]) -> Mat<f64> {
    let dim = features.dim();
    let x: Vec<f64> = features.values().iter().map(|x| f64::from(*x)).collect();
    let x = MatRef::from_row_major_slice(&x, features.len(), dim);
    let mut shadows = product(x, MatRef::from_column_major_slice(lines, dim, lines.len() / dim));
    shadows.par_col_iter_mut().for_each(|column| {
        let column = column.try_as_col_major_mut().expect("a new matrix lies column by column");
        column.as_slice_mut().sort_unstable_by(f64::total_cmp);
    });
    shadows
}

/// ∫ (F⁻¹(q) − G⁻¹(q))² dq for two sorted columns: both quantile functions are stairs, which this walks down together.
fn squared(real: &Mat<f64>, generated: &Mat<f64>, line: usize) -> f64 {
    let (n, m) = (real.nrows() as u64, generated.nrows() as u64);
    let (mut i, mut j, mut at, mut sum) = (0, 0, 0, 0.0);
    // In steps of 1 / (n m), so that the stairs' edges are whole numbers.
    while i < n && j < m {
        let edge = ((i + 1) * m).min((j + 1) * n);
        let gap = real[(i as usize, line)] - generated[(j as usize, line)];
        sum += (edge - at) as f64 * gap * gap;
        (i, j, at) = (edge / m, edge / n, edge);
    }
    sum / (n * m) as f64
}

/// Directions that the metric projects on.
const DIRECTIONS: usize = 128;

/// The sliced Wasserstein distance of features.
#[derive(Clone, Copy, Debug)]
pub struct SlicedWasserstein;

impl Metric for SlicedWasserstein {
    fn info(&self) -> MetricInfo {
        use DataKind::{Classes, Images, Points, PointsAroundModes};
        let paper = "Bonneel et al. 2015, Journal of Mathematical Imaging and Vision 51(1)";
        MetricInfo {
            in_evaluation: &[Classes, Images, PointsAroundModes, Points],
            ..MetricInfo::new("swd", "Sliced Wasserstein distance", Better::Lower, paper)
        }
    }

    fn measure(&self, inputs: &Inputs<'_>) -> Result<Measured> {
        let (real, generated) = inputs.same_number();
        // The label of the stream is older than the metric's key, and decides the directions.
        let directions = Directions::draw(DIRECTIONS, real.dim(), &mut inputs.rng("sliced"));
        Ok(distance(&real, &generated, &directions)?.into())
    }
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
        let line = Directions::new(vec![1.0], 1).unwrap();
        let of = |a: &[f32], b: &[f32]| {
            let set = |values: &[f32]| Features::new(values.to_vec(), 1).unwrap();
            distance(&set(a), &set(b), &line).unwrap()
        };
        assert_eq!(of(&[3.0, 1.0], &[0.0, 4.0]), 1.0);
        assert_eq!(of(&[1.0], &[0.0, 3.0]), (2.5_f64).sqrt());
        // Quantile by quantile, at steps of a sixth: 0 0 1 1 2 2 against 0 0 0 4 4 4.
        assert!((of(&[2.0, 0.0, 1.0], &[4.0, 0.0]) - ((1.0 + 9.0 + 4.0 + 4.0) / 6.0_f64).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn repeating_samples_changes_nothing() {
        let (a, b) = (made(1, 12, 5), made(2, 8, 5));
        let lines = Directions::draw(70, 5, &mut Rng::new(0));
        let twice = Features::new([a.values(), a.values(), a.values()].concat(), 5).unwrap();
        let (once, thrice) = (distance(&a, &b, &lines).unwrap(), distance(&twice, &b, &lines).unwrap());
        assert!((once - thrice).abs() < 1e-12 * once);
        assert_eq!(distance(&a, &a, &lines).unwrap(), 0.0);
        assert!((once - distance(&b, &a, &lines).unwrap()).abs() < 1e-12 * once);
    }

    #[test]
    fn a_shift_costs_its_share_along_the_lines() {
        // The mean of cos² over the sphere is 1 / D.
        let a = made(1, 50, 3);
        let shifted = Features::new(a.values().iter().map(|x| x + 2.0).collect(), 3).unwrap();
        let lines = Directions::draw(4000, 3, &mut Rng::new(0));
        let found = distance(&a, &shifted, &lines).unwrap();
        assert!((found - 2.0).abs() < 0.05, "{found}");
    }

    #[test]
    fn directions_are_unit_vectors_and_repeatable() {
        let lines = Directions::draw(20, 7, &mut Rng::new(1));
        assert!(lines.values.chunks(7).all(|row| (row.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12));
        assert_eq!(lines, Directions::draw(20, 7, &mut Rng::new(1)));
    }

    #[test]
    fn bad_input_is_told() {
        let (a, lines) = (made(1, 5, 3), Directions::draw(4, 3, &mut Rng::new(1)));
        assert!(distance(&Features::empty(3), &a, &lines).unwrap_err().to_string().contains("0 real samples"));
        assert!(distance(&a, &made(1, 5, 2), &lines).is_err());
        let none = Directions::draw(0, 3, &mut Rng::new(1));
        for lines in [&none, &Directions::draw(4, 2, &mut Rng::new(1))] {
            assert!(distance(&a, &a, lines).unwrap_err().to_string().contains("rows of 3, at least one"));
        }
        assert!(Directions::new(vec![0.0; 5], 3).is_err());
    }
}
