//! What can go wrong.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// An error of this crate. Its message is complete: it needs no cause printed after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot be reached, refuses, or sends something else than it should; or a request makes no sense.
    #[error("{what}: {found}; {advice}")]
    Refused {
        /// The file, repository or setting.
        what: String,
        /// What happened.
        found: String,
        /// What to do.
        advice: String,
    },
    /// A file of the cache, or one to upload, cannot be read.
    #[error("{0}")]
    Read(String),
    /// A file of the cache cannot be written.
    #[error("{0}")]
    Write(String),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Returns an error of the server or the request.
    pub fn refused(what: impl Display, found: impl Display, advice: impl Display) -> Self {
        Self::Refused { what: what.to_string(), found: found.to_string(), advice: advice.to_string() }
    }

    /// Adds something else to do.
    #[must_use]
    pub fn or(self, alternative: impl Display) -> Self {
        match self {
            Self::Refused { what, found, advice } => {
                Self::Refused { what, found, advice: format!("{advice}, or {alternative}") }
            }
            other => other,
        }
    }

    pub(crate) fn read(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        let advice = "check that the file exists and that you may read it";
        move |cause| Self::Read(format!("{}: cannot be read ({cause}); {advice}", path.display()))
    }

    pub(crate) fn write(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        let advice = "check the folder's permissions and the free space";
        move |cause| Self::Write(format!("{}: cannot be written ({cause}); {advice}", path.display()))
    }
}
