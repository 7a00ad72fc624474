//! The one error type of the crate: what was wrong, where, and what was expected.

use gan_base::FileError;
use std::path::{Path, PathBuf};

/// Everything that can go wrong while a picture, plot or event file is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read, written or renamed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file was read but does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The offending file.
        path: PathBuf,
        /// What was found and what was expected.
        problem: String,
    },
    /// A line of a metrics file is not a JSON object.
    #[error("{}, line {line}: {problem}; expected one JSON object a line", path.display())]
    Line {
        /// The metrics file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The parser's reason.
        problem: String,
    },
    /// Pixels, sizes or counts that do not fit together.
    #[error("{0}")]
    Shape(String),
    /// An encoder refused data which passed every check: a bug, or no memory.
    #[error("cannot encode {what}: {reason}")]
    Encode {
        /// "PNG", "GIF", "plot".
        what: &'static str,
        /// The encoder's words.
        reason: String,
    },
}

impl Error {
    /// Turns an I/O error into one that names `path`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| FileError::of(action, path)(source).into()
    }

    pub(crate) fn encode(what: &'static str, reason: impl ToString) -> Error {
        Error::Encode { what, reason: reason.to_string() }
    }
}
