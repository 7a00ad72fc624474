//! Errors of this crate.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Reasons why weights cannot be imported. Messages continue the name of the file: "netG.pth: is cut off".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be read.
    #[error("{0}")]
    File(String),
    /// Several networks in a file, or none of the name that was given.
    #[error("{0}")]
    Choice(String),
    /// Tensors that do not fit the layer list.
    #[error("{0}")]
    Mismatch(String),
    /// From gan-core: a layer list that does not fit together.
    #[error(transparent)]
    Core(#[from] gan_core::Error),
    /// From candle.
    #[error("{}", gan_core::strip_backtrace(.0))]
    Candle(#[from] candle_core::Error),
}
