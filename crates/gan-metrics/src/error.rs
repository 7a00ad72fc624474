//! Errors, each with what was found and what is expected.

use gan_base::messages::{counted, is_or_are};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There are fewer samples than a method needs.
    #[error("{metric}: {}", too_few(*found, what, *needed, advice))]
    TooFew {
        /// Name of the metric in messages.
        metric: &'static str,
        /// "real" or "generated".
        what: &'static str,
        /// Number of samples.
        found: usize,
        /// Minimum number of samples.
        needed: usize,
        /// What to do.
        advice: &'static str,
    },
    /// Samples or features do not fit each other or the method.
    #[error("{0}")]
    Mismatch(String),
    /// Numbers cannot be measured: they are not finite, or all the same.
    #[error("{what}: {problem}")]
    Values {
        /// Which numbers.
        what: String,
        /// What is wrong with them and what to do.
        problem: String,
    },
    /// A file cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// From gan-core.
    #[error(transparent)]
    Core(#[from] gan_core::Error),
    /// From candle.
    #[error("{}", gan_core::strip_backtrace(.0))]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Returns an [`Error::File`].
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().into(), problem: problem.into() }
    }

    pub(crate) fn mismatch(
        what: impl Display,
        found: impl Display,
        expected: impl Display,
        advice: impl Display,
    ) -> Self {
        Self::Mismatch(format!("{what}: found {found}, expected {expected}: {advice}"))
    }

    pub(crate) fn values(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Values { what: what.into(), problem: problem.into() }
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Returns the text of [`Error::TooFew`] without the metric.
pub(crate) fn too_few(found: usize, what: &str, needed: usize, advice: &str) -> String {
    let found = format!("{} {} too few", counted(found, &format!("{what} sample")), is_or_are(found));
    format!("{found}, at least {needed} {} needed: {advice}", is_or_are(needed))
}
