//! Number format of convolutions' products.

use serde::{Deserialize, Serialize};

/// Accuracy of convolutions. Inputs and outputs are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// f32 with the fastest algorithm: errors up to about 2e-5 of the largest output.
    #[default]
    F32,
    /// f32 with algorithms whose coefficients are 0, ±1 and ½: errors up to about 4e-6 of the largest output.
    F32Accurate,
    /// Factors rounded to bf16, sums in f32: errors of about 5e-3.
    Bf16,
}
