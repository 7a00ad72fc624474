//! What can go wrong. Every message says where, what was found, what was expected and what to do.

use crate::Split;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// An error of this crate. Its message is complete: it needs no cause printed after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be opened or read.
    #[error("{0}")]
    Read(String),

    /// A file or folder cannot be created, written or moved.
    #[error("{0}")]
    Write(String),

    /// A file can be read but does not hold what it should.
    #[error("{}: {what}: found {found}, {remedy}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The problem in a few words.
        what: &'static str,
        /// What the file holds.
        found: String,
        /// What it should hold, and what to do.
        remedy: String,
    },

    /// A data set could not be fetched.
    #[error("{0}")]
    Fetch(String),

    /// A setting or argument does not work or is missing, or the data that it names does not exist.
    #[error("{0}")]
    Setting(String),

    /// A position belongs to other data, or to another way of going through it.
    #[error("{0}")]
    Resume(String),

    /// The calling code requested a sample that does not exist, or passed a buffer of the wrong size.
    #[error("{0}")]
    Request(String),

    /// A thread that makes batches could not start, or stopped.
    #[error("{0}")]
    Worker(String),

    /// A file of a data set could not be fetched.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] gan_hub::Error),

    /// Candle could not make the tensor of a batch.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// Whether the cause is an argument or a setting, not the content of files.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Setting(_))
    }

    pub(crate) fn read(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |cause| {
            let advice = match cause.kind() {
                io::ErrorKind::InvalidInput => "name a regular file, or put one in its place",
                io::ErrorKind::FileTooLarge => "check that this is the right file",
                io::ErrorKind::OutOfMemory => "free memory, or use less data",
                _ => "check that the file exists and that you may read it",
            };
            Self::Read(format!("{}: cannot be read ({cause}); {advice}", path.display()))
        }
    }

    pub(crate) fn write(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        let advice = "check the folder's permissions and the free space";
        move |cause| Self::Write(format!("{}: cannot be written ({cause}); {advice}", path.display()))
    }

    pub(crate) fn file(
        path: &Path,
        what: &'static str,
        found: impl Display,
        expected: impl Display,
        advice: impl Display,
    ) -> Self {
        let remedy = format!("expected {expected}; {advice}");
        Self::File { path: path.into(), what, found: found.to_string(), remedy }
    }

    #[cfg(feature = "hub")]
    pub(crate) fn fetch(what: impl Display, found: impl Display, advice: impl Display) -> Self {
        Self::Fetch(format!("{what}: {found}; {advice}"))
    }

    pub(crate) fn setting(key: &str, found: impl Display, expected: impl Display, advice: impl Display) -> Self {
        Self::Setting(format!("{key}: found {found}, expected {expected}; {advice}"))
    }

    pub(crate) fn missing_setting(key: &str, advice: impl Display) -> Self {
        Self::Setting(format!("{key}: is missing; {advice}"))
    }

    /// A folder lacks a file of the data set, whose accepted names are `names`, or does not exist.
    pub(crate) fn missing(folder: &Path, found: impl Display, names: &[String]) -> Self {
        let (folder, names) = (folder.display(), names.join(" or "));
        Self::Setting(format!(
            "{folder}: found {found}, expected the file {names}; put it there, or say where the data is with `data.dir=DIR`"
        ))
    }

    /// For sets that only have a training and a test part.
    pub(crate) fn no_such_split(split: Split) -> Self {
        let found = format!("\"{}\"", format!("{split:?}").to_lowercase());
        Self::setting("data.split", found, "\"train\" or \"test\"", "choose one of them")
    }

    pub(crate) fn worker(batch: u64, message: impl Display) -> Self {
        Self::Worker(format!(
            "batch {batch}: the loader's thread failed: {message}; loading with 0 threads shows the cause more clearly"
        ))
    }
}
