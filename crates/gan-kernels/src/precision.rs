//! The number format of convolutions' products.

/// How exact convolutions are. Inputs and outputs are f32 in every case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32 by the fastest algorithm: errors up to about 2e-5 of the largest output.
    #[default]
    F32,
    /// f32 by algorithms whose coefficients are 0, ±1 and ½: errors up to about 4e-6 of the largest output.
    F32Accurate,
    /// Factors rounded to bf16, sums in f32: errors of about 5e-3.
    Bf16,
}
