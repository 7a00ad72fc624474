//! Errors of this crate, each with what was found and what is expected, and the check for NaN and infinite values.

use candle_core::{DType, Tensor};
use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer list that does not fit together.
    #[error("{network} layer {index} ({layer}): got {got}, needs {needs}")]
    Layer {
        /// Name of the network: "generator" or "discriminator".
        network: String,
        /// Index of the layer in the list, from 0.
        index: usize,
        /// Layer as written.
        layer: String,
        /// Input shape of the layer.
        got: String,
        /// Input that the layer needs.
        needs: String,
    },
    /// A network whose output does not fit its task.
    #[error("{network}: {problem}")]
    Network {
        /// Name of the network.
        network: String,
        /// Description of the problem and what to do.
        problem: String,
    },
    /// A weight file that cannot be used.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// Path of the file.
        path: PathBuf,
        /// Description of the problem and what to do.
        problem: String,
    },
    /// NaN or infinite values.
    #[error("{what} holds {value}; expected finite numbers")]
    NotFinite {
        /// Object that contains the value.
        what: String,
        /// The value.
        value: f32,
    },
    /// From candle.
    #[error("{}", strip_backtrace(.0))]
    Candle(#[from] candle_core::Error),
}

/// Returns candle's error without the backtrace that it has if `RUST_BACKTRACE` is set, which is of use to candle's authors only.
pub fn strip_backtrace(error: &candle_core::Error) -> &candle_core::Error {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => strip_backtrace(inner),
        plain => plain,
    }
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Returns the first row of `tensor` `[N, …]` that contains NaN or an infinity, with that value; `None` if all values are finite.
pub(crate) fn first_not_finite(tensor: &Tensor) -> candle_core::Result<Option<(usize, f32)>> {
    let values = tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
    let found = values.iter().position(|value| !value.is_finite());
    let rows = tensor.dims().first().copied().unwrap_or(1).max(1);
    let row = (values.len() / rows).max(1);
    Ok(found.map(|at| (at / row, values[at])))
}

/// Checks that every value of `tensor` is finite; `what` names row i in the message.
///
/// # Errors
/// [`Error::NotFinite`], and from candle.
pub fn check_finite(tensor: &Tensor, what: impl Fn(usize) -> String) -> Result<()> {
    match first_not_finite(tensor)? {
        Some((row, value)) => Err(Error::NotFinite { what: what(row), value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_first_row_with_such_a_value_is_named() {
        let tensor = |values: [f32; 6]| Tensor::from_slice(&values, (3, 2), &Device::Cpu).unwrap();
        let check = |values| check_finite(&tensor(values), |row| format!("sample {row}"));
        assert!(check([0.0, 1.0, f32::MAX, f32::MIN, -0.0, 1e-45]).is_ok());
        let message = check([0.0, 1.0, 2.0, f32::NAN, f32::INFINITY, 5.0]).unwrap_err().to_string();
        assert!(message.starts_with("sample 1 holds NaN"), "{message}");
        let message = check([0.0, 1.0, 2.0, 3.0, f32::NEG_INFINITY, 5.0]).unwrap_err().to_string();
        assert!(message.starts_with("sample 2 holds -inf"), "{message}");
    }

    #[test]
    fn scalars_and_empty_tensors_can_be_checked() {
        let scalar = |value: f32| first_not_finite(&Tensor::new(value, &Device::Cpu).unwrap()).unwrap();
        assert_eq!((scalar(1.0), scalar(f32::INFINITY)), (None, Some((0, f32::INFINITY))));
        let empty = Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(first_not_finite(&empty).unwrap(), None);
    }
}
