//! The folder of a fetched data set: written beside its target, with checksums, and renamed when it is complete.

use crate::Error;
use gan_base::regular_file;
use gan_hub::{sha256, sha256_of_file};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// The list of checksums, as `sha256sum -c` reads it.
const SUMS: &str = "SHA256SUMS";

/// The most bytes of the list; CelebA's has 20 MB.
const MOST_SUMS: u64 = 1 << 28;

/// A file that the process that fills the folder keeps locked.
const LOCK: &str = ".lock";

/// Whether `target` holds the data set: every file that its list names, with the right checksum. An error if it holds something else,
/// which is left alone.
pub(super) fn is_there(target: &Path) -> Result<bool, Error> {
    let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if !target.exists() || is_empty(target) {
        return Ok(false);
    }
    let other =
        |found: String| Error::fetch(target.display(), found, "move it away, or choose another folder with --out");
    let sums = regular_file::read_to_string(&target.join(SUMS), MOST_SUMS);
    let sums = sums.map_err(|_| other(format!("it is there already, and not by this command: it has no {SUMS}")))?;
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").ok_or_else(|| other(format!("{SUMS} has the line \"{line}\"")))?;
        let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || sha256_of_file(&target.join(name)).ok().as_deref() != Some(sum) {
            return Err(other(format!("it is there already, but {name} is missing or damaged")));
        }
    }
    Ok(true)
}

/// A folder beside its target that receives the files. It is removed unless it is finished.
pub(super) struct Staging {
    folder: PathBuf,
    target: PathBuf,
    sums: Vec<(String, String)>,
    _lock: File,
}

impl Staging {
    /// Creates an empty folder that is to become `target`, and removes what a killed process left there.
    pub fn new(target: &Path) -> Result<Self, Error> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let folder = target.with_file_name(format!(".{name}.fetching"));
        let failed = Error::write(&folder);
        // The target of a link does not belong to this command.
        if fs::symlink_metadata(&folder).is_ok_and(|there| !there.is_dir()) {
            return Err(failed(io::Error::other("it is not a folder of its own: remove it")));
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::create(folder.join(LOCK)).map_err(failed)?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Error::fetch(folder.display(), "another process is filling this folder", "wait for it to end"));
        }
        clear(&folder).map_err(failed)?;
        Ok(Self { folder, target: target.into(), sums: Vec::new(), _lock: lock })
    }

    /// Writes the new file `name`, creating its folders, and stores its checksum.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.join(name);
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::create_new(&path)?.write_all(bytes)
        };
        write().map_err(Error::write(&path))?;
        self.sums.push((name.into(), sha256(bytes)));
        Ok(())
    }

    /// Writes the list of checksums and renames the folder to its target. If that fails, the folder is removed.
    pub fn finish(mut self) -> Result<(), Error> {
        let sums: String = self.sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
        self.write(SUMS, sums.as_bytes())?;
        let place = || {
            File::open(self.folder.join(SUMS))?.sync_all()?;
            // A rename replaces an existing empty folder only on Unix.
            fs::remove_dir(&self.target).ok();
            fs::remove_file(self.folder.join(LOCK))?;
            fs::rename(&self.folder, &self.target)
        };
        place().map_err(Error::write(&self.target))
    }
}

/// Removes everything in `folder` except the lock.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After the rename, no folder has that name.
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_appears_complete_and_is_recognized() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("deep/set");
        let mut staging = Staging::new(&target).unwrap();
        staging.write("below/a.txt", b"abc").unwrap();
        assert!(staging.write("below/a.txt", b"abc").is_err() && !target.exists());
        assert!(Staging::new(&target).is_err_and(|error| error.to_string().contains("another process")));
        staging.finish().unwrap();
        assert!(is_there(&target).unwrap());
        let sums = fs::read_to_string(target.join(SUMS)).unwrap();
        assert_eq!(sums, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  below/a.txt\n");
        assert_eq!(fs::read_dir(dir.path().join("deep")).unwrap().count(), 1);
        fs::write(target.join("below/a.txt"), b"abd").unwrap();
        assert!(is_there(&target).unwrap_err().to_string().contains("below/a.txt is missing or damaged"));
    }

    #[test]
    fn unfinished_downloads_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("set");
        fs::create_dir_all(dir.path().join(".set.fetching/old")).unwrap();
        let mut staging = Staging::new(&target).unwrap();
        staging.write("a", b"a").unwrap();
        drop(staging);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn the_target_of_a_link_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("mine"), b"x").unwrap();
        std::os::unix::fs::symlink(other.path(), dir.path().join(".set.fetching")).unwrap();
        let message = Staging::new(&dir.path().join("set")).err().unwrap().to_string();
        assert!(message.contains("not a folder of its own"), "{message}");
        assert!(other.path().join("mine").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_list_that_names_files_elsewhere_or_never_ends_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let sum = sha256(b"x");
        fs::write(dir.path().join("x"), b"x").unwrap();
        fs::create_dir(dir.path().join("set")).unwrap();
        for name in ["../x".into(), dir.path().join("x").display().to_string()] {
            fs::write(dir.path().join("set").join(SUMS), format!("{sum}  {name}\n")).unwrap();
            assert!(is_there(&dir.path().join("set")).unwrap_err().to_string().contains("is missing or damaged"));
        }
        fs::remove_file(dir.path().join("set").join(SUMS)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("set").join(SUMS)).unwrap();
        assert!(is_there(&dir.path().join("set")).unwrap_err().to_string().contains("it has no SHA256SUMS"));
    }

    #[test]
    fn other_folders_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_there(dir.path()).unwrap() && !is_there(&dir.path().join("absent")).unwrap());
        fs::write(dir.path().join("mine"), b"x").unwrap();
        assert!(is_there(dir.path()).unwrap_err().to_string().contains("it has no SHA256SUMS"));
    }
}
