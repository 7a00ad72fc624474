//! The repository's own text files, read once: sources, manifests, presets, pages.

use crate::Fault;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders with files of this project; the files at the root are read too.
const FOLDERS: [&str; 9] = ["benches", "crates", "data", "docs", "examples", "fuzz", "presets", "tests", "xtask"];

const EXTENSIONS: [&str; 3] = [".rs", ".toml", ".md"];

/// A text file.
pub struct File {
    /// Path from the root, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    /// Returns the source without the unit tests at its end.
    pub fn without_tests(&self) -> &str {
        without_tests(&self.text)
    }
}

/// Returns a source without the unit tests at its end.
pub fn without_tests(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests").map_or(text, |(source, _)| source)
}

/// The files, sorted by path.
pub struct Tree {
    pub root: PathBuf,
    pub files: Vec<File>,
}

impl Tree {
    /// Reads the files under `root`. Fails if a folder cannot be listed or a file is not readable as UTF-8.
    pub fn read(root: &Path) -> Result<Self, Fault> {
        let mut tree = Self { root: root.into(), files: Vec::new() };
        tree.add_folder("")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// Returns the files whose path ends with `end`.
    pub fn ending(&self, end: &'static str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    /// Adds the files in a folder and below it. Hidden files and folders, links and build folders are left out.
    fn add_folder(&mut self, folder: &str) -> Result<(), Fault> {
        let at = self.root.join(folder);
        let unreadable = |error: io::Error| Fault::failed(format!("tidy cannot read {}: {error}", at.display()));
        for entry in fs::read_dir(&at).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(unreadable)?;
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if kind.is_dir() && (!folder.is_empty() || FOLDERS.contains(&name.as_str())) {
                self.add_folder(&path)?;
            } else if kind.is_file() && EXTENSIONS.iter().any(|extension| name.ends_with(extension)) {
                let unreadable = |error| Fault::failed(format!("tidy cannot read {path}: {error}"));
                let text = fs::read_to_string(entry.path()).map_err(unreadable)?;
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Tree {
    /// Returns a tree of made-up files.
    pub fn made(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.into(), text: text.into() };
        Self { root: PathBuf::new(), files: files.iter().map(file).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_workspace_are_found() {
        let tree = Tree::read(&crate::cargo::root()).unwrap();
        let has = |path: &str| tree.files.iter().any(|file| file.path == path);
        assert!(has("Cargo.toml") && has("xtask/Cargo.toml") && has("xtask/src/tidy/tree.rs"));
        assert!(tree.files.iter().all(|file| !file.path.contains("target/") && !file.path.starts_with('.')));
        assert!(tree.files.is_sorted_by(|a, b| a.path < b.path));
    }
}
