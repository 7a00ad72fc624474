//! The image files below a folder, in one order on every machine.

use super::inventory::Inventory;
use crate::Error;
use crate::dataset::Skipped;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The endings of file names that are taken for images, in any case.
pub const ENDINGS: [&str; 8] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp"];

/// What lies below a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// Image files relative to the folder, by the bytes of their paths with `/` between the parts.
    pub images: Vec<PathBuf>,
    /// Other files, not counting hidden ones, and folders that could not be read.
    pub inventory: Inventory,
}

/// Walks through `root` and all folders below it. Links are followed; a folder that was met before is not read again,
/// so that links in a circle end. What starts with a dot is left out.
///
/// # Errors
/// [`Error::Read`] where `root` cannot be read. Folders below it are then listed as skipped.
pub fn walk(root: &Path) -> Result<Found, Error> {
    let read = |cause| Error::Read { path: root.into(), cause };
    let mut met = HashSet::from([root.canonicalize().map_err(read)?]);
    let mut found = Found::default();
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        match entries(&root.join(&folder)) {
            Ok(names) => {
                names.iter().for_each(|name| sort_out(root, folder.join(name), &mut found, &mut met, &mut waiting))
            }
            Err(cause) if folder.as_os_str().is_empty() => return Err(read(cause)),
            Err(cause) => found.inventory.skipped.push(Skipped { path: folder, reason: cause.to_string() }),
        }
    }
    found.images.sort_by_cached_key(|path| key(path));
    Ok(found)
}

/// The names in a folder, sorted, without the hidden ones.
fn entries(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let names: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort();
    Ok(names)
}

fn sort_out(root: &Path, name: PathBuf, found: &mut Found, met: &mut HashSet<PathBuf>, waiting: &mut Vec<PathBuf>) {
    let path = root.join(&name);
    if path.is_dir() {
        if path.canonicalize().is_ok_and(|real| met.insert(real)) {
            waiting.push(name);
        }
    } else if is_image(&name) {
        found.images.push(name);
    } else {
        found.inventory.others.add(&name);
    }
}

/// Whether a file's name ends like an image's.
pub fn is_image(name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// The bytes of a path with `/` between its parts.
fn key(path: &Path) -> Vec<u8> {
    path.iter().map(|part| part.as_encoded_bytes()).collect::<Vec<_>>().join(&b'/')
}
