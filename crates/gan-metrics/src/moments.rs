//! Mean and covariance of features that stream by.

mod file;
mod statistics;

use crate::error::{Error, Result};
use crate::features::Features;
use crate::linalg::{lower_product, mirror};
use faer::{Accum, Mat, MatRef};
use gan_base::messages::counted;
use rayon::prelude::*;

/// Samples taken in at once: more would only take more memory.
const BLOCK: usize = 1024;

/// Count, mean `[D]` and scatter `[D, D]` of the samples so far, all in f64: D² numbers however many samples.
///
/// Blocks are joined by Chan, Golub and LeVeque's update ("Algorithms for Computing the Sample Variance", 1983): every block
/// is centred on its own mean, so a large mean over a small spread costs no digits, whatever the number of samples.
#[derive(Clone, Debug)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// Σ (x − mean)(x − mean)ᵀ, whose lower triangle alone is maintained.
    scatter: Mat<f64>,
}

impl Moments {
    /// Of no samples yet, of `dim` numbers each.
    pub fn new(dim: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dim], scatter: Mat::zeros(dim, dim) }
    }

    /// Of these samples `[N, D]`.
    ///
    /// # Errors
    /// As [`Moments::push`].
    pub fn of(features: &Features) -> Result<Self> {
        let mut moments = Self::new(features.dim());
        moments.push(features)?;
        Ok(moments)
    }

    /// Takes samples `[N, D]` in. A few hundred at once are fastest.
    ///
    /// # Errors
    /// If they have another width or numbers that are not finite; then nothing has changed.
    pub fn push(&mut self, features: &Features) -> Result<()> {
        self.check_width(features.dim())?;
        features.check_finite("pushed")?;
        features.values().chunks(BLOCK * self.dim()).for_each(|rows| self.push_block(rows));
        Ok(())
    }

    /// Takes in what `other` has seen.
    ///
    /// # Errors
    /// If its samples have another width.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.check_width(other.dim())?;
        self.scatter += &other.scatter;
        if let Some(step) = self.join(other.count, &other.mean) {
            self.scatter_of(&step);
        }
        Ok(())
    }

    /// How many samples so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Numbers a sample D.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The mean `[D]`; zeros before the first sample.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The unbiased covariance `[D, D]`, row after row: sums over N − 1, as numpy's `cov`.
    ///
    /// # Errors
    /// Below two samples.
    pub fn covariance(&self) -> Result<Vec<f64>> {
        let matrix = self.covariance_matrix("given")?;
        Ok(matrix.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()).collect())
    }

    /// The same as a matrix; `what` is whose, for the error.
    pub(crate) fn covariance_matrix(&self, what: &'static str) -> Result<Mat<f64>> {
        if self.count < 2 {
            let (found, advice) = (self.count as usize, "one sample has no spread");
            return Err(Error::TooFew { metric: "covariance", what, found, needed: 2, advice });
        }
        let mut matrix = &self.scatter * faer::Scale(1.0 / (self.count - 1) as f64);
        mirror(&mut matrix);
        Ok(matrix)
    }

    /// Σ = the block's own scatter + the step between the means, which goes along as one more row.
    fn push_block(&mut self, rows: &[f32]) {
        let dim = self.dim();
        let mean = mean_of(rows, dim);
        let mut centred = vec![0.0; rows.len()];
        centred.par_chunks_mut(dim).zip(rows.par_chunks(dim)).for_each(|(to, row)| {
            to.iter_mut().zip(row).zip(&mean).for_each(|((to, x), m)| *to = f64::from(*x) - m);
        });
        centred.extend(self.join((rows.len() / dim) as u64, &mean).unwrap_or_default());
        self.scatter_of(&centred);
    }

    /// Σ += X Xᵀ for rows X.
    fn scatter_of(&mut self, rows: &[f64]) {
        let x = MatRef::from_column_major_slice(rows, self.dim(), rows.len() / self.dim());
        lower_product(self.scatter.as_mut(), Accum::Add, x, x.transpose());
    }

    /// Moves count and mean on; gives δ √(n m / (n + m)), whose square the scatter grows by.
    fn join(&mut self, count: u64, mean: &[f64]) -> Option<Vec<f64>> {
        let (n, m) = (self.count as f64, count as f64);
        self.count += count;
        if count == 0 {
            return None;
        }
        let root = (n * (m / (n + m))).sqrt();
        let step = self.mean.iter().zip(mean).map(|(old, new)| (new - old) * root).collect();
        self.mean.iter_mut().zip(mean).for_each(|(old, new)| *old += (new - *old) * (m / (n + m)));
        Some(step)
    }

    fn check_width(&self, dim: usize) -> Result<()> {
        if dim == self.dim() {
            return Ok(());
        }
        Err(Error::Mismatch {
            what: "moments".into(),
            found: format!("{} a sample", counted(dim, "number")),
            expected: self.dim().to_string(),
            advice: "embed all sets with the same network".into(),
        })
    }
}

fn mean_of(rows: &[f32], dim: usize) -> Vec<f64> {
    let mut mean = vec![0.0; dim];
    for row in rows.chunks(dim) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let count = (rows.len() / dim) as f64;
    mean.iter_mut().for_each(|sum| *sum /= count);
    mean
}

#[cfg(test)]
mod tests;
