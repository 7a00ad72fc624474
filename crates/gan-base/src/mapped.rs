//! A file as a slice of bytes, which the system reads when they are accessed and may drop again.

use crate::regular_file;
use memmap2::Mmap;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// Whole file, mapped for reading. It stays readable when the file is renamed, replaced or removed.
///
/// The bytes are those of the file: a process that writes into it changes them while they are read, and one that truncates it makes the
/// system end this process (`SIGBUS`) at the next access beyond the end. Map only files that are replaced by renaming and never
/// written into, and check what you read.
#[derive(Debug)]
pub struct Mapped(Mmap);

impl Mapped {
    /// Maps the file at `path`. This takes no time and no memory of its own, however large the file is.
    ///
    /// # Errors
    /// Those of [`regular_file::open`], and the system's: no permission, no room in the address space.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = regular_file::open(path)?;
        // SAFETY: the mapping is read-only, and lives as long as the slices borrowed from it. It is shared with the file, so its
        // bytes stay the same only as long as nobody writes into the file, which the documentation above demands of the caller.
        // The bytes are only read as `u8`, for which every value is valid.
        unsafe { Mmap::map(&file) }.map(Self)
    }

    /// Releases the memory of all pages that were read. The next access reads them again, mostly from the system's cache.
    pub fn forget(&self) {
        #[cfg(unix)]
        // SAFETY: the mapping is of a file, shared with it and read-only: its pages come back with the bytes of the file, which are
        // the same under the conditions of `open`. If the system refuses, nothing changes.
        unsafe {
            self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed).ok();
        }
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_the_files_and_outlive_its_name() {
        let path = std::env::temp_dir().join(format!("gan-mapped-{}", std::process::id()));
        std::fs::write(&path, b"some bytes").unwrap();
        let mapped = Mapped::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(&mapped[5..], b"bytes");
        mapped.forget();
        assert_eq!(&mapped[5..], b"bytes");
        assert!(Mapped::open(&path).is_err());
    }
}
