//! The error of reading and writing files.

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be read, written or renamed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// "read", "write", "replace", …: completes "cannot … PATH".
    pub action: &'static str,
    /// The file that the caller named, never a temporary one.
    pub path: PathBuf,
    /// The system's own reason.
    pub source: io::Error,
}

impl FileError {
    /// Returns a function that turns an I/O error into one that names `path`.
    pub fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}
