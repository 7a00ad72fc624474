//! Packs: a data set of images in one file, decoded, cropped and scaled once; training from it decodes nothing.
//!
//! In reading order: this file, the [`Pack`] that is read; `format`, what stands where in the file; [`write`](fn@write), which
//! makes one of any [`Dataset`] of images; [`Packs`], one or several of them as one set. The file's layout is described byte by byte in `docs/packs.md`.

mod format;
mod shards;
mod write;

pub use format::{Header, MAGIC, VERSION};
pub use shards::{Packs, write_shards};
pub use write::{Made, Progress, write};

use crate::Error;
use crate::dataset::{Dataset, scale};
use format::{Layout, damaged};
use gan_kernels::mapped::Mapped;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The usual end of a pack's name.
pub const EXTENSION: &str = "ganpack";

/// A pack, mapped: it opens at once whatever its size, and its pixels take no memory of the process.
///
/// A pack is replaced by renaming and never written into; a process that cuts one short while others train from it ends them
/// ([`Mapped`]).
#[derive(Debug)]
pub struct Pack {
    path: PathBuf,
    bytes: Mapped,
    header: Header,
    layout: Layout,
    /// Bytes of pages looked at since they were given back, at most.
    read: AtomicUsize,
}

/// Bytes of pages looked at after which a pack gives them back: a process stays small however much it reads.
const HELD: usize = 1 << 26;

impl Pack {
    /// Opens the pack at `path`. Checks the magic number, the version, the header's CRC-32 and the file's length; each image is
    /// checked when it is read.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] where the file is no pack, of another version, damaged or cut off.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |cause| Error::Read { path: path.into(), cause };
        // Mapping an empty file fails with words that help nobody.
        if std::fs::metadata(path).map_err(failed)?.len() == 0 {
            return Err(damaged(path, "is empty", "0 bytes".into(), "a pack".into()));
        }
        let bytes = Mapped::open(path).map_err(failed)?;
        let (header, layout) = format::read(path, &bytes)?;
        tracing::debug!("{}: {} images", path.display(), header.count);
        Ok(Self { path: path.into(), bytes, header, layout, read: AtomicUsize::new(0) })
    }

    /// What is packed, and what it was made from.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Gives the pages that were read back to the system from time to time; `size` is that of an image that is about to be read.
    fn give_back(&self, size: usize) {
        const PAGE: usize = 4096;
        // Each image touches a page of its label, one of its checksum and its own, if others stand far away.
        let touched = 2 * PAGE + size.next_multiple_of(PAGE);
        if self.read.fetch_add(touched, Ordering::Relaxed) > HELD {
            self.read.store(0, Ordering::Relaxed);
            self.bytes.forget();
        }
    }

    /// The bytes of image `index`, which exists: `[C, H, W]`.
    fn image(&self, index: usize) -> Result<&[u8], Error> {
        let pixels = &self.bytes[self.layout.pixels_of(index)];
        let found = format::checksum(self.label(index), pixels);
        let expected = format::number(&self.bytes, self.layout.checksum_of(index));
        if found != expected {
            let wrong = (format!("CRC-32 {found:08x} of image {index}"), format!("{expected:08x}"));
            return Err(damaged(&self.path, "damaged image", wrong.0, wrong.1));
        }
        match self.label(index) {
            Some(label) if label as usize >= self.header.classes.len() => {
                let expected = format!("a number below {}", self.header.classes.len());
                Err(damaged(&self.path, "no such class", format!("class {label} of image {index}"), expected))
            }
            _ => Ok(pixels),
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
        out.iter_mut().zip(self.image(index)?).for_each(|(value, byte)| *value = scale(*byte));
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        (index < self.header.count).then(|| self.layout.label_of(index).map(|at| format::number(&self.bytes, at)))?
    }

    fn classes(&self) -> &[String] {
        &self.header.classes
    }
}

/// Whether what is at `path` is meant as a pack: a file that begins with [`MAGIC`] or whose name ends with [`EXTENSION`], or a folder that
/// holds files of such names.
pub fn is_pack(path: &Path) -> bool {
    if path.is_dir() {
        return !shards::files(path).is_empty();
    }
    let named = path.extension().is_some_and(|end| end == EXTENSION);
    let begins = || {
        let mut start = [0; MAGIC.len()];
        File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *MAGIC
    };
    path.is_file() && (named || begins())
}

#[cfg(test)]
mod tests;
