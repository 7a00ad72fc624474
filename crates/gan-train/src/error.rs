//! What can go wrong while a run is set up, trained, saved or resumed.

use gan_base::FileError;
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot be used: wrong key, type, range or combination.
    #[error("{key}: {problem}")]
    Config {
        /// The setting, as in `train.batch`, or the file.
        key: String,
        /// What was found, what is expected, what to do.
        problem: String,
    },
    /// A file or folder that could not be read or written.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What went wrong and what to do.
        problem: String,
    },
    /// Something is wrong between the processes that train together.
    #[error("{0}")]
    Ranks(#[from] gan_comm::Error),
    /// A loss or gradient that is not a number any more.
    #[error(
        "step {step}: {what} is not finite ({value}). Nothing of that step was saved. Likely cause: a learning rate that is too high; \
         start again with a lower optimizer.generator.lr and optimizer.discriminator.lr. Else look for values in the data \
         that are not finite."
    )]
    NotFinite {
        /// The step that failed, counted from 1.
        step: u64,
        /// What is not finite.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// From gan-core.
    #[error(transparent)]
    Core(#[from] gan_core::Error),
    /// From gan-data.
    #[error(transparent)]
    Data(Box<gan_data::Error>),
    /// A file that could not be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// From candle.
    #[error("{}", gan_core::error::bare(.0))]
    Candle(#[from] candle_core::Error),
}

impl From<gan_data::Error> for Error {
    fn from(error: gan_data::Error) -> Self {
        Self::Data(Box::new(error))
    }
}

impl Error {
    /// A [`Error::Config`].
    pub fn config(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { key: key.into(), problem: problem.into() }
    }

    /// A [`Error::File`].
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().into(), problem: problem.into() }
    }

    /// Whether the cause is how the command or its configuration is written, not what happened while it ran.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config { .. } => true,
            Self::Core(e) => matches!(e, gan_core::Error::Layer { .. } | gan_core::Error::Network { .. }),
            Self::Data(e) => e.is_usage(),
            _ => false,
        }
    }
}

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
