//! Errors of this crate: what was wrong, where, and what was expected.

use gan_base::FileError;
use std::path::{Path, PathBuf};

/// Error of making a picture, plot or event file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read, written or renamed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file was read but does not have the expected contents.
    #[error("{}: {problem}", path.display())]
    Content {
        /// Path of the file.
        path: PathBuf,
        /// Description of what was found and what was expected.
        problem: String,
    },
    /// A line of a metrics file is not a JSON object.
    #[error("{}, line {line}: {problem}; expected one JSON object a line", path.display())]
    Line {
        /// Path of the metrics file.
        path: PathBuf,
        /// Number of the line, counted from 1.
        line: usize,
        /// Reason given by the parser.
        problem: String,
    },
    /// Pixels, sizes or counts that do not fit together.
    #[error("{0}")]
    Shape(String),
    /// An encoder failed on data that passed every check, because of a bug or a lack of memory.
    #[error("cannot encode {what}: {reason}")]
    Encode {
        /// "PNG", "GIF", "plot".
        what: &'static str,
        /// Message of the encoder.
        reason: String,
    },
}

impl Error {
    /// Converts an I/O error into one that names `path`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| FileError::of(action, path)(source).into()
    }

    pub(crate) fn encode(what: &'static str, reason: impl ToString) -> Error {
        Error::Encode { what, reason: reason.to_string() }
    }
}
