//! The Hub's rows written down as the files that the readers read: one module a layout.

mod celeba;
mod cifar;
mod idx;

use super::Progress;
use super::place::Staging;
use super::rows::{Sample, Table, wrong};
use super::source::Layout;
use crate::Error;
use image::{DynamicImage, ImageFormat};
use std::path::{Path, PathBuf};

/// A data set's Parquet files on this machine, by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// To train on.
    pub train: Vec<PathBuf>,
    /// To choose settings by; most sets have none.
    pub valid: Vec<PathBuf>,
    /// To judge by.
    pub test: Vec<PathBuf>,
}

/// Counts rows for whoever watches.
pub(super) struct Count<'a> {
    done: u64,
    total: u64,
    watch: &'a mut dyn FnMut(Progress<'_>),
}

/// Writes the rows of `parts` into `staging`, laid out as `layout`. Returns how many there were.
///
/// # Errors
/// [`Error::Read`], [`Error::File`] where a file does not hold what it should, [`Error::Write`].
pub fn write(
    layout: Layout,
    parts: &Parts,
    staging: &mut Staging,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<u64, Error> {
    let mut total = 0;
    for path in [&parts.train, &parts.valid, &parts.test].into_iter().flatten() {
        total += Table::open(path)?.len();
    }
    let mut count = Count { done: 0, total, watch };
    match layout {
        Layout::Idx => idx::write(parts, staging, &mut count)?,
        Layout::Cifar => cifar::write(parts, staging, &mut count)?,
        Layout::Celeba => celeba::write(parts, staging, &mut count)?,
    }
    Ok(total)
}

impl Count<'_> {
    /// Hands every row of `files` to `take`, with the row's number in its file. Problems that `take` finds are
    /// reported with the file's name.
    fn rows(&mut self, files: &[PathBuf], mut take: impl FnMut(Sample) -> Result<(), Trouble>) -> Result<(), Error> {
        for path in files {
            for (at, sample) in Table::open(path)?.samples().enumerate() {
                take(sample?).map_err(|trouble| trouble.at(path, at))?;
                self.done += 1;
                (self.watch)(Progress::Unpack { done: self.done, total: self.total });
            }
        }
        Ok(())
    }
}

/// What is wrong with a row, or with the disk.
enum Trouble {
    Row(String),
    Disk(Error),
}

impl Trouble {
    fn at(self, path: &Path, at: usize) -> Error {
        match self {
            Self::Row(found) => wrong(path, at, found),
            Self::Disk(error) => error,
        }
    }
}

impl From<String> for Trouble {
    fn from(found: String) -> Self {
        Self::Row(found)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Disk(error)
    }
}

/// The pixels of a row's PNG file, `side`×`side`.
fn pixels(sample: &Sample, side: u32) -> Result<DynamicImage, String> {
    let image = image::load_from_memory_with_format(sample.image.data(), ImageFormat::Png);
    let image = image.map_err(|error| format!("an image that is no PNG file ({error})"))?;
    match (image.width(), image.height()) {
        size if size == (side, side) => Ok(image),
        (width, height) => Err(format!("an image of {height}×{width}, expected {side}×{side}")),
    }
}
