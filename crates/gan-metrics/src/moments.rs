//! Mean and covariance of features that are added in batches, or that others computed.

use crate::error::{Error, Result};
use crate::features::{Features, check_widths};
use crate::linalg::{lower_product, mirror};
use faer::{Accum, Mat, MatRef};
use gan_base::regular_file;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Maximum number of samples that are added at once; more would only take more memory.
const BLOCK: usize = 1024;
/// Maximum size of a statistics file in bytes: twice the size for Inception-v3's features.
const MOST_BYTES: u64 = 1 << 26;
/// Statistics files do not contain their number of samples. This many are enough for a covariance of full rank, and for a distance without a
/// warning.
const STATISTICS_COUNT: u64 = 1 << 32;

/// Count, mean `[D]` and scatter `[D, D]` of samples in f64: about D² numbers, however many samples there are.
///
/// Blocks are merged by the update of Chan, Golub and LeVeque ("Algorithms for Computing the Sample Variance", 1983): every block
/// is centered on its own mean, so a large mean with a small spread costs no digits, whatever the number of samples.
#[derive(Clone, Debug)]
pub struct Moments {
    count: u64,
    mean: Vec<f64>,
    /// Σ (x − mean)(x − mean)ᵀ, of which only the lower triangle is maintained.
    scatter: Mat<f64>,
}

impl Moments {
    /// Returns the moments of no samples, for samples of `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Self { count: 0, mean: vec![0.0; dim], scatter: Mat::zeros(dim, dim) }
    }

    /// Returns the moments of samples `[N, D]`.
    ///
    /// # Errors
    /// As [`Moments::push`].
    pub fn of(features: &Features) -> Result<Self> {
        let mut moments = Self::new(features.dim());
        moments.push(features)?;
        Ok(moments)
    }

    /// Adds samples `[N, D]`. A few hundred at once are fastest.
    ///
    /// # Errors
    /// If they have another width or numbers that are not finite; then nothing changes.
    pub fn push(&mut self, features: &Features) -> Result<()> {
        check_widths("moments", features.dim(), self.dim())?;
        features.check_finite("pushed")?;
        features.values().chunks(BLOCK * self.dim()).for_each(|rows| self.push_block(rows));
        Ok(())
    }

    /// Returns the number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the number of features per sample D.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Returns the mean `[D]`; zeros before the first sample.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Returns the unbiased covariance `[D, D]`: sums over N − 1, like numpy's `cov`. `what` the samples are is for the message.
    pub(crate) fn covariance(&self, what: &'static str) -> Result<Mat<f64>> {
        if self.count < 2 {
            let found = self.count as usize;
            let advice = "a covariance takes two; thousands make it meaningful";
            return Err(Error::TooFew { metric: "covariance", what, found, needed: 2, advice });
        }
        let mut matrix = &self.scatter * faer::Scale(1.0 / (self.count - 1) as f64);
        mirror(&mut matrix);
        Ok(matrix)
    }

    fn push_block(&mut self, rows: &[f32]) {
        let dim = self.dim();
        let mean = mean_of(rows, dim);
        let mut centered = vec![0.0; rows.len()];
        centered.par_chunks_mut(dim).zip(rows.par_chunks(dim)).for_each(|(to, row)| {
            to.iter_mut().zip(row).zip(&mean).for_each(|((to, x), m)| *to = f64::from(*x) - m);
        });
        // The step between the means, δ √(n m / (n + m)), adds its square to the scatter: it is one more row.
        let [n, m] = [self.count as f64, (rows.len() / dim) as f64];
        let root = (n * (m / (n + m))).sqrt();
        centered.extend(self.mean.iter().zip(&mean).map(|(old, new)| (new - old) * root));
        self.mean.iter_mut().zip(&mean).for_each(|(old, new)| *old += (new - *old) * (m / (n + m)));
        self.count += (rows.len() / dim) as u64;
        let x = MatRef::from_column_major_slice(&centered, dim, centered.len() / dim);
        lower_product(self.scatter.as_mut(), Accum::Add, x, x.transpose());
    }

    /// Returns the moments as bytes, which identify them: a safetensors file with `mean` `[D]` and the lower triangle of the scatter, row after
    /// row, in f64, and `count` in the metadata.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>> {
        let lower = (0..self.dim()).flat_map(|row| (0..=row).map(move |column| self.scatter[(row, column)]));
        let parts = [("mean", self.mean.clone()), ("scatter", lower.collect())];
        let parts =
            parts.map(|(name, values)| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()));
        let tensors =
            parts.iter().map(|(name, bytes)| Ok((name, TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes)?)));
        let tensors = tensors.collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>();
        let metadata = HashMap::from([("count".to_string(), self.count.to_string())]);
        let bytes = tensors.and_then(|tensors| safetensors::serialize(tensors, Some(metadata)));
        Ok(bytes.map_err(candle_core::Error::from)?)
    }

    /// Reads the statistics that pytorch-fid and TTUR store: an uncompressed `.npz` file of `mu` `[D]` and `sigma` `[D, D]` in float64.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read or contains something else.
    pub fn read_statistics(path: &Path) -> Result<Self> {
        let bytes =
            regular_file::read(path, MOST_BYTES).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
        let advice = "save them again by numpy.savez(file, mu=mu, sigma=sigma), in float64";
        Self::from_npz(&bytes).map_err(|problem| Error::file(path, format!("{problem}: {advice}")))
    }

    /// Reads the bytes of a statistics file: see [`Moments::read_statistics`].
    ///
    /// # Errors
    /// The problem in words.
    pub fn from_npz(bytes: &[u8]) -> std::result::Result<Self, String> {
        let files = gan_import::archive::files(bytes)?;
        let mean = array(&files, "mu.npy")?;
        let sigma = array(&files, "sigma.npy")?;
        let dim = mean.len();
        if dim == 0 || sigma.len() != dim * dim {
            return Err(format!("mu has {dim} numbers and sigma {}, expected D and D × D", sigma.len()));
        }
        let factor = (STATISTICS_COUNT - 1) as f64;
        let mut scatter = Mat::from_fn(dim, dim, |row, column| sigma[row * dim + column] * factor);
        mirror(&mut scatter);
        if (0..dim).any(|i| scatter[(i, i)] < 0.0) {
            return Err("sigma has negative variances".into());
        }
        Ok(Self { count: STATISTICS_COUNT, mean, scatter })
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

/// Returns the numbers of the array `<f8` called `name`, which must be finite.
fn array(files: &BTreeMap<String, &[u8]>, name: &str) -> std::result::Result<Vec<f64>, String> {
    let file = files.get(name).ok_or_else(|| format!("holds no {name}"))?;
    let data = f64_data(file).ok_or_else(|| format!("{name} is not an array of float64"))?;
    let values: Vec<f64> = data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(format!("{name} has numbers that are not finite")),
    }
}

/// Returns the data after the header of a `.npy` file of little-endian float64.
fn f64_data(file: &[u8]) -> Option<&[u8]> {
    let rest = file.strip_prefix(b"\x93NUMPY")?;
    let (start, length) = match *rest.first()? {
        1 => (4, usize::from(u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?))),
        _ => (6, usize::try_from(u32::from_le_bytes(rest.get(2..6)?.try_into().ok()?)).ok()?),
    };
    let (header, data) = rest.get(start..)?.split_at_checked(length)?;
    let is_f64 = std::str::from_utf8(header).ok()?.contains("'<f8'");
    (is_f64 && data.len().is_multiple_of(8)).then_some(data)
}

#[cfg(test)]
mod tests;
