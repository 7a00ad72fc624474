//! Packs: a data set of images in one file or several, decoded, cropped and scaled once, so that training decodes nothing.
//!
//! In reading order: this file, the [`Pack`] that is read; `format`, the layout of its files; [`write`](fn@write), which makes a pack
//! of any [`Dataset`] of images; `parts`, the files of a pack in several. `docs/packs.md` describes the layout byte by byte.

mod format;
mod parts;
mod write;

pub use format::{Header, MAGIC};
pub use write::{Origin, write};

use crate::Error;
use crate::dataset::{Dataset, scale_all};
use format::{Layout, damaged};
use gan_base::mapped::Mapped;
use gan_base::regular_file;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file name extension of packs.
pub(crate) const EXTENSION: &str = "ganpack";

/// A mapped pack: it opens at once whatever its size, and its pixels do not count as memory of the process.
///
/// Its files are replaced by renaming and never written into; a process that truncates one while others train from it terminates them
/// ([`gan_base::mapped`]).
#[derive(Debug)]
pub struct Pack {
    files: Vec<PackFile>,
    /// The number of images up to the end of each file.
    ends: Vec<usize>,
    /// Of all files together.
    header: Header,
    /// An upper bound of the bytes of pages read since they were last released.
    touched: AtomicUsize,
}

/// Bytes of pages read after which a pack releases them, so that the process stays small however much it reads.
const HELD: usize = 1 << 26;

impl Pack {
    /// Opens the pack at `path`, a file or a folder of files. Checks each one's magic number, version, CRC-32 of the
    /// header and length; each image is checked when it is read.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] if a file is not a pack, of another version, damaged or cut off, or the files of a folder do not
    /// belong to one set.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let paths = parts::paths(path)?;
        let files = paths.iter().map(|path| PackFile::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut header = files[0].header.clone();
        let holds = |header: &Header| format!("images {:?} of {} classes", header.shape, header.classes.len());
        let differs = |file: &&PackFile| (file.header.shape, &file.header.classes) != (header.shape, &header.classes);
        if let Some(other) = files.iter().find(differs) {
            let expected = format!("{}, as in {}", holds(&header), paths[0].display());
            return Err(damaged(&other.path, "another kind of pack", holds(&other.header), expected));
        }
        header.count = 0;
        let mut ends = Vec::with_capacity(files.len());
        for file in &files {
            // The sum fits: each file has at least as many bytes.
            header.count += file.header.count;
            ends.push(header.count);
        }
        if header.count == 0 {
            return Err(damaged(path, "holds no image", "a count of 0", "one image or more"));
        }
        Ok(Self { files, ends, header, touched: AtomicUsize::new(0) })
    }

    /// What all files together hold.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The file that holds image `index`, which must exist, and the image's number there.
    fn find(&self, index: usize) -> (&PackFile, usize) {
        let file = self.ends.partition_point(|end| *end <= index);
        (&self.files[file], index - file.checked_sub(1).map_or(0, |before| self.ends[before]))
    }

    /// Releases the pages read so far from time to time; `size` is that of an image that is about to be read.
    fn release(&self, size: usize) {
        const PAGE: usize = 4096;
        // An image may touch a page for its label, one for its checksum, and those of its pixels.
        let touched = 2 * PAGE + size.next_multiple_of(PAGE);
        if self.touched.fetch_add(touched, Ordering::Relaxed) > HELD {
            self.touched.store(0, Ordering::Relaxed);
            self.files.iter().for_each(|file| file.bytes.forget());
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
        self.release(out.len());
        let (file, index) = self.find(index);
        scale_all(file.image(index)?, out);
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

/// One mapped file of a pack, whose header has been checked.
#[derive(Debug)]
struct PackFile {
    path: PathBuf,
    bytes: Mapped,
    header: Header,
    layout: Layout,
}

impl PackFile {
    fn open(path: &Path) -> Result<Self, Error> {
        // Mapping an empty file fails with an unhelpful message.
        if regular_file::open(path).and_then(|file| file.metadata()).map_err(Error::read(path))?.len() == 0 {
            return Err(damaged(path, "is empty", "0 bytes", "a pack"));
        }
        let bytes = Mapped::open(path).map_err(Error::read(path))?;
        let (header, layout) = format::read(path, &bytes)?;
        tracing::debug!("{}: {} images", path.display(), header.count);
        Ok(Self { path: path.into(), bytes, header, layout })
    }

    /// The class of image `index`, which exists.
    fn label(&self, index: usize) -> Option<u32> {
        self.layout.label_of(index).map(|at| format::number(&self.bytes, at))
    }

    /// The bytes of image `index`, which exists: `[C, H, W]`.
    fn image(&self, index: usize) -> Result<&[u8], Error> {
        let pixels = &self.bytes[self.layout.pixels_of(index)];
        let found = format::checksum(self.label(index), pixels);
        let expected = format::number(&self.bytes, self.layout.checksum_of(index));
        if found != expected {
            let found = format!("CRC-32 {found:08x} of image {index}");
            return Err(damaged(&self.path, "damaged image", found, format!("{expected:08x}")));
        }
        let classes = self.header.classes.len();
        if let Some(label) = self.label(index).filter(|label| *label as usize >= classes) {
            let found = format!("class {label} of image {index}");
            return Err(damaged(&self.path, "no such class", found, format!("a number below {classes}")));
        }
        Ok(pixels)
    }
}

/// Whether `path` is meant as a pack: a file that begins with [`MAGIC`] or whose name ends with `.ganpack`, or a folder that holds
/// nothing but files of such names.
pub fn is_pack(path: &Path) -> bool {
    if path.is_dir() {
        return parts::is_set(path);
    }
    let named = parts::is_called_pack(path);
    let begins = || {
        let mut start = [0; MAGIC.len()];
        regular_file::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *MAGIC
    };
    path.is_file() && (named || begins())
}

#[cfg(test)]
mod tests;
