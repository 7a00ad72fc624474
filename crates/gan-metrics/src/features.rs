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
    /// Returns `values` as rows of `dim` numbers.
    ///
    /// # Errors
    /// If they do not make whole rows.
    pub fn new(values: Vec<f32>, dim: usize) -> Result<Self> {
        if dim == 0 || !values.len().is_multiple_of(dim) {
            let found = counted(values.len(), "number");
            return Err(Error::mismatch("features", found, format!("whole rows of {dim}"), "check the shape"));
        }
        Ok(Self { values, dim })
    }

    /// Returns features without rows, for rows of `dim` numbers.
    pub fn empty(dim: usize) -> Self {
        Self { values: vec![], dim }
    }

    /// Reads a tensor `[N, …]`, whose axes after N are flattened into D.
    ///
    /// # Errors
    /// If it has no axis of samples, and from candle.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let flat = tensor.to_dtype(DType::F32)?.flatten_from(1)?;
        let dim = flat.dim(1)?;
        Self::new(flat.flatten_all()?.to_vec1()?, dim)
    }

    /// Returns the number of samples N.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Returns whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns the number of features per sample D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns all numbers, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns the features of sample `index`.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.dim..][..self.dim]
    }

    /// Returns the features of each sample.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }

    /// Returns the first `n` samples, or all if there are fewer.
    pub fn first(&self, n: usize) -> Self {
        Self { values: self.values[..n.min(self.len()) * self.dim].to_vec(), dim: self.dim }
    }

    /// Returns the samples `indices`, in this order.
    pub fn pick(&self, indices: &[usize]) -> Self {
        Self { values: indices.iter().flat_map(|i| self.row(*i)).copied().collect(), dim: self.dim }
    }

    /// Changes the numbers in place.
    pub(crate) fn map(&mut self, change: impl FnOnce(&mut [f32])) {
        change(&mut self.values);
    }

    /// Appends the samples of `more`.
    ///
    /// # Errors
    /// If their rows have another length.
    pub fn append(&mut self, more: &Self) -> Result<()> {
        self.check_width(more)?;
        self.values.extend_from_slice(&more.values);
        Ok(())
    }

    /// Refuses numbers that are not finite; `whose` is for the message.
    pub(crate) fn check_finite(&self, whose: &str) -> Result<()> {
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(at) => {
                let [row, column] = [at / self.dim, at % self.dim];
                let problem = format!(
                    "number {column} of sample {row} is {}, nothing can be measured with that: \
                     look at the samples, the generator may have diverged",
                    self.values[at]
                );
                Err(Error::values(format!("{whose} features"), problem))
            }
        }
    }

    /// Refuses another set whose rows have another length.
    pub(crate) fn check_width(&self, other: &Self) -> Result<()> {
        check_widths("features", self.dim, other.dim)
    }

    /// Refuses fewer than `needed` samples; `what` they are, "real" or "generated", is for the message.
    pub(crate) fn check_count(
        &self,
        needed: usize,
        metric: &'static str,
        what: &'static str,
        advice: &'static str,
    ) -> Result<()> {
        let found = self.len();
        if found < needed { Err(Error::TooFew { metric, what, found, needed, advice }) } else { Ok(()) }
    }
}

/// Refuses real and generated samples of different widths, fewer than `needed` of either, and numbers that are not finite.
pub(crate) fn check_sets(
    real: &Features,
    generated: &Features,
    needed: usize,
    metric: &'static str,
    advice: &'static str,
) -> Result<()> {
    real.check_width(generated)?;
    for (set, what) in [(real, "real"), (generated, "generated")] {
        set.check_count(needed, metric, what, advice)?;
        set.check_finite(what)?;
    }
    Ok(())
}

/// Refuses two sets of different numbers of features per sample; `what` is compared.
pub(crate) fn check_widths(what: &str, a: usize, b: usize) -> Result<()> {
    let found = format!("{a} and {b} numbers a sample");
    let advice = "embed both sets with the same network";
    if a == b { Ok(()) } else { Err(Error::mismatch(what, found, "the same for both", advice)) }
}
