//! The few matrix routines that metrics need, on faer, in f64 unless said otherwise.
//!
//! Features `[N, D]` in row-major order are read as column-major matrices of D rows and N columns, which have the same memory layout.

use crate::error::{Error, Result};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt_pivoting::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::evd::{self, ComputeEigenvectors};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure::Rectangular, BlockStructure::TriangularLower};
use faer::{Accum, Mat, MatMut, MatRef, Par, diag::Diag};
use std::num::NonZeroUsize;

/// Parts of parallel work: a fixed number, so that results do not depend on the number of threads.
pub(crate) const PAR: Par = Par::Rayon(NonZeroUsize::new(8).expect("not zero"));

/// Replaces the lower triangle of `into` by that of X Yᵀ, or adds it.
pub(crate) fn lower_product(into: MatMut<'_, f64>, accum: Accum, x: MatRef<'_, f64>, y_transposed: MatRef<'_, f64>) {
    triangular::matmul(into, TriangularLower, accum, x, Rectangular, y_transposed, Rectangular, 1.0, PAR);
}

/// Returns X Y.
pub(crate) fn product(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Mat<f64> {
    let mut into = Mat::zeros(x.nrows(), y.ncols());
    matmul(into.as_mut(), Accum::Replace, x, y, 1.0, PAR);
    into
}

/// Computes the products of rows of `a` `[N, D]` with rows of `b` `[M, D]` in f32, in `dots` `[N, M]`.
pub(crate) fn dots(dots: &mut [f32], a: &[f32], b: &[f32], dim: usize) {
    let [n, m] = [a.len() / dim, b.len() / dim];
    let a = MatRef::from_column_major_slice(a, dim, n);
    let b = MatRef::from_column_major_slice(b, dim, m);
    let into = MatMut::from_column_major_slice_mut(dots, m, n);
    matmul(into, Accum::Replace, b.transpose(), a, 1.0, PAR);
}

/// Fills the upper triangle from the lower one.
pub(crate) fn mirror(matrix: &mut Mat<f64>) {
    for column in 1..matrix.ncols() {
        for row in 0..column {
            matrix[(row, column)] = matrix[(column, row)];
        }
    }
}

/// Returns L `[D, r]` with Σ = L Lᵀ, where r is Σ's numerical rank: Cholesky's decomposition with complete pivoting
/// (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, §10.3). Rounding errors in directions without
/// variance, below D ε max Σᵢᵢ, are dropped. It fails if the diagonal of Σ has negative numbers or NaN.
pub(crate) fn root(covariance: &Mat<f64>) -> Result<Mat<f64>> {
    let dim = covariance.nrows();
    if (0..dim).all(|i| covariance[(i, i)] == 0.0) {
        return Ok(Mat::zeros(dim, 0));
    }
    let mut factor = covariance.clone();
    let mut order = vec![0_usize; dim];
    let mut inverse = vec![0_usize; dim];
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<usize, f64>(dim, PAR, Default::default()));
    let stack = MemStack::new(&mut memory);
    let (info, _) = cholesky_in_place(factor.as_mut(), &mut order, &mut inverse, PAR, stack, Default::default())
        .map_err(|_| no_covariance("it has variances that are negative or no numbers"))?;
    let mut root = Mat::zeros(dim, info.rank);
    for column in 0..info.rank {
        for row in column..dim {
            root[(order[row], column)] = factor[(row, column)];
        }
    }
    Ok(root)
}

/// Returns the eigenvalues of a symmetric matrix in ascending order; reads its lower triangle. It fails if the iteration does not
/// converge, for example with numbers that are not finite.
pub(crate) fn eigenvalues(symmetric: &Mat<f64>) -> Result<Vec<f64>> {
    let dim = symmetric.nrows();
    let mut values = Diag::<f64>::zeros(dim);
    let scratch = evd::self_adjoint_evd_scratch::<f64>(dim, ComputeEigenvectors::No, PAR, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let stack = MemStack::new(&mut memory);
    evd::self_adjoint_evd(symmetric.as_ref(), values.as_mut(), None, PAR, stack, Default::default())
        .map_err(|_| no_covariance("its eigenvalues cannot be found"))?;
    Ok(values.column_vector().iter().copied().collect())
}

fn no_covariance(problem: &str) -> Error {
    Error::values("covariance", format!("{problem}: look at the features' size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symmetric(dim: usize, rank: usize) -> Mat<f64> {
        let x = Mat::from_fn(dim, rank, |i, j| ((i * 7 + j * 13 + i * j) % 11) as f64 - 5.0);
        product(x.as_ref(), x.transpose())
    }

    #[test]
    fn a_root_gives_its_matrix_back_and_has_its_rank() {
        for (dim, rank) in [(1, 1), (6, 6), (9, 3), (200, 9)] {
            let matrix = symmetric(dim, rank);
            let root = root(&matrix).unwrap();
            assert!(root.ncols() <= rank, "{} columns for rank {rank}", root.ncols());
            let error = (product(root.as_ref(), root.transpose()) - &matrix).norm_max();
            assert!(error <= 1e-12 * matrix.norm_max(), "{error}");
        }
        assert_eq!(root(&Mat::zeros(4, 4)).unwrap().ncols(), 0);
    }

    #[test]
    fn eigenvalues_sum_to_the_trace_and_their_squares_to_the_squared_norm() {
        let matrix = symmetric(40, 40);
        let values = eigenvalues(&matrix).unwrap();
        let trace: f64 = (0..40).map(|i| matrix[(i, i)]).sum();
        assert!((values.iter().sum::<f64>() - trace).abs() < 1e-9 * trace);
        let squares = matrix.squared_norm_l2();
        assert!((values.iter().map(|v| v * v).sum::<f64>() - squares).abs() < 1e-9 * squares);
        assert!(values.is_sorted());
    }

    #[test]
    fn non_finite_matrices_are_errors() {
        let mut matrix = symmetric(5, 5);
        matrix[(2, 2)] = f64::NAN;
        assert!(root(&matrix).unwrap_err().to_string().contains("no numbers"));
    }
}
