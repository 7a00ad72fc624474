//! Moments as bytes, for a cache of the real set's: a safetensors file of `mean` `[D]` and the scatter's lower triangle,
//! row after row, `[D (D + 1) / 2]`, in f64, with `count` in the metadata.

use super::Moments;
use crate::error::{Error, Result};
use faer::Mat;
use gan_base::messages::counted;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::HashMap;

impl Moments {
    /// As bytes of a safetensors file. The same moments give the same bytes.
    ///
    /// # Errors
    /// None in practice: the shapes are made here.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mean = bytes(self.mean.iter());
        let rows = (0..self.dim()).flat_map(|row| (0..=row).map(move |column| &self.scatter[(row, column)]));
        let scatter = bytes(rows);
        let view = |bytes| TensorView::new(Dtype::F64, vec![size_of_val::<[u8]>(bytes) / 8], bytes);
        let tensors = [("mean", view(&mean).map_err(unreadable)?), ("scatter", view(&scatter).map_err(unreadable)?)];
        let metadata = HashMap::from([("count".to_string(), self.count.to_string())]);
        serialize(tensors, Some(metadata)).map_err(unreadable)
    }

    /// From [`Moments::to_bytes`]: bit for bit what was written.
    ///
    /// # Errors
    /// If they are no such file, or hold numbers that no moments can have.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
        let count = header.metadata().as_ref().and_then(|all| all.get("count")).and_then(|text| text.parse().ok());
        let count = count.ok_or_else(|| unreadable("no count of samples in the metadata"))?;
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let (mean, lower) = (numbers(&file, "mean")?, numbers(&file, "scatter")?);
        let dim = mean.len();
        if lower.len() != dim * (dim + 1) / 2 {
            return Err(unreadable(format!(
                "a scatter of {} does not go with {}",
                counted(lower.len(), "number"),
                counted(dim, "mean")
            )));
        }
        let mut scatter = Mat::zeros(dim, dim);
        let places = (0..dim).flat_map(|row| (0..=row).map(move |column| (row, column)));
        places.zip(lower).for_each(|(place, value)| scatter[place] = value);
        if (0..dim).any(|i| scatter[(i, i)] < 0.0) {
            return Err(unreadable("negative variances"));
        }
        Ok(Self { count, mean, scatter })
    }
}

fn bytes<'a>(values: impl Iterator<Item = &'a f64>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>> {
    let tensor = file.tensor(name).map_err(unreadable)?;
    if tensor.dtype() != Dtype::F64 {
        return Err(unreadable(format!("{name} is of {:?}, not F64", tensor.dtype())));
    }
    let values: Vec<f64> = tensor.data().as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(unreadable(format!("{name} has numbers that are not finite"))),
    }
}

fn unreadable(problem: impl ToString) -> Error {
    Error::Mismatch {
        what: "stored moments".into(),
        found: problem.to_string(),
        expected: "what Moments::to_bytes wrote".into(),
        advice: "delete the file, it is made anew".into(),
    }
}
