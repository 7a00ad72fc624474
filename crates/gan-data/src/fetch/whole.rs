//! Fetching from start to end: list, download, convert, put in place.

use super::answers::{Listing, RemoteFile};
use super::cache::Cache;
use super::download;
use super::environment::{Access, Environment};
use super::hub::Hub;
use super::layout::{Parts, write};
use super::place::{Staging, is_there};
use super::source::{Layout, Source};
use crate::Error;
use std::path::{Path, PathBuf};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Bytes of one file; what an earlier try left counts as done.
    Download {
        /// The file's path in its repository.
        file: &'a str,
        /// Bytes that are there.
        done: u64,
        /// Bytes that it has.
        total: u64,
    },
    /// Images written into their new files.
    Unpack {
        /// Images so far.
        done: u64,
        /// Images in all.
        total: u64,
    },
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was there before, and every file has its checksum.
    AlreadyThere,
    /// It was fetched.
    Fetched {
        /// How many images it has.
        images: u64,
    },
}

/// Fetches `source` into the folder `target`, which appears whole or not at all. What the Hub's cache has is not fetched
/// again; a download that broke off goes on.
///
/// # Errors
/// [`Error::Fetch`] where the server cannot be reached, refuses, or sends other bytes than its list says, or where
/// something else is in `target`; [`Error::File`] where the files do not hold the data set; [`Error::Read`] and
/// [`Error::Write`].
pub fn fetch(
    source: &Source,
    target: &Path,
    environment: Environment,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    if target.file_name().is_none() {
        let (what, found) = ("--out".into(), format!("\"{}\" names no folder of its own", target.display()));
        return Err(Error::Fetch { what, found, advice: "name a folder that is not there yet".into() });
    }
    if is_there(target)? {
        return Ok(Outcome::AlreadyThere);
    }
    let hub = Hub::new(environment)?;
    let listing = list(&hub, source)?;
    let chosen = choose(source, &listing)?;
    let mut local = |files: &[&RemoteFile]| -> Result<Vec<PathBuf>, Error> {
        files.iter().map(|file| download::file(&hub, &listing, file, watch)).collect()
    };
    let [train, valid, test] = &chosen;
    let parts = Parts { train: local(train)?, valid: local(valid)?, test: local(test)? };
    let mut staging = Staging::new(target)?;
    let images = write(source.layout, &parts, &mut staging, watch)?;
    staging.write("SOURCE.txt", origin(source, &listing).as_bytes())?;
    staging.finish()?;
    Ok(Outcome::Fetched { images })
}

/// The server's list; the cache's in offline mode.
fn list(hub: &Hub, source: &Source) -> Result<Listing, Error> {
    let Environment { access, cache, .. } = hub.environment();
    let cached = || Cache::open(cache, source.repository).map(|cache| cache.listing(source.repository));
    let known = if *access == Access::CacheOnly { cached()? } else { None };
    known.map_or_else(|| hub.list(source), Ok)
}

/// The files to train on, to choose settings by and to evaluate with, recognised by how their names begin.
fn choose<'a>(source: &Source, listing: &'a Listing) -> Result<[Vec<&'a RemoteFile>; 3], Error> {
    let parts = ["train", "val", "test"].map(|start| {
        let name = |file: &&RemoteFile| file.path.rsplit('/').next().is_some_and(|name| name.starts_with(start));
        listing.files.iter().filter(name).collect::<Vec<_>>()
    });
    let missing = match (source.layout, &parts) {
        (_, [train, ..]) if train.is_empty() => Some("train"),
        (Layout::Idx | Layout::Cifar, [.., test]) if test.is_empty() => Some("test"),
        _ => None,
    };
    let folder = |file: &RemoteFile| file.path.rsplit_once('/').map(|(folder, _)| folder.to_string());
    let mut folders: Vec<_> = parts.iter().flatten().map(|file| folder(file)).collect();
    folders.sort();
    folders.dedup();
    let found = match (missing, folders.len()) {
        (Some(part), _) => format!("no file whose name begins with \"{part}\""),
        (None, 1) => return Ok(parts),
        (None, count) => format!("files in {count} folders, which may be versions of each other"),
    };
    Err(Error::Fetch {
        what: format!("{} on the Hub", listing.repository),
        found,
        advice: format!("the data set there has changed its form: get the files by hand: {}", source.by_hand),
    })
}

/// What is written beside the files about where they are from.
fn origin(source: &Source, listing: &Listing) -> String {
    let files: String = listing.files.iter().map(|file| format!("  {}  {}\n", file.sha256, file.path)).collect();
    format!(
        "{}\nhttps://huggingface.co/datasets/{}, commit {}\nLicence: {}\nMade from these files (SHA-256, path):\n{files}",
        source.name, listing.repository, listing.commit, source.licence
    )
}
