//! What can go wrong while something is measured, each with what was found and what is expected.

use gan_base::messages::{counted, is_or_are};
use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fewer samples than a method needs.
    #[error("{metric}: {}: {advice}", too_few(*found, what, *needed))]
    TooFew {
        /// The metric, as users call it.
        metric: &'static str,
        /// "real" or "generated".
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
        /// What to do.
        advice: &'static str,
    },
    /// Samples or features that do not fit each other or the method.
    #[error("{what}: found {found}, expected {expected}: {advice}")]
    Mismatch {
        /// What does not fit.
        what: String,
        /// What was found.
        found: String,
        /// What is expected.
        expected: String,
        /// What to do.
        advice: String,
    },
    /// Numbers that nothing can be measured with: not finite, or all the same.
    #[error("{what}: {problem}")]
    Values {
        /// Whose.
        what: String,
        /// What is wrong with them and what to do.
        problem: String,
    },
    /// A file that cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// From gan-core.
    #[error(transparent)]
    Core(#[from] gan_core::Error),
    /// From candle.
    #[error("{}", gan_core::strip_backtrace(.0))]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// A [`Error::File`].
    pub fn file(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().into(), problem: problem.into() }
    }
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

fn too_few(found: usize, what: &str, needed: usize) -> String {
    let found = format!("{} {} too few", counted(found, &format!("{what} sample")), is_or_are(found));
    format!("{found}, at least {needed} {} needed", is_or_are(needed))
}
