//! Packs: a data set of images in one file or several, decoded, cropped and scaled once; training from it decodes nothing.
//!
//! In reading order: this file, the [`Pack`] that is read; `file`, one file of it; `format`, what stands where in that; [`write`](fn@write), which
//! makes one of any [`Dataset`] of images; `parts`, a pack in several files. The file's layout is described byte by byte in `docs/packs.md`.

mod file;
mod format;
mod parts;
mod write;

pub use format::{Header, MAGIC, VERSION};
pub use parts::write_parts;
pub use write::{Origin, Progress, write};

use crate::Error;
use crate::dataset::{Dataset, scale};
use file::File;
use format::damaged;
use gan_base::regular_file;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The usual end of a pack's name.
pub const EXTENSION: &str = "ganpack";

/// A pack, mapped: it opens at once whatever its size, and its pixels take no memory of the process.
///
/// Its files are replaced by renaming and never written into; a process that cuts one short while others train from it ends them
/// ([`gan_base::mapped`]).
#[derive(Debug)]
pub struct Pack {
    files: Vec<File>,
    /// Where each file's images end.
    ends: Vec<usize>,
    /// Of all files together.
    header: Header,
    /// Bytes of pages looked at since they were given back, at most.
    touched: AtomicUsize,
}

/// Bytes of pages looked at after which a pack gives them back: a process stays small however much it reads.
const HELD: usize = 1 << 26;

impl Pack {
    /// Opens the pack at `path`, a file or a folder of files ([`write_parts`]). Checks each one's magic number, version, CRC-32 of the
    /// header and length; each image is checked when it is read.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] where a file is no pack, of another version, damaged or cut off, and where the files of a folder
    /// are not all of one set.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let paths = parts::paths(path)?;
        let files = paths.iter().map(|path| File::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut header = files[0].header().clone();
        let holds = |header: &Header| format!("images {:?} of {} classes", header.shape, header.classes.len());
        let differs = |file: &&File| (file.header().shape, &file.header().classes) != (header.shape, &header.classes);
        if let Some(other) = files.iter().find(differs) {
            let expected = format!("{}, as in {}", holds(&header), paths[0].display());
            return Err(damaged(other.path(), "another kind of pack", holds(other.header()), expected));
        }
        header.count = 0;
        let ends = files.iter().map(|file| {
            // Each file holds as many bytes, so that the sum fits.
            header.count += file.header().count;
            header.count
        });
        let ends = ends.collect();
        if header.count == 0 {
            return Err(damaged(path, "holds no image", "a count of 0".into(), "one image or more".into()));
        }
        Ok(Self { ends, files, header, touched: AtomicUsize::new(0) })
    }

    /// What is packed, in all files, and what it was made from.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The file that image `index`, which exists, is in, and which of its images it is.
    fn find(&self, index: usize) -> (&File, usize) {
        let file = self.ends.partition_point(|end| *end <= index);
        (&self.files[file], index - file.checked_sub(1).map_or(0, |before| self.ends[before]))
    }

    /// Gives the pages that were read back to the system from time to time; `size` is that of an image that is about to be read.
    fn give_back(&self, size: usize) {
        const PAGE: usize = 4096;
        // Each image touches a page of its label, one of its checksum and its own, if others stand far away.
        let touched = 2 * PAGE + size.next_multiple_of(PAGE);
        if self.touched.fetch_add(touched, Ordering::Relaxed) > HELD {
            self.touched.store(0, Ordering::Relaxed);
            self.files.iter().for_each(File::forget);
        }
    }
}

impl Dataset for Pack {
    fn len(&self) -> usize {
        self.header.count
    }

    fn shape(&self) -> Vec<usize> {
        self.header.shape.to_vec()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        self.give_back(out.len());
        let (file, index) = self.find(index);
        out.iter_mut().zip(file.image(index)?).for_each(|(value, byte)| *value = scale(*byte));
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        let (file, index) = (index < self.len()).then(|| self.find(index))?;
        file.label(index)
    }

    fn classes(&self) -> &[String] {
        &self.header.classes
    }
}

/// Whether what is at `path` is meant as a pack: a file that begins with [`MAGIC`] or whose name ends with [`EXTENSION`], or a folder that
/// holds nothing but files of such names.
pub fn is_pack(path: &Path) -> bool {
    if path.is_dir() {
        return parts::is_set(path);
    }
    let named = path.extension().is_some_and(|end| end == EXTENSION);
    let begins = || {
        let mut start = [0; MAGIC.len()];
        regular_file::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *MAGIC
    };
    path.is_file() && (named || begins())
}

#[cfg(test)]
mod tests;
