//! Files that appear complete or not at all: they are written beside the target, flushed, and renamed. [`AtomicFolder`] does the same for a
//! folder of files. Each error is a [`FileError`] that names the target, and leaves no temporary file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::FileError;

mod folder;

pub use folder::AtomicFolder;

/// Number of bytes that are collected before the system is called.
const BUFFER: usize = 1 << 18;

/// Replaces the file at `path`. Readers see the old file or the new one, never a part, even if this process is killed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Checks that a file can be created at `path`, by creating and removing a temporary file beside it, so that a command finds out before it
/// computes for hours.
pub fn check_writable(path: &Path) -> Result<(), FileError> {
    AtomicFile::create(path).map(drop)
}

/// File that is written piece by piece and appears under its name when it is complete. If it is dropped before
/// [`commit`](AtomicFile::commit), nothing is left.
#[derive(Debug)]
pub struct AtomicFile {
    writer: BufWriter<File>,
    // Declared after the writer: an open file cannot be removed on every system.
    temporary: Temporary,
    path: PathBuf,
}

impl AtomicFile {
    /// Begins the file at `path`.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let name = path.file_name().ok_or_else(|| io::Error::other("the path has no file name"));
        let name = name.map_err(FileError::of("write", path))?.to_string_lossy();
        let temporary = Temporary(path.with_file_name(temporary_name(&name)));
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary.0);
        let file = file.map_err(FileError::of("write", path))?;
        Ok(Self { writer: BufWriter::with_capacity(BUFFER, file), temporary, path: path.to_owned() })
    }

    /// Appends `bytes`.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.writer.write_all(bytes).map_err(FileError::of("write", &self.path))
    }

    /// Returns the path of the incomplete file, for another program that writes it.
    pub fn temporary(&self) -> &Path {
        &self.temporary.0
    }

    /// Flushes the file to the disk and renames it, which replaces an older file.
    pub fn commit(self) -> Result<(), FileError> {
        let Self { mut writer, temporary, path } = self;
        let flushed = writer.flush().and_then(|()| writer.get_ref().sync_all());
        flushed.map_err(FileError::of("write", &path))?;
        drop(writer);
        fs::rename(&temporary.0, &path).map_err(FileError::of("replace", &path))
    }
}

/// Returns a hidden name, unique within and across processes, for the same folder (a rename must not cross file systems). It has only the
/// beginning of a long name, because a name has at most 255 bytes.
fn temporary_name(name: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name: String = name.chars().take(40).collect();
    format!(".{name}.{}-{}.tmp", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Temporary file, which is removed when this is dropped, unless it was renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

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
        assert!(check_writable(&dir.path().join("no/such.png")).unwrap_err().to_string().contains("such.png"));
    }

    #[test]
    fn a_file_in_pieces_appears_when_it_is_complete_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.bin");
        fs::write(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        (0..3).for_each(|piece| file.write_all(&[piece; BUFFER]).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 3 * BUFFER);
        AtomicFile::create(&path).unwrap().write_all(b"never finished").unwrap();
        assert_eq!((fs::read(&path).unwrap().len(), names(dir.path())), (3 * BUFFER, vec!["long.bin".to_string()]));
    }

    #[test]
    fn a_name_of_the_greatest_length_can_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n".repeat(255));
        write(&path, b"x").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
    }

    #[test]
    fn checking_whether_a_file_can_be_written_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        check_writable(&dir.path().join("new.png")).unwrap();
        assert!(names(dir.path()).is_empty());
    }
}
