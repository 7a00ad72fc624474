//! A folder of files that appears when all of them are written.

use super::temporary_name;
use crate::FileError;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Folder that is filled under a hidden name and renamed at the end. If it is dropped before [`commit`](AtomicFolder::commit), nothing is
/// left.
///
/// The files are not flushed one by one, which would wait for the disk each time. A loss of power soon after the end can therefore cost the
/// folder's content, but never a file that existed before.
#[derive(Debug)]
pub struct AtomicFolder {
    staging: PathBuf,
    target: PathBuf,
    /// Whether the target is an empty folder that is kept, as a mount point or `.` must be.
    exists: bool,
    /// Parents that were created for it, the innermost first.
    parents: Vec<PathBuf>,
}

impl AtomicFolder {
    /// Begins the folder `target`, which must not exist or be empty except for hidden files. Its parents are created.
    ///
    /// # Errors
    /// [`FileError`] naming `target`, for instance if it is a file, holds something, or cannot be created.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        Self::begin(target).map_err(FileError::of("create the folder", target))
    }

    fn begin(target: &Path) -> io::Result<Self> {
        let exists = target.is_dir();
        let name = temporary_name(&target.file_name().map_or("new".into(), |name| name.to_string_lossy()));
        let staging = if exists { target.join(name) } else { target.with_file_name(name) };
        let is_visible = |entry: fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
        if exists && fs::read_dir(target)?.flatten().any(is_visible) {
            return Err(io::Error::other("it is not empty"));
        }
        if !exists && fs::symlink_metadata(target).is_ok() {
            return Err(io::Error::other("it is a file"));
        }
        let mut folder = Self { staging, target: target.to_owned(), exists, parents: Vec::new() };
        let above = target.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        let missing: Vec<PathBuf> = above.take_while(|parent| !parent.exists()).map(Path::to_path_buf).collect();
        for parent in missing.into_iter().rev() {
            fs::create_dir(&parent)?;
            folder.parents.insert(0, parent);
        }
        fs::create_dir(&folder.staging)?;
        Ok(folder)
    }

    /// Writes a new file called `name`, which must be a plain file name.
    ///
    /// # Errors
    /// [`FileError`] naming the file in its final place, for instance if the disk is full.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let place = self.target.join(name);
        let failed = FileError::of("write", &place);
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(failed(io::Error::new(ErrorKind::InvalidInput, "it is not a plain file name")));
        }
        File::create_new(self.staging.join(name)).and_then(|mut file| file.write_all(bytes)).map_err(failed)
    }

    /// Moves the folder to its place.
    ///
    /// # Errors
    /// [`FileError`] naming the target, for instance if something else took its place meanwhile, which is left alone.
    pub fn commit(mut self) -> Result<(), FileError> {
        let mut moved = Vec::new();
        let placed = if self.exists { self.fill(&mut moved) } else { fs::rename(&self.staging, &self.target) };
        if placed.is_err() {
            moved.iter().for_each(|file| _ = fs::remove_file(file));
        }
        placed.map_err(FileError::of("create the folder", &self.target))?;
        self.parents.clear();
        Ok(())
    }

    /// Moves the files into the existing folder, and records them in `moved`.
    fn fill(&self, moved: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(&self.staging)? {
            let entry = entry?;
            let to = self.target.join(entry.file_name());
            if fs::symlink_metadata(&to).is_ok() {
                return Err(io::Error::new(ErrorKind::AlreadyExists, "files were put into it meanwhile"));
            }
            fs::rename(entry.path(), &to)?;
            moved.push(to);
        }
        Ok(())
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        // After the rename there is nothing of that name.
        fs::remove_dir_all(&self.staging).ok();
        self.parents.iter().for_each(|parent| _ = fs::remove_dir(parent));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_folder_appears_with_all_its_files_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a/b/images");
        let folder = AtomicFolder::create(&target).unwrap();
        folder.write("1.png", b"one").unwrap();
        assert!(!target.exists());
        drop(folder);
        assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
        let folder = AtomicFolder::create(&target).unwrap();
        folder.write("1.png", b"one").unwrap();
        folder.write("2.png", b"two").unwrap();
        folder.commit().unwrap();
        assert_eq!(names(&target), ["1.png", "2.png"]);
        assert_eq!(names(&dir.path().join("a/b")), ["images"]);
    }

    #[test]
    fn an_empty_folder_is_filled_and_keeps_its_hidden_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".keep"), b"").unwrap();
        let folder = AtomicFolder::create(dir.path()).unwrap();
        folder.write("1.png", b"one").unwrap();
        folder.commit().unwrap();
        assert_eq!(names(dir.path()), [".keep", "1.png"]);
        assert_eq!(fs::read(dir.path().join("1.png")).unwrap(), b"one");
    }

    #[test]
    fn an_existing_folder_is_left_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AtomicFolder::create(dir.path()).unwrap();
        ["1.png", "2.png", "3.png"].iter().for_each(|name| folder.write(name, b"new").unwrap());
        fs::write(dir.path().join("2.png"), b"mine").unwrap();
        let message = folder.commit().unwrap_err().to_string();
        assert!(message.contains("meanwhile"), "{message}");
        assert_eq!(names(dir.path()), ["2.png"]);
        assert_eq!(fs::read(dir.path().join("2.png")).unwrap(), b"mine");
        let message = AtomicFolder::create(dir.path()).unwrap_err().to_string();
        assert!(message.contains("not empty"), "{message}");
        let message = AtomicFolder::create(&dir.path().join("2.png")).unwrap_err().to_string();
        assert!(message.contains("2.png") && message.contains("a file"), "{message}");
    }

    #[test]
    fn files_stay_inside_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = AtomicFolder::create(&dir.path().join("images")).unwrap();
        for name in ["../out.png", "/tmp/out.png", "a/b.png", "..", ".", ""] {
            assert!(folder.write(name, b"x").is_err(), "{name}");
        }
        folder.write("twice.png", b"x").unwrap();
        assert!(folder.write("twice.png", b"x").is_err());
    }
}
