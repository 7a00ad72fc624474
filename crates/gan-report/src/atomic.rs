//! Whole files or none: write beside the target, flush, rename over it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::Error;

/// Replaces `path` by `bytes`. A reader, or a killed process, sees the old file or the new one, never a part.
///
/// # Errors
/// [`Error::File`] naming `path`; the temporary file is gone by then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"));
    let temporary =
        Temporary(path.with_file_name(temporary_name(&name.map_err(Error::file("write", path))?.to_string_lossy())));
    temporary.fill(bytes).map_err(Error::file("write", path))?;
    fs::rename(&temporary.0, path).map_err(Error::file("replace", path))
}

/// Hidden, in the same directory (a rename must not cross file systems), and unique within and across processes.
fn temporary_name(name: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!(".{name}.{}-{}.tmp", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Removes itself when dropped; after the rename there is nothing left to remove.
struct Temporary(PathBuf);

impl Temporary {
    fn fill(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file: File = OpenOptions::new().write(true).create_new(true).open(&self.0)?;
        file.write_all(bytes)?;
        file.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_the_old_file_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write(&path, b"old, and longer").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["a.txt"]);
    }

    #[test]
    fn a_failed_rename_removes_the_temporary_file_and_names_the_target() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken.png");
        fs::create_dir(&path).unwrap();
        let message = write(&path, b"x").unwrap_err().to_string();
        assert!(message.contains("taken.png") && !message.contains(".taken"), "{message}");
        assert_eq!(names(dir.path()), ["taken.png"]);
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let message = write(&dir.path().join("no/such.png"), b"x").unwrap_err().to_string();
        assert!(message.contains("such.png"), "{message}");
        assert!(write(Path::new("/"), b"x").is_err());
    }
}
