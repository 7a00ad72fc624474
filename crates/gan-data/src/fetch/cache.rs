//! The cache of the Hub's tools: `datasets--OWNER--NAME/blobs/SHA256` holds the bytes, `snapshots/COMMIT/PATH` points to
//! them, `refs/main` names the commit. Python's `huggingface_hub` finds there what was fetched here, and the other way.

use super::answers::{Listing, RemoteFile};
use super::hash;
use crate::Error;
use gan_base::regular_file;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The most bytes of a file with a commit's name.
const MOST_NAME: u64 = 4096;

/// A repository's part of the cache.
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// That of `repository` (`owner/name`) in the folder `hub`, with what folders it needs.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn open(hub: &Path, repository: &str) -> Result<Self, Error> {
        let root = hub.join(format!("datasets--{}", repository.replace('/', "--")));
        let blobs = root.join("blobs");
        fs::create_dir_all(&blobs).map_err(|cause| Error::Write { path: blobs, cause })?;
        Ok(Self { root })
    }

    /// Where the bytes of `file` are once they are all there.
    pub fn blob(&self, file: &RemoteFile) -> PathBuf {
        self.root.join("blobs").join(&file.sha256)
    }

    /// Whether the bytes of `file` are there and right. Wrong ones are removed.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Write`].
    pub fn has(&self, file: &RemoteFile) -> Result<bool, Error> {
        let blob = self.blob(file);
        if !blob.is_file() {
            return Ok(false);
        }
        if hash::of_file(&blob)? == file.sha256 {
            return Ok(true);
        }
        tracing::warn!("{}: does not have the checksum it is named by; fetching it again", blob.display());
        fs::remove_file(&blob).map_err(|cause| Error::Write { path: blob, cause })?;
        Ok(false)
    }

    /// What was got of `file` so far, locked against other processes.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Fetch`] where another process is at it.
    pub fn part(&self, file: &RemoteFile) -> Result<Part, Error> {
        let path = self.root.join("blobs").join(format!("{}.incomplete", file.sha256));
        // A link would lead to another place, and opening a FIFO would wait.
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Err(Error::Write { path, cause: io::Error::other("it is not a regular file: remove it") });
        }
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        let opened = opened.map_err(|cause| Error::Write { path: path.clone(), cause })?;
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) => Err(Error::Fetch {
                what: path.display().to_string(),
                found: "another process is fetching this file".into(),
                advice: "wait for it to end".into(),
            }),
            // Where the system knows no locks, two at once are told by the checksum.
            _ => Ok(Part { file: opened, path }),
        }
    }

    /// What the snapshot that `refs/main` names has of Parquet files; none where there is no snapshot.
    pub fn listing(&self, repository: &str) -> Option<Listing> {
        let commit = regular_file::read_to_string(&self.root.join("refs/main"), MOST_NAME).ok()?.trim().to_string();
        // It names a folder in the cache, and must not lead out of it.
        if commit.is_empty() || !commit.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut files = Vec::new();
        list(&self.root.join("snapshots").join(&commit), "", &mut files).ok()?;
        files.sort_by(|a: &RemoteFile, b| a.path.cmp(&b.path));
        (!files.is_empty()).then(|| Listing { repository: repository.into(), commit, files })
    }

    /// Lets the snapshot of `listing` point to the bytes of `file`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn link(&self, listing: &Listing, file: &RemoteFile) -> Result<(), Error> {
        let link = self.root.join("snapshots").join(&listing.commit).join(&file.path);
        let up = "../".repeat(file.path.split('/').count() + 1);
        let target = format!("{up}blobs/{}", file.sha256);
        let name = self.root.join("refs/main");
        point(&link, &target)
            .and_then(|()| fs::create_dir_all(self.root.join("refs")))
            .and_then(|()| fs::write(&name, &listing.commit))
            .map_err(|cause| Error::Write { path: link, cause })
    }
}

/// The links to Parquet files in `folder` and below. What they point to is called by its SHA-256.
fn list(folder: &Path, prefix: &str, files: &mut Vec<RemoteFile>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{path}/"), files)?;
        } else if path.ends_with(".parquet") {
            let target = fs::read_link(entry.path())?;
            let sha256 = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(RemoteFile { path, size: fs::metadata(entry.path())?.len(), sha256 });
        }
    }
    Ok(())
}

/// Links are a convenience for other tools; where the system has none, the bytes are there all the same.
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
pub struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    /// How many bytes are there.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn len(&self) -> Result<u64, Error> {
        let length = self.file.metadata().map(|data| data.len());
        length.map_err(|cause| Error::Read { path: self.path.clone(), cause })
    }

    /// Adds `bytes`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|cause| self.failed(cause))
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn clear(&mut self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|cause| self.failed(cause))
    }

    /// The SHA-256 of what is there.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn sha256(&self) -> Result<String, Error> {
        hash::of_file(&self.path)
    }

    /// Makes it the finished file `blob`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(self, blob: &Path) -> Result<(), Error> {
        self.file.sync_all().and_then(|()| fs::rename(&self.path, blob)).map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: io::Error) -> Error {
        Error::Write { path: self.path.clone(), cause }
    }
}
