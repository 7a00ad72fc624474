//! One file of a pack, mapped.

use super::format::{self, Header, Layout, damaged};
use crate::Error;
use gan_base::mapped::Mapped;
use gan_base::regular_file;
use std::path::{Path, PathBuf};

/// A file whose head has been checked.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    bytes: Mapped,
    header: Header,
    layout: Layout,
}

impl File {
    /// Checks magic number, version, the header's CRC-32 and the file's length.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |cause| Error::Read { path: path.into(), cause };
        // Mapping an empty file fails with words that help nobody.
        if regular_file::open(path).and_then(|file| file.metadata()).map_err(failed)?.len() == 0 {
            return Err(damaged(path, "is empty", "0 bytes".into(), "a pack".into()));
        }
        let bytes = Mapped::open(path).map_err(failed)?;
        let (header, layout) = format::read(path, &bytes)?;
        tracing::debug!("{}: {} images", path.display(), header.count);
        Ok(Self { path: path.into(), bytes, header, layout })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Gives the memory of all pages that were read back to the system.
    pub(super) fn forget(&self) {
        self.bytes.forget();
    }

    /// The class of image `index`, which exists.
    pub(super) fn label(&self, index: usize) -> Option<u32> {
        self.layout.label_of(index).map(|at| format::number(&self.bytes, at))
    }

    /// The bytes of image `index`, which exists: `[C, H, W]`.
    pub(super) fn image(&self, index: usize) -> Result<&[u8], Error> {
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
