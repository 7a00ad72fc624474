//! Fetching a data set from start to end: list, download, convert, put in place.
//!
//! In reading order: this file (list and download, by [`gan_hub`]); `rows` reads the files; `layout` converts them; `staging` puts the new
//! folder in its place.

mod layout;
mod rows;
mod staging;

use super::{Layout, Source};
use crate::Error;
use gan_hub::{Environment, Hub, Kind, Listing, RemoteFile, Repository};
use staging::{Staging, is_there};
use std::path::Path;

/// Progress of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Bytes of one file, including those of an earlier attempt.
    Download {
        /// The file's path in its repository.
        file: &'a str,
        /// Bytes fetched.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Images written into their new files.
    Unpack {
        /// Images written.
        done: u64,
        /// Images in all.
        total: u64,
    },
}

/// Fetches `source` into the folder `target`, which appears whole or not at all. Returns the number of images, or `None` if the data set
/// was there before and every file has its checksum. Files in the Hub's cache are not fetched again; interrupted downloads resume.
///
/// # Errors
/// [`Error::Fetch`] if the server cannot be reached, refuses, or sends other bytes than its list says, or `target` holds something else;
/// [`Error::File`] if the files do not hold the data set; [`Error::Read`] and [`Error::Write`].
pub fn fetch(
    source: &Source,
    target: &Path,
    environment: Environment,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<u64>, Error> {
    if target.file_name().is_none() {
        let found = format!("\"{}\" names no folder of its own", target.display());
        return Err(Error::fetch("--out", found, "name a folder that is not there yet"));
    }
    if is_there(target)? {
        return Ok(None);
    }
    let hub = Hub::new(environment)?;
    let repository = Repository::new(Kind::Dataset, source.repository)?;
    let by_hand = || format!("get the files by hand: {}", source.by_hand);
    let listing = hub.list(&repository, ".parquet").map_err(|error| error.or(by_hand()))?;
    let mut download = |file: &str, done, total| watch(Progress::Download { file, done, total });
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    for (paths, files) in parts.iter_mut().zip(choose(source, &listing)?) {
        for file in files {
            paths.push(hub.file(&repository, &listing.commit, file, &mut download)?);
        }
    }
    let mut staging = Staging::new(target)?;
    let images = layout::write(source.layout, &parts, &mut staging, watch)?;
    staging.write("SOURCE.txt", origin(source, &listing).as_bytes())?;
    staging.finish()?;
    Ok(Some(images))
}

/// The files of the training, validation and test part, recognised by how their names begin.
fn choose<'a>(source: &Source, listing: &'a Listing) -> Result<[Vec<&'a RemoteFile>; 3], Error> {
    let parts = ["train", "val", "test"].map(|start| {
        let name = |file: &&RemoteFile| file.path.rsplit('/').next().is_some_and(|name| name.starts_with(start));
        listing.files.iter().filter(name).collect::<Vec<_>>()
    });
    let needs_test = match source.layout {
        Layout::Idx | Layout::Cifar => true,
        Layout::Celeba => false,
    };
    let folder = |file: &&RemoteFile| file.path.rsplit_once('/').map(|(folder, _)| folder.to_string());
    let mut folders: Vec<_> = parts.iter().flatten().map(folder).collect();
    folders.sort();
    folders.dedup();
    let found = if parts[0].is_empty() {
        "no file whose name begins with \"train\"".into()
    } else if needs_test && parts[2].is_empty() {
        "no file whose name begins with \"test\"".into()
    } else if folders.len() > 1 {
        format!("files in {} folders, which may be versions of each other", folders.len())
    } else {
        return Ok(parts);
    };
    let advice = format!("the data set there has changed its form: get the files by hand: {}", source.by_hand);
    Err(Error::fetch(format!("{} on the Hub", source.repository), found, advice))
}

/// The text of `SOURCE.txt`.
fn origin(source: &Source, listing: &Listing) -> String {
    let files: String = listing.files.iter().map(|file| format!("  {}  {}\n", file.sha256, file.path)).collect();
    format!(
        "{}\nhttps://huggingface.co/datasets/{}, commit {}\nLicence: {}\nMade from these files (SHA-256, path):\n{files}",
        source.name, source.repository, listing.commit, source.licence
    )
}
