//! What every crate of the toolkit shares, and nothing about GANs: seeded random numbers, files, memory, parts of messages.
//!
//! - [`Rng`]: the only source of random numbers, seeded, forkable and serializable.
//! - [`atomic`]: files and folders that appear complete or not at all.
//! - [`regular_file`] and [`mapped`]: opening and mapping the files that a user names.
//! - [`Stopwatch`]: durations, also where there is no clock.
//! - [`memory`]: how much memory this process can have.
//! - [`messages`]: counts with their nouns, "did you mean", serde's errors in plain words.

pub mod atomic;
#[allow(unsafe_code, reason = "mapping a file is unsafe: see the type's documentation")]
pub mod mapped;
pub mod memory;
pub mod messages;
pub mod regular_file;
mod rng;
mod stopwatch;

pub use rng::Rng;
pub use stopwatch::Stopwatch;

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be read, written or renamed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// "read", "write", "replace", …: completes "cannot … PATH".
    pub action: &'static str,
    /// File that the caller named, never a temporary one.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl FileError {
    /// Returns a function that turns an I/O error into one that names `path`.
    pub fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

/// The snippets of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
