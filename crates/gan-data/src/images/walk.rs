//! The image files below a folder, in the same order on every machine, and an inventory of the other files there.

use super::ChannelCounts;
use crate::Error;
use crate::dataset::Skipped;
use crate::file_kind;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// The endings of image files' names, in any case.
pub const ENDINGS: [&str; 10] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// The formats of images, in messages.
pub const FORMATS: &str = "JPEG, PNG, WebP, GIF, BMP or TIFF";

/// The files below a folder.
#[derive(Debug, Default)]
pub struct Found {
    /// Image files relative to the folder, sorted by the bytes of their paths with `/` between the parts.
    pub images: Vec<PathBuf>,
    /// Other files, not counting hidden ones, and folders that could not be read.
    pub inventory: Inventory,
}

/// Walks through `root` and all folders below it. Links are followed; a folder that was met before is not read again,
/// so circular links end. Names that start with a dot are left out.
///
/// # Errors
/// [`Error::Read`] if `root` cannot be read. Unreadable folders below it are listed as skipped.
pub fn walk(root: &Path) -> Result<Found, Error> {
    let read = Error::read(root);
    let mut met = HashSet::from([root.canonicalize().map_err(read)?]);
    let mut found = Found::default();
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        let names = match entries(&root.join(&folder)) {
            Ok(names) => names,
            Err(cause) if folder.as_os_str().is_empty() => return Err(read(cause)),
            Err(cause) => {
                found.inventory.skipped.push(Skipped { path: folder, reason: cause.to_string() });
                continue;
            }
        };
        for name in names.iter().map(|name| folder.join(name)) {
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
    }
    sort(&mut found.images);
    Ok(found)
}

/// Sorts paths by their bytes, with `/` between the parts.
pub(super) fn sort(images: &mut [PathBuf]) {
    let key = |path: &PathBuf| path.iter().map(|part| part.as_encoded_bytes()).collect::<Vec<_>>().join(&b'/');
    images.sort_by_cached_key(key);
}

/// The names in a folder, sorted, without hidden ones.
fn entries(folder: &Path) -> io::Result<Vec<OsString>> {
    let names: io::Result<Vec<_>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort();
    Ok(names)
}

/// Whether a file's name ends like an image's.
pub fn is_image(name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}

/// The files of a data set that are not used as they are, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Files and folders that cannot be read.
    pub skipped: Vec<Skipped>,
    /// Images that are smaller than the training size, whether they are left out, refused or enlarged.
    pub small: Vec<SmallImage>,
    /// Files that are not read because their names do not end like an image's.
    pub others: OtherFiles,
    /// Probable mistakes, in sentences.
    pub warnings: Vec<String>,
    /// Why the folders are not classes, if they are not.
    pub no_classes: Option<String>,
    /// How many of the images that are used hold which channels.
    pub channels: ChannelCounts,
    /// Number of animations among them; only their first frames are read.
    pub animated: usize,
}

/// An image that would have to be enlarged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallImage {
    /// The file.
    pub path: PathBuf,
    /// `[H, W]`
    pub size: [usize; 2],
}

impl fmt::Display for SmallImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}×{})", self.path.display(), self.size[0], self.size[1])
    }
}

/// Files that are not read, counted by the endings of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherFiles(BTreeMap<String, (usize, String)>);

/// Longer ones are not endings but parts of names that contain a dot.
const LONGEST_ENDING: usize = 10;

impl OtherFiles {
    /// Counts the file called `name`.
    pub(crate) fn add(&mut self, name: &Path) {
        let ending = name
            .extension()
            .and_then(|ending| ending.to_str())
            .filter(|ending| ending.len() <= LONGEST_ENDING && ending.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let written = ending.map_or(String::new(), |ending| format!(".{ending}"));
        self.0.entry(written.to_ascii_lowercase()).or_insert((0, written)).0 += 1;
    }

    /// Leaves out one file with `ending`, which is read after all.
    pub(super) fn take_one(&mut self, ending: &str) {
        if let Some((count, _)) = self.0.get_mut(ending) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(ending);
            }
        }
    }

    /// Leaves out the files with `ending`, such as ".txt".
    pub(crate) fn forget(&mut self, ending: &str) {
        self.0.remove(ending);
    }

    /// Number of files.
    pub fn count(&self) -> usize {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// Endings in lower case with their dots, "" for files without one, and the number of files with each; the most frequent first.
    pub fn endings(&self) -> Vec<(&str, usize)> {
        let mut endings: Vec<_> = self.0.iter().map(|(ending, (count, _))| (ending.as_str(), *count)).collect();
        endings.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        endings
    }

    /// "95 files with other endings, most .HEIC"; `None` if there are no such files.
    pub fn summary(&self) -> Option<String> {
        let endings = self.endings();
        let (most, _) = endings.first()?;
        let as_written = if most.is_empty() { "without any" } else { self.0[*most].1.as_str() };
        let which = if endings.len() == 1 { "all" } else { "most" };
        Some(match self.count() {
            1 => format!("1 file with another ending, {as_written}"),
            count => format!("{count} files with other endings, {which} {as_written}"),
        })
    }

    /// Whether some have an archive's ending.
    pub fn has_archives(&self) -> bool {
        self.0.keys().any(|ending| file_kind::is_called_archive(ending.trim_start_matches('.')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_counted_without_regard_to_case() {
        let mut others = OtherFiles::default();
        assert_eq!((others.count(), others.summary()), (0, None));
        others.add(Path::new("a.HEIC"));
        assert_eq!(others.summary().unwrap(), "1 file with another ending, .HEIC");
        others.add(Path::new("below/b.heic"));
        assert_eq!(others.summary().unwrap(), "2 files with other endings, all .HEIC");
        for name in ["c.txt", "README", "a sentence. It ends without a dot", "x.\u{1b}[2J"] {
            others.add(Path::new(name));
        }
        assert_eq!(others.endings(), [("", 3), (".heic", 2), (".txt", 1)]);
        others.forget("");
        assert_eq!(others.summary().unwrap(), "3 files with other endings, most .HEIC");
        assert!(!others.has_archives());
        others.add(Path::new("photos.ZIP"));
        assert!(others.has_archives());
    }
}
