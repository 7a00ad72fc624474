//! Errors of this crate.

use gan_base::FileError;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Reasons why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The format does not support the network, or the network has a layer that cannot be exported.
    #[error("{0}")]
    Unsupported(String),
    /// The graph does not compute what the network does.
    #[error(
        "the exported graph differs from the network by {difference:e} of the largest output, expected at most {most:e}: \
         nothing was written; please report this with the layer list (gan summary)"
    )]
    Differs {
        /// Largest difference found, relative to the largest output, or to 1 if that is larger.
        difference: f32,
        /// Largest difference allowed.
        most: f32,
    },
    /// From gan-core.
    #[error(transparent)]
    Core(#[from] gan_core::Error),
    /// From candle.
    #[error("{}", gan_core::strip_backtrace(.0))]
    Candle(#[from] candle_core::Error),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}
