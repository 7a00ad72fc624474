//! Arrays of vectors, `[N, D]`: latent vectors, and points in their own units.

use super::{NpyFile, Numbers, refused, spread};
use crate::Error;
use std::path::Path;

/// Vectors of one length in a `.npy` file, in whatever numbers.
#[derive(Debug)]
pub struct VectorArray {
    file: NpyFile,
    len: usize,
}

impl VectorArray {
    /// Opens the vectors, which must have `dim` numbers each.
    ///
    /// # Errors
    /// Those of [`NpyFile::open`]; [`Error::File`] where the shape is not `[N, dim]`, or the array holds truth values.
    pub fn open(path: &Path, dim: usize) -> Result<Self, Error> {
        Self::of(NpyFile::open(path)?, dim)
    }

    /// As [`VectorArray::open`], of a file that is open already.
    ///
    /// # Errors
    /// As [`VectorArray::open`].
    pub fn of(file: NpyFile, dim: usize) -> Result<Self, Error> {
        let len = match *file.shape() {
            [n, found] if found == dim => n,
            ref shape => {
                let advice = match *shape {
                    [found, _] if found == dim => "it looks like its transpose: save x.T",
                    [found] if found == dim => "it looks like one vector: save x[None]",
                    _ => "save one vector a row",
                };
                let found = format!("an array of shape {shape:?}");
                return Err(refused(&file, "shape of the array", found, &format!("[N, {dim}]"), advice));
            }
        };
        if file.numbers() == Numbers::Bool {
            let advice = "save x.astype('f4')";
            return Err(refused(&file, "type of the numbers", "bool".into(), "floating point numbers", advice));
        }
        Ok(Self { file, len })
    }

    /// How many vectors there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `count` vectors, number after number; `count` is at most [`len`](Self::len).
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] where a number is not finite.
    pub fn first(&mut self, count: usize) -> Result<Vec<f32>, Error> {
        self.read(&(0..count).collect::<Vec<_>>())
    }

    /// `count` vectors at even distances.
    ///
    /// # Errors
    /// As [`VectorArray::first`].
    pub fn spread(&mut self, count: usize) -> Result<Vec<f32>, Error> {
        self.read(&spread(self.len, count))
    }

    fn read(&mut self, indices: &[usize]) -> Result<Vec<f32>, Error> {
        let values = self.file.read_rows(indices)?;
        let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(values) };
        let row = indices[at / self.file.row_len()];
        let advice = "nothing can be made or measured with that: look at how the array was made";
        Err(refused(
            &self.file,
            "numbers of the array",
            format!("{} in row {row}", values[at]),
            "finite numbers",
            advice,
        ))
    }
}
