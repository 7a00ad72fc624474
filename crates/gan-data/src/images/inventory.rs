//! What was found where a data set's files are, and what became of it: which files are not read, and why.

use crate::dataset::Skipped;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What was found beside the images that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Files and folders that cannot be read.
    pub skipped: Vec<Skipped>,
    /// Images that are smaller than the training size, whether they are left out, refused or enlarged.
    pub small: Vec<SmallImage>,
    /// Files that are not read because of their names.
    pub others: OtherFiles,
    /// What looks like a mistake, in sentences.
    pub warnings: Vec<String>,
    /// Why the folders are not classes, where they are not.
    pub no_classes: Option<String>,
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

/// Longer ones are no endings but parts of names with a dot in them.
const LONGEST_ENDING: usize = 10;

impl OtherFiles {
    /// Counts the file called `name`.
    pub fn add(&mut self, name: &Path) {
        let ending = name
            .extension()
            .and_then(|ending| ending.to_str())
            .filter(|ending| ending.len() <= LONGEST_ENDING && ending.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let written = ending.map_or(String::new(), |ending| format!(".{ending}"));
        self.0.entry(written.to_ascii_lowercase()).or_insert((0, written)).0 += 1;
    }

    /// Leaves out those with `ending`, such as ".txt".
    pub fn forget(&mut self, ending: &str) {
        self.0.remove(ending);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// Endings in lower case with their dots, "" for files without one, and how many files have each; the most frequent first.
    pub fn endings(&self) -> Vec<(&str, usize)> {
        let mut endings: Vec<_> = self.0.iter().map(|(ending, (count, _))| (ending.as_str(), *count)).collect();
        endings.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        endings
    }

    /// "95 files with other endings, most .HEIC"; `None` where there are no such files.
    pub fn summary(&self) -> Option<String> {
        let endings = self.endings();
        let (most, _) = endings.first()?;
        let as_written = match self.0.get(*most) {
            Some((_, written)) if !written.is_empty() => written.as_str(),
            _ => "without any",
        };
        let which = if endings.len() == 1 { "all" } else { "most" };
        Some(match self.count() {
            1 => format!("1 file with another ending, {as_written}"),
            count => format!("{count} files with other endings, {which} {as_written}"),
        })
    }

    /// Whether some of them are called like archives.
    pub fn has_archives(&self) -> bool {
        self.0.keys().any(|ending| crate::file_kind::is_called_archive(ending.trim_start_matches('.')))
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
