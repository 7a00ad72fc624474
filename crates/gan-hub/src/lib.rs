//! Files from and to the Hugging Face Hub, without tokens, caches or formats of its own: environment variables and cache are those of the Hub's
//! tools.
//!
//! In reading order: [`Repository`]; [`Environment`], which says where to go; `client`, which asks the server; [`answers`], which reads what it
//! says; `cache`, which stores files, and `download`, which fetches, resumes and checks them ([`Hub::file`]); `upload`, which makes a commit of
//! files ([`Hub::upload`]); [`Error`].
//!
//! ```no_run
//! use gan_hub::{Environment, Hub, Kind, Repository};
//!
//! let hub = Hub::new(Environment::of_this_process())?;
//! let repository = Repository::new(Kind::Model, "julia/anime-faces")?;
//! let weights = hub.newest(&repository, "generator.safetensors", &mut |_, _, _| {})?;
//! # Ok::<(), gan_hub::Error>(())
//! ```

#[doc(hidden)] // public for the fuzz target alone
pub mod answers;
mod cache;
mod client;
mod download;
mod environment;
mod error;
mod repository;
mod upload;

pub use answers::RemoteFile;
pub use cache::{sha256, sha256_of_file};
pub use environment::Environment;
pub use error::{Error, Result};
pub use repository::{Kind, Repository};
pub use upload::{Change, Content, Upload, Uploaded};

use cache::Cache;
use client::Client;
use std::path::PathBuf;

/// Called with a file's path, the bytes so far, and the bytes in all.
pub type Watch<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// A repository's files at one commit, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The commit.
    pub commit: String,
    /// The files.
    pub files: Vec<RemoteFile>,
}

/// The Hub.
pub struct Hub {
    client: Client,
}

impl Hub {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`Error::Refused`] if the endpoint is not a web address or TLS cannot be set up.
    pub fn new(environment: Environment) -> Result<Self> {
        Ok(Self { client: Client::new(environment)? })
    }

    /// Returns where it goes.
    pub fn environment(&self) -> &Environment {
        &self.client.environment
    }

    /// Returns the large files at the head of the main branch whose path ends with `ending`; offline, those of the newest snapshot in the cache.
    ///
    /// # Errors
    /// [`Error::Refused`] if the server cannot be reached, refuses, answers in another form, or names no such file.
    pub fn list(&self, repository: &Repository, ending: &str) -> Result<Listing> {
        let cached = || Cache::open(&self.environment().cache, repository).ok()?.listing(ending);
        let cached = if self.environment().is_offline { cached() } else { None };
        cached.map_or_else(|| self.client.list(repository, ending), Ok)
    }

    /// Fetches a file of a listing, unless the cache has it, and returns the path of its bytes. Interrupted downloads resume.
    ///
    /// # Errors
    /// [`Error::Refused`] if the server refuses, repeatedly breaks off, or sends bytes with another SHA-256; [`Error::Read`] and
    /// [`Error::Write`] for the cache's files.
    pub fn file(&self, repository: &Repository, commit: &str, file: &RemoteFile, watch: &mut Watch) -> Result<PathBuf> {
        let cache = Cache::open(&self.environment().cache, repository)?;
        download::file(&self.client, &cache, repository, commit, file, watch)
    }

    /// Fetches the file at `path` at the head of the main branch, and returns the path of its bytes in the cache.
    ///
    /// # Errors
    /// As [`Hub::list`] and [`Hub::file`], and if there is no such file.
    pub fn newest(&self, repository: &Repository, path: &str, watch: &mut Watch) -> Result<PathBuf> {
        let ending = path.rfind('.').map_or(path, |dot| &path[dot..]);
        let listing = self.list(repository, ending)?;
        let found = listing.files.iter().find(|file| file.path == path);
        let missing = || {
            let all: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
            let advice = format!("name one of {}", all.join(", "));
            Error::refused(
                format!("{repository} at {}", self.environment().endpoint),
                format!("it has no {path}"),
                advice,
            )
        };
        self.file(repository, &listing.commit, found.ok_or_else(missing)?, watch)
    }

    /// Adds files to the main branch in one commit, and sends only those that the repository does not have. Creates the repository if it
    /// does not exist.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no token, or the server cannot be reached or refuses; [`Error::Read`] if a file cannot be read. Nothing is
    /// on the branch before everything was sent; what was sent is not sent again the next time.
    pub fn upload(&self, repository: &Repository, upload: &Upload, watch: &mut Watch) -> Result<Uploaded> {
        upload::send(&self.client, repository, upload, watch)
    }
}
