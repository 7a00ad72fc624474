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
    /// A program that writes a file is missing or failed.
    #[error("{0}")]
    Program(String),
    /// Pixels, sizes or counts that do not fit together, or that an encoder rejects.
    #[error("{0}")]
    Shape(String),
}

impl Error {
    /// Converts an I/O error into one that names `path`.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        move |source| FileError::of(action, path)(source).into()
    }
}
