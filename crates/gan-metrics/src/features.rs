//! Features `[N, D]` on the host: a row of numbers for each sample.

use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use gan_base::messages::counted;

/// `[N, D]`, row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    values: Vec<f32>,
    dim: usize,
}

impl Features {
    /// `values` as rows of `dim` numbers.
    ///
    /// # Errors
    /// If they do not make whole rows.
    pub fn new(values: Vec<f32>, dim: usize) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            let (found, expected) = (counted(values.len(), "number"), format!("whole rows of {dim}"));
            return Err(Error::Mismatch { what: "features".into(), found, expected, advice: "check the shape".into() });
        }
        Ok(Self { values, dim })
    }

    /// No rows yet, of `dim` numbers each.
    pub fn empty(dim: usize) -> Self {
        Self { values: vec![], dim }
    }

    /// A tensor `[N, …]`: whatever follows N is flattened into D.
    ///
    /// # Errors
    /// If it has no samples' axis, or from candle.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let flat = tensor.to_dtype(DType::F32)?.flatten_from(1)?;
        let dim = flat.dim(1)?;
        Self::new(flat.flatten_all()?.to_vec1()?, dim)
    }

    /// How many samples N.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers a sample D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Sample `index`'s numbers.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..][..self.dim]
    }

    /// All samples' numbers.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }

    /// The first `n` samples, or all.
    pub fn first(&self, n: usize) -> Self {
        Self { values: self.values[..n.min(self.len()) * self.dim].to_vec(), dim: self.dim }
    }

    /// The samples with these numbers, in this order.
    pub fn pick(&self, indices: &[usize]) -> Self {
        Self { values: indices.iter().flat_map(|i| self.row(*i)).copied().collect(), dim: self.dim }
    }

    /// Adds more samples behind.
    ///
    /// # Errors
    /// If their rows have another length.
    pub fn append(&mut self, more: &Self) -> Result<()> {
        same_width(self, more)?;
        self.values.extend_from_slice(&more.values);
        Ok(())
    }

    /// Refuses numbers that are not finite; `whose` is for the message.
    ///
    /// # Errors
    /// [`Error::Values`] with the first of them.
    pub fn check_finite(&self, whose: &str) -> Result<()> {
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(at) => {
                let (row, column, value) = (at / self.dim, at % self.dim, self.values[at]);
                let problem = format!(
                    "number {column} of sample {row} is {value}, nothing can be measured with that: \
                     look at the samples, the generator may have diverged"
                );
                Err(Error::Values { what: format!("{whose} features"), problem })
            }
        }
    }

    /// Whether all samples are the same.
    pub fn is_constant(&self) -> bool {
        self.rows().all(|row| row == self.row(0))
    }
}

/// Refuses two sets whose rows differ in length.
///
/// # Errors
/// [`Error::Mismatch`].
pub fn same_width(a: &Features, b: &Features) -> Result<()> {
    if a.dim == b.dim {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "features".into(),
        found: format!("{} and {} numbers a sample", a.dim, b.dim),
        expected: "the same for both".into(),
        advice: "embed both sets with the same network".into(),
    })
}
