//! The repository's own text files, read once: sources, manifests, presets, pages.

use crate::fault::Fault;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folders that hold files of ours; beside them, files at the root itself.
const FOLDERS: [&str; 9] = ["benches", "crates", "data", "docs", "examples", "fuzz", "presets", "tests", "xtask"];

const EXTENSIONS: [&str; 3] = [".rs", ".toml", ".md"];

/// A text file.
pub struct File {
    /// From the root, with `/`.
    pub path: String,
    pub text: String,
}

/// The files, sorted by path.
pub struct Tree {
    pub root: PathBuf,
    pub files: Vec<File>,
}

impl Tree {
    /// Reads the files under `root`.
    ///
    /// # Errors
    /// If a folder cannot be listed or a file is not readable as UTF-8.
    pub fn read(root: &Path) -> Result<Self, Fault> {
        let mut tree = Self { root: root.into(), files: Vec::new() };
        let here = listed(root)?;
        for (name, path) in here.files {
            tree.add(name, &path)?;
        }
        for (name, path) in here.folders.into_iter().filter(|(name, _)| FOLDERS.contains(&name.as_str())) {
            tree.add_folder(&name, &path)?;
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// The files whose path ends so.
    pub fn ending(&self, end: &'static str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    fn add_folder(&mut self, prefix: &str, folder: &Path) -> Result<(), Fault> {
        let here = listed(folder)?;
        for (name, path) in here.files {
            self.add(format!("{prefix}/{name}"), &path)?;
        }
        for (name, path) in here.folders {
            self.add_folder(&format!("{prefix}/{name}"), &path)?;
        }
        Ok(())
    }

    fn add(&mut self, path: String, at: &Path) -> Result<(), Fault> {
        if EXTENSIONS.iter().any(|extension| path.ends_with(extension)) {
            let text = fs::read_to_string(at).map_err(|error| unreadable(at, &error))?;
            self.files.push(File { path, text });
        }
        Ok(())
    }
}

/// What a folder holds: names and paths. Hidden files and folders, links and build folders are left out.
#[derive(Default)]
struct Listing {
    files: Vec<(String, PathBuf)>,
    folders: Vec<(String, PathBuf)>,
}

fn listed(folder: &Path) -> Result<Listing, Fault> {
    let list = || -> io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (name, kind) = (entry.file_name().to_string_lossy().into_owned(), entry.file_type()?);
            match () {
                () if name.starts_with('.') || name == "target" => {}
                () if kind.is_dir() => listing.folders.push((name, entry.path())),
                () if kind.is_file() => listing.files.push((name, entry.path())),
                () => {}
            }
        }
        Ok(listing)
    };
    list().map_err(|error| unreadable(folder, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    Fault::failed(format!("tidy cannot read {}: {error}", path.display()))
}

#[cfg(test)]
impl Tree {
    /// A tree of made-up files.
    pub fn made(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        Self { root: PathBuf::new(), files: files.iter().map(file).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_files_are_found() {
        let tree = Tree::read(&crate::workspace::root()).unwrap();
        let has = |path: &str| tree.files.iter().any(|file| file.path == path);
        assert!(has("Cargo.toml") && has("xtask/Cargo.toml") && has("xtask/src/tidy/tree.rs"));
        assert!(tree.files.iter().all(|file| !file.path.contains("target/") && !file.path.starts_with('.')));
        assert!(tree.files.is_sorted_by(|a, b| a.path < b.path));
    }
}
