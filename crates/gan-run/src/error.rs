//! Errors of a run: its folder, evaluations, pictures and report.

use gan_base::FileError;
use std::path::Path;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting, a file, or training itself.
    #[error(transparent)]
    Train(#[from] gan_train::Error),
    /// From gan-metrics.
    #[error(transparent)]
    Metrics(Box<gan_metrics::Error>),
    /// From gan-report.
    #[error(transparent)]
    Report(#[from] gan_report::Error),
}

impl From<gan_metrics::Error> for Error {
    fn from(error: gan_metrics::Error) -> Self {
        Self::Metrics(Box::new(error))
    }
}

/// Implements the conversion of errors that gan-train knows as well.
macro_rules! through_training {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Train(error.into())
            }
        })*
    };
}
through_training!(FileError, gan_comm::Error, gan_core::Error, gan_data::Error, candle_core::Error);

impl Error {
    /// Returns a [`gan_train::Error::Config`].
    pub fn config(key: impl Into<String>, problem: impl Into<String>) -> Self {
        gan_train::Error::config(key, problem).into()
    }

    /// Returns a [`gan_train::Error::File`].
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        gan_train::Error::file(path, problem).into()
    }

    /// Returns whether the cause is the command or its settings, and not an event while it ran.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Train(error) if error.is_usage())
    }
}

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
