//! The cache of the Hub's tools, shared with Python's `huggingface_hub`: `models--OWNER--NAME/blobs/SHA256` holds the bytes,
//! `snapshots/COMMIT/PATH` links to them, `refs/main` names the commit.

use crate::answers::{RemoteFile, is_commit};
use crate::{Error, Listing, Repository};
use gan_base::regular_file;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The most bytes of the file that names a commit.
const MOST_NAME: u64 = 4096;

/// A repository's part of the cache.
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache of `repository` in the folder `hub`. Creates the folders that it needs.
    pub fn open(hub: &Path, repository: &Repository) -> Result<Self, Error> {
        let root = hub.join(repository.folder());
        let blobs = root.join("blobs");
        fs::create_dir_all(&blobs).map_err(Error::write(&blobs))?;
        Ok(Self { root })
    }

    /// The path of the bytes of `file` once they are complete.
    pub fn blob(&self, file: &RemoteFile) -> PathBuf {
        self.root.join("blobs").join(&file.sha256)
    }

    /// Whether the bytes of `file` are complete and have its checksum. Wrong ones are removed.
    pub fn has(&self, file: &RemoteFile) -> Result<bool, Error> {
        let blob = self.blob(file);
        if !blob.is_file() {
            return Ok(false);
        }
        if sha256_of_file(&blob)? == file.sha256 {
            return Ok(true);
        }
        tracing::warn!("{}: does not have the checksum it is named by; fetching it again", blob.display());
        fs::remove_file(&blob).map_err(Error::write(&blob))?;
        Ok(false)
    }

    /// Opens the bytes of `file` fetched so far, locked against other processes.
    pub fn part(&self, file: &RemoteFile) -> Result<Part, Error> {
        let path = self.root.join("blobs").join(format!("{}.incomplete", file.sha256));
        // A link would lead to another place, and opening a FIFO would wait.
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(Error::write(&path)(io::Error::other("it is not a regular file: remove it")));
        }
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(Error::write(&path))?;
        // On systems without locks, the checksum reveals two processes at once.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::refused(path.display(), "another process is fetching this file", "wait for it to end"));
        }
        Ok(Part { file, path })
    }

    /// The files with this ending in the snapshot that `refs/main` names, if there are any.
    pub fn listing(&self, ending: &str) -> Option<Listing> {
        let commit = regular_file::read_to_string(&self.root.join("refs/main"), MOST_NAME).ok()?.trim().to_string();
        if !is_commit(&commit) {
            return None;
        }
        let mut files = Vec::new();
        list(&self.root.join("snapshots").join(&commit), "", ending, &mut files).ok()?;
        files.sort_by(|a: &RemoteFile, b| a.path.cmp(&b.path));
        (!files.is_empty()).then_some(Listing { commit, files })
    }

    /// Links to the bytes of `file` in the snapshot of `commit`.
    pub fn link(&self, commit: &str, file: &RemoteFile) -> Result<(), Error> {
        let link = self.root.join("snapshots").join(commit).join(&file.path);
        let up = "../".repeat(file.path.split('/').count() + 1);
        let target = format!("{up}blobs/{}", file.sha256);
        point(&link, &target)
            .and_then(|()| fs::create_dir_all(self.root.join("refs")))
            .and_then(|()| fs::write(self.root.join("refs/main"), commit))
            .map_err(Error::write(&link))
    }
}

/// Collects the links to files with this ending in `folder` and below, whose targets are named by their SHA-256.
fn list(folder: &Path, prefix: &str, ending: &str, files: &mut Vec<RemoteFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{path}/"), ending, files)?;
        } else if path.ends_with(ending) {
            let target = fs::read_link(entry.path())?;
            let sha256 = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Other tools' small files are named by git's hash.
            if sha256.len() == 64 {
                files.push(RemoteFile { path, size: fs::metadata(entry.path())?.len(), sha256 });
            }
        }
    }
    Ok(())
}

/// Creates a link, a convenience for other tools, on systems that have symbolic links.
fn point(link: &Path, target: &str) -> io::Result<()> {
    link.parent().map_or(Ok(()), fs::create_dir_all)?;
    #[cfg(unix)]
    if fs::symlink_metadata(link).is_err() {
        std::os::unix::fs::symlink(target, link)?;
    }
    #[cfg(not(unix))]
    let _ = target;
    Ok(())
}

/// A file that is still being fetched.
pub(crate) struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    /// Number of bytes so far.
    pub fn len(&self) -> Result<u64, Error> {
        self.file.metadata().map(|data| data.len()).map_err(Error::read(&self.path))
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::write(&self.path))
    }

    pub fn clear(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(Error::write(&self.path))
    }

    pub fn sha256(&self) -> Result<String, Error> {
        sha256_of_file(&self.path)
    }

    /// Renames the complete file to `blob`.
    pub fn finish(self, blob: &Path) -> Result<(), Error> {
        self.file.sync_all().and_then(|()| fs::rename(&self.path, blob)).map_err(Error::write(&self.path))
    }
}

/// The SHA-256 of `bytes`: 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The SHA-256 of the file at `path`.
///
/// # Errors
/// [`Error::Read`].
pub fn sha256_of_file(path: &Path) -> Result<String, Error> {
    let mut file = regular_file::open(path).map_err(Error::read(path))?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).map_err(Error::read(path))? {
            0 => return Ok(hexadecimal(&sha.finalize())),
            count => sha.update(&buffer[..count]),
        }
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_comes_out() {
        // FIPS 180-2, appendix B.1.
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), wanted);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert_eq!(sha256_of_file(file.path()).unwrap(), wanted);
    }
}
