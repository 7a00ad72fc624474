//! What can go wrong. Every message says where, what was found, what was expected and what to do.

use crate::Split;
use crate::datasets::DatasetEntry;
use crate::fetch::advice;
use gan_base::messages::choose;
use std::io;
use std::path::PathBuf;

/// The most samples that a set makes: their order alone takes 8 bytes each.
const MOST_COUNT: usize = 100_000_000;

/// An error of this crate. Its message is complete: it needs no cause printed after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused to open or read a file.
    #[error("{}: cannot be read ({cause}); {}", path.display(), read_advice(cause))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },

    /// The system refused to make, write or move a file or folder.
    #[error("{}: cannot be written ({cause}); check the folder's permissions and the free space", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },

    /// A data set could not be fetched.
    #[error("{what}: {found}; {advice}")]
    Fetch {
        /// What was being fetched, or where it was to go.
        what: String,
        /// What went wrong.
        found: String,
        /// What to do.
        advice: String,
    },

    /// A file can be read but does not hold what it should.
    #[error("{}: {what}: found {found}, expected {expected}; {advice}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in a few words.
        what: &'static str,
        /// What the file holds.
        found: String,
        /// What it should hold.
        expected: String,
        /// What to do.
        advice: String,
    },

    /// A folder lacks a file of the data set, or is not there at all.
    #[error(
        "{}: found {found}, expected the file {}; put it there, or say where the data is with --set data.dir=DIR",
        folder.display(), expected.join(" or ")
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// What is there instead.
        found: String,
        /// The names under which the file is accepted.
        expected: Vec<String>,
    },

    /// No folder was named and none of the usual places holds the data set.
    #[error(
        "{name}: found no folder with this data set, expected one of\n{}\nmake one of them, or say where the data is \
         with --set data.dir=DIR or the environment variable GAN_DATA_DIR=DIR (holding {name}/){}",
        lines(tried),
        fetch_hint(name)
    )]
    NoFolder {
        /// The data set.
        name: String,
        /// The places looked at, in order.
        tried: Vec<PathBuf>,
    },

    /// A value that the caller or the configuration chose does not work.
    #[error("{key}: found {found}, expected {expected}; {advice}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// The values that work.
        expected: String,
        /// What to do.
        advice: String,
    },

    /// A setting that the data set needs is not there.
    #[error("{key}: is missing; {advice}")]
    MissingSetting {
        /// The setting.
        key: &'static str,
        /// What to do.
        advice: String,
    },

    /// No data set has this name, and no pack stands for it.
    #[error("data.name: unknown data set \"{name}\"{}", choose(name, &DatasetEntry::names()))]
    UnknownDataset {
        /// The name.
        name: String,
    },

    /// A position belongs to other data or to another way of going through it.
    #[error(
        "resume: {what}: found {found}, expected {expected} as in the checkpoint; set it as it was, or start a new run"
    )]
    Resume {
        /// What differs.
        what: &'static str,
        /// Its value now.
        found: String,
        /// Its value in the checkpoint.
        expected: String,
    },

    /// A request for an image that the data set does not have, or with a buffer of the wrong size.
    #[error("image {index}: {what}: found {found}, expected {expected}; this is a mistake in the calling code")]
    Request {
        /// The image's number.
        index: usize,
        /// What is wrong.
        what: &'static str,
        /// What was requested.
        found: usize,
        /// What is possible.
        expected: String,
    },

    /// A thread that makes batches could not start or stopped.
    #[error(
        "batch {batch}: the loader's thread failed: {message}; loading with 0 threads shows the cause more clearly"
    )]
    Worker {
        /// The batch it should have made.
        batch: u64,
        /// The panic's message or the system's error.
        message: String,
    },

    /// Candle could not make the tensor of a batch.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// Checks how many samples a set is to make.
    pub(crate) fn check_count(count: usize) -> Result<(), Self> {
        if (1..=MOST_COUNT).contains(&count) {
            return Ok(());
        }
        let (found, expected) = (count.to_string(), format!("1 to {MOST_COUNT}"));
        Err(Self::Setting { key: "data.count", found, expected, advice: "choose another number".into() })
    }

    /// Whether the cause is what the caller or the configuration chose, not what files hold.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoFolder { .. }
                | Self::Setting { .. }
                | Self::MissingSetting { .. }
                | Self::UnknownDataset { .. }
                | Self::Missing { .. }
        )
    }

    /// For sets that have nothing but images to train on and images held back.
    pub(crate) fn no_such_split(split: Split) -> Self {
        Self::Setting {
            key: "data.split",
            found: format!("\"{}\"", format!("{split:?}").to_lowercase()),
            expected: "\"train\" or \"test\"".into(),
            advice: "choose one of them".into(),
        }
    }
}

fn read_advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::InvalidInput => "name a regular file, or put one in its place",
        io::ErrorKind::FileTooLarge => "check that this is the right file",
        io::ErrorKind::OutOfMemory => "free memory, or use less data",
        _ => "check that the file exists and that you may read it",
    }
}

fn fetch_hint(name: &str) -> String {
    let source = DatasetEntry::find(name).and_then(|entry| entry.info.source);
    source.map_or(String::new(), |source| format!("; {}", advice(&source)))
}

fn lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|p| format!("  {}", p.display())).collect::<Vec<_>>().join("\n")
}
