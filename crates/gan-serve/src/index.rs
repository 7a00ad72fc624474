//! Which runs there are in the folders that are served.
//!
//! A request names a run by an identifier that is looked up here. No part of a request is ever used as a path of a run, so no request can
//! leave the folders.

use crate::digest::Digest;
use crate::error::{Error, Result};
use gan_run::RunFolder;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Levels of folders below a served one in which runs are looked for.
const DEPTH: usize = 3;

/// Maximum number of folders that are looked at.
const MOST_FOLDERS: usize = 20_000;

/// Time for which the list counts as new.
const FRESH: Duration = Duration::from_millis(500);

/// The runs in the served folders.
#[derive(Debug)]
pub(crate) struct RunIndex {
    roots: Vec<PathBuf>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    /// By path, and its identifiers. A run that was deleted keeps its identifier.
    ids: HashMap<PathBuf, String>,
    runs: HashMap<String, Arc<Run>>,
    at: Option<Instant>,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    /// What addresses call it.
    pub id: String,
    /// Path below the served folder, for people.
    pub name: String,
    /// Its folder, without links.
    pub path: PathBuf,
    digest: Mutex<Digest>,
}

impl Run {
    /// Returns the digest as of the last look.
    pub(crate) fn digest(&self) -> MutexGuard<'_, Digest> {
        locked(&self.digest)
    }
}

/// Locks a value. A thread that panicked while it held the lock leaves a value that the next look replaces.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RunIndex {
    /// Finds the runs in `folders`, each of which is a run or contains runs.
    pub(crate) fn new(folders: &[PathBuf]) -> Result<Self> {
        let root = |folder: &PathBuf| match fs::canonicalize(folder) {
            Ok(path) if path.is_dir() => Ok(path),
            Ok(_) => Err(Error::folder(folder, "is a file: name a run, or a folder that contains runs")),
            Err(_) => Err(Error::folder(folder, "there is no such folder: name a run, or a folder that contains runs")),
        };
        let roots = folders.iter().map(root).collect::<Result<Vec<_>>>()?;
        let index = Self { roots, found: Mutex::default() };
        index.look();
        Ok(index)
    }

    /// Looks for changes, unless that was done just before.
    pub(crate) fn look(&self) {
        let mut found = locked(&self.found);
        if found.at.is_some_and(|at| at.elapsed() < FRESH) {
            return;
        }
        let mut left = MOST_FOLDERS;
        let mut runs = HashMap::new();
        for root in &self.roots {
            let own = root.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
            let mut paths = vec![];
            collect(root, root, DEPTH, &mut left, &mut paths);
            for path in paths {
                let below = path.strip_prefix(root).unwrap_or(&path);
                let name = if below == Path::new("") { own.clone() } else { below.to_string_lossy().into_owned() };
                let id = found.id(&path, &name);
                let known = found.runs.get(&id).cloned();
                let run = known.unwrap_or_else(|| {
                    Arc::new(Run { id: id.clone(), name, digest: Mutex::new(Digest::new(&path)), path })
                });
                run.digest().look();
                runs.insert(id, run);
            }
        }
        found.runs = runs;
        found.at = Some(Instant::now());
    }

    /// Returns the run that addresses call `id`, also if it was begun just now.
    pub(crate) fn run(&self, id: &str) -> Option<Arc<Run>> {
        let known = || locked(&self.found).runs.get(id).cloned();
        known().or_else(|| {
            self.look();
            known()
        })
    }

    /// Returns all runs, the newest first.
    pub(crate) fn runs(&self) -> Vec<Arc<Run>> {
        let mut runs: Vec<Arc<Run>> = locked(&self.found).runs.values().cloned().collect();
        runs.sort_by_cached_key(|run| (std::cmp::Reverse(RunFolder::begun(&run.path)), run.name.clone()));
        runs
    }
}

impl Found {
    /// Returns the identifier of the run at `path`: its name in letters that need no escaping, with a number if another run has the same.
    fn id(&mut self, path: &Path, name: &str) -> String {
        if let Some(id) = self.ids.get(path) {
            return id.clone();
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let slug: String = name.chars().map(plain).take(100).collect();
        let slug = slug.trim_matches('.');
        let mut candidates = std::iter::once(slug.to_string()).chain((2..).map(|number| format!("{slug}~{number}")));
        let is_free = |id: &String| !id.is_empty() && !self.ids.values().any(|other| other == id);
        let id = candidates.find(is_free).unwrap_or_default();
        self.ids.insert(path.to_path_buf(), id.clone());
        id
    }
}

/// Collects the runs at `path` and below. Links that lead out of `root` are not followed.
fn collect(root: &Path, path: &Path, depth: usize, left: &mut usize, paths: &mut Vec<PathBuf>) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    if path.join("config.toml").is_file() && RunFolder::is_run(path) {
        paths.push(path.to_path_buf());
        return;
    }
    if depth == 0 {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden || entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let real = fs::canonicalize(entry.path()).ok().filter(|real| real.starts_with(root) && real.is_dir());
        if let Some(real) = real.filter(|real| !paths.contains(real) && real.starts_with(path)) {
            collect(root, &real, depth - 1, left, paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(path: &Path) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("config.toml"), gan_train::layering::MARK).unwrap();
    }

    #[test]
    fn runs_are_found_in_folders_and_by_themselves() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "group/b", "group/deep/c", "1/2/3/4", ".hidden"] {
            make(&dir.path().join(name));
        }
        fs::create_dir(dir.path().join("empty")).unwrap();
        let names = |folder: &Path| {
            let index = RunIndex::new(&[folder.to_path_buf()]).unwrap();
            let mut names: Vec<String> = index.runs().iter().map(|run| format!("{} {}", run.id, run.name)).collect();
            names.sort();
            names
        };
        assert_eq!(names(dir.path()), ["a a", "group-b group/b", "group-deep-c group/deep/c"]);
        assert_eq!(names(&dir.path().join("a")), ["a a"]);
    }

    #[test]
    #[cfg(unix)]
    fn links_out_of_the_folder_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join("elsewhere/secret"));
        make(&dir.path().join("runs/own"));
        std::os::unix::fs::symlink(dir.path().join("elsewhere/secret"), dir.path().join("runs/link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("runs/up")).unwrap();
        let index = RunIndex::new(&[dir.path().join("runs")]).unwrap();
        assert_eq!(index.runs().iter().map(|run| run.name.as_str()).collect::<Vec<_>>(), ["own"]);
    }

    #[test]
    fn equal_names_have_identifiers_of_their_own_that_last() {
        let dir = tempfile::tempdir().unwrap();
        make(&dir.path().join("x/run"));
        make(&dir.path().join("y/run"));
        let index = RunIndex::new(&[dir.path().join("x"), dir.path().join("y")]).unwrap();
        let path = index.run("run~2").unwrap().path.clone();
        assert!(path.ends_with("y/run"));
        fs::remove_dir_all(dir.path().join("x/run")).unwrap();
        std::thread::sleep(FRESH);
        index.look();
        assert!(index.run("run").is_none() && index.run("run~2").is_some());
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(RunIndex::new(&[file]).unwrap_err().to_string().contains("is a file"));
        assert!(RunIndex::new(&[dir.path().join("no")]).unwrap_err().to_string().contains("no such folder"));
    }
}
