//! The folder of a fetched data set: made aside, with checksums, and put in its place when it is whole.

use super::hash;
use crate::Error;
use gan_base::regular_file;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

/// The list of checksums, as `sha256sum -c` reads it.
pub const SUMS: &str = "SHA256SUMS";

/// The most bytes of that list; CelebA's has 20 MB.
const MOST_SUMS: u64 = 1 << 28;

/// Held locked by the process that fills the folder.
const LOCK: &str = ".lock";

/// Whether the data set in `target` is there already: every file that its list names, with the right checksum.
///
/// # Errors
/// [`Error::Fetch`] where something else is there; it is left alone.
pub fn is_there(target: &Path) -> Result<bool, Error> {
    let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if !target.exists() || is_empty(target) {
        return Ok(false);
    }
    let other = |found: String| {
        let (what, advice) = (target.display().to_string(), "move it away, or choose another folder with --out".into());
        Error::Fetch { what, found, advice }
    };
    let sums = regular_file::read_to_string(&target.join(SUMS), MOST_SUMS);
    let sums = sums.map_err(|_| other(format!("it is there already, and not by this command: it has no {SUMS}")))?;
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").ok_or_else(|| other(format!("{SUMS} has the line \"{line}\"")))?;
        let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_inside || hash::of_file(&target.join(name)).ok().as_deref() != Some(sum) {
            return Err(other(format!("it is there already, but {name} is missing or damaged")));
        }
    }
    Ok(true)
}

/// A folder beside its target that takes the files. It is removed unless it is finished.
pub struct Staging {
    folder: PathBuf,
    target: PathBuf,
    sums: Vec<(String, String)>,
    _lock: File,
}

impl Staging {
    /// An empty folder for what is to become `target`. What a killed process left is cleared away.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Fetch`] where another process is filling it.
    pub fn new(target: &Path) -> Result<Self, Error> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let folder = target.with_file_name(format!(".{name}.fetching"));
        let failed = |cause| Error::Write { path: folder.clone(), cause };
        // What a link leads to is not this command's to clear away.
        if fs::symlink_metadata(&folder).is_ok_and(|there| !there.is_dir()) {
            return Err(failed(io::Error::other("it is not a folder of its own: remove it")));
        }
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::create(folder.join(LOCK)).map_err(failed)?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(Error::Fetch {
                what: folder.display().to_string(),
                found: "another process is filling this folder".into(),
                advice: "wait for it to end".into(),
            });
        }
        clear(&folder).map_err(failed)?;
        Ok(Self { folder, target: target.into(), sums: Vec::new(), _lock: lock })
    }

    /// Writes the file `name`, folders and all, and notes its checksum.
    ///
    /// # Errors
    /// [`Error::Write`]; also where a file of that name is there already.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.join(name);
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::create_new(&path)?.write_all(bytes)
        };
        write().map_err(|cause| Error::Write { path: path.clone(), cause })?;
        self.sums.push((name.into(), hash::of_bytes(bytes)));
        Ok(())
    }

    /// Writes the list of checksums and puts the folder in its place.
    ///
    /// # Errors
    /// [`Error::Write`]; the folder is then removed.
    pub fn finish(mut self) -> Result<(), Error> {
        let sums: String = self.sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
        self.write(SUMS, sums.as_bytes())?;
        let place = || {
            File::open(self.folder.join(SUMS))?.sync_all()?;
            // An empty folder may stand there; a rename replaces it on Unix alone.
            fs::remove_dir(&self.target).ok();
            fs::remove_file(self.folder.join(LOCK))?;
            fs::rename(&self.folder, &self.target)
        };
        place().map_err(|cause| Error::Write { path: self.target.clone(), cause })
    }
}

/// Removes everything in `folder` but the lock.
fn clear(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false if entry.file_name() == LOCK => {}
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After the rename there is nothing of that name.
        fs::remove_dir_all(&self.folder).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_and_is_known_again() {
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
    fn what_is_not_finished_is_cleared_away() {
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
    fn what_a_link_in_the_way_leads_to_is_not_cleared_away() {
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
        let sum = hash::of_bytes(b"x");
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
