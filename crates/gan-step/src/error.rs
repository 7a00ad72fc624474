//! Errors of a training step and of the settings of an optimizer.

use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Invalid setting: wrong key, type, range or combination.
    #[error("{key}: {problem}")]
    Config {
        /// Setting, as in `train.batch`.
        key: String,
        /// What was found, what is expected, what to do.
        problem: String,
    },
    /// Saved state that does not fit.
    #[error("{}: {problem}", path.display())]
    File {
        /// File that it came from.
        path: PathBuf,
        /// What went wrong and what to do.
        problem: String,
    },
    /// Failure of the processes that train together.
    #[error("{0}")]
    Ranks(#[from] gan_comm::Error),
    /// Loss or gradient that is not finite.
    #[error(
        "step {step}: {what} is not finite ({value}). Nothing of that step was saved. Likely cause: a learning rate that is too high; \
         start again with a lower optimizer.generator.lr and optimizer.discriminator.lr. Else look for values in the data \
         that are not finite."
    )]
    NotFinite {
        /// Number of the step that failed, counted from 1.
        step: u64,
        /// Quantity that is not finite.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// From candle.
    #[error("{}", gan_core::strip_backtrace(.0))]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Returns an [`Error::Config`].
    pub fn config(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { key: key.into(), problem: problem.into() }
    }

    /// Returns an [`Error::File`].
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().into(), problem: problem.into() }
    }
}

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
