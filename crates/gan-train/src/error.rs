//! Errors of setting up, training, saving and resuming a run.

use gan_base::FileError;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Invalid setting: wrong key, type, range or combination.
    #[error("{key}: {problem}")]
    Config {
        /// Setting, as in `train.batch`, or file.
        key: String,
        /// What was found, what is expected, what to do.
        problem: String,
    },
    /// File or folder that could not be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// Its path.
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
    /// Device that failed while a run was on it.
    #[error("{problem}")]
    Device {
        /// What went wrong and what to do.
        problem: String,
    },
    /// From gan-core.
    #[error(transparent)]
    Core(#[from] gan_core::Error),
    /// From gan-data.
    #[error(transparent)]
    Data(Box<gan_data::Error>),
    /// File that could not be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// From candle.
    #[error("{}", gan_core::strip_backtrace(.0))]
    Candle(#[from] candle_core::Error),
}

impl From<gan_data::Error> for Error {
    fn from(error: gan_data::Error) -> Self {
        Self::Data(Box::new(error))
    }
}

impl From<gan_step::Error> for Error {
    fn from(error: gan_step::Error) -> Self {
        match error {
            gan_step::Error::Config { key, problem } => Self::Config { key, problem },
            gan_step::Error::File { path, problem } => Self::File { path, problem },
            gan_step::Error::Ranks(error) => Self::Ranks(error),
            gan_step::Error::NotFinite { step, what, value } => Self::NotFinite { step, what, value },
            gan_step::Error::Candle(error) => Self::Candle(error),
        }
    }
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

    /// Returns whether the cause is the command or its configuration, and not an event while it ran.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config { .. } => true,
            Self::Core(e) => matches!(e, gan_core::Error::Layer { .. } | gan_core::Error::Network { .. }),
            Self::Data(e) => e.is_usage(),
            Self::File { .. }
            | Self::Ranks(_)
            | Self::NotFinite { .. }
            | Self::Device { .. }
            | Self::Write(_)
            | Self::Candle(_) => false,
        }
    }
}

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Refuses a setting, if it cannot be used.
pub(crate) fn refuse_if(refused: bool, key: impl Into<String>, problem: impl Into<String>) -> Result<()> {
    if refused { Err(Error::config(key, problem)) } else { Ok(()) }
}
