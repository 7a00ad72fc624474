//! The run folder: its files, its creation, and the protection of its contents.

use crate::error::{Error, Result};
use gan_base::atomic;
use gan_base::regular_file;
use gan_train::config::RunConfig;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Settings of the run.
pub(crate) const SETTINGS: &str = "config.toml";
/// State that alarms roll back to.
pub(crate) const BEST_STATE: &str = "best";
/// Folder of sheets of samples.
pub(crate) const SAMPLES: &str = "samples";
/// Folders of pictures beside `samples/`: D's features, D's output over the plane, G's warped latent grid, and single pictures.
pub const PICTURES: [&str; 4] = ["planes", "surfaces", "meshes", "pictures"];
/// D's features in each logged step of a run on points.
pub(crate) const FEATURES: &str = "planes.jsonl";
/// Log of the run.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// The card of each evaluation.
pub(crate) const EVALUATIONS: &str = "evaluations.jsonl";
/// Other files that a run writes and that are deleted with it.
const FILES: [&str; 9] = [
    "generator.safetensors",
    RunFolder::BEST,
    EVALUATIONS,
    METRICS,
    FEATURES,
    "losses.png",
    "losses.svg",
    "report.html",
    "progress.gif",
];
/// Folders beside those of pictures.
const DIRS: [&str; 3] = ["checkpoints", SAMPLES, BEST_STATE];
/// Maximum size in bytes of config.toml, and of a file of lines: any file may have these names.
pub(crate) const MOST_SETTINGS: u64 = 16 << 20;
pub(crate) const MOST_LINES: u64 = 8 << 30;
/// Start of the name of the file for TensorBoard.
const EVENTS: &str = "events.out.tfevents";
/// File that the process which works in the folder keeps locked.
const LOCK: &str = ".lock";

/// Folder of one run, locked against other processes while this value or a clone of it exists.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: Arc<File>,
}

/// Treatment of a run that is already in the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep it and return an error.
    Keep,
    /// Delete its files.
    Overwrite,
}

impl RunFolder {
    /// File name of the best generator's weights.
    pub const BEST: &'static str = "generator-best.safetensors";

    /// Creates a run at `path` and writes its config.toml.
    ///
    /// # Errors
    /// If the folder contains a run and `existing` keeps it, if it contains anything else, or if it cannot be written.
    pub fn create(path: &Path, config: &RunConfig, existing: Existing) -> Result<Self> {
        let found = content(path)?;
        let refuse = |problem: &str| Err(Error::config(path.display().to_string(), problem));
        match &found {
            Content::Run if existing == Existing::Keep => {
                return refuse(
                    "holds a run already: go on with it (--resume), delete it (--overwrite), or name another folder (--out)",
                );
            }
            Content::Other(example) => {
                return refuse(&format!(
                    "is not empty and not a run (it holds \"{example}\"): name another folder (--out)"
                ));
            }
            Content::Nothing | Content::Run => {}
        }
        fs::create_dir_all(path).map_err(|e| Error::file(path, format!("cannot be created: {e}")))?;
        let folder = Self::locked(path)?;
        // A process that was killed before its first settings were complete leaves a part of them.
        folder.sweep();
        if let Content::Run = found {
            folder.clear()?;
        }
        folder.write_config(config)?;
        Ok(folder)
    }

    /// Opens the run at `path` to resume it, and removes what a killed process left incomplete.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let Content::Run = content(path)? else {
            let problem = "holds no run to go on with: there is no config.toml written by gan train. Leave out --resume to begin one";
            return Err(Error::config(path.display().to_string(), problem));
        };
        let folder = Self::locked(path)?;
        folder.sweep();
        Ok(folder)
    }

    /// Takes the lock, because two processes in one folder would mix their files. The system releases it however a process ends.
    fn locked(path: &Path) -> Result<Self> {
        let file = File::options().create(true).truncate(false).write(true).open(path.join(LOCK));
        let file = file.map_err(|e| Error::file(path.join(LOCK), format!("cannot be opened: {e}")))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let problem =
                    "another gan train is working in this folder: stop it first, or name another folder (--out)";
                return Err(Error::config(path.display().to_string(), problem));
            }
            // Some network file systems have no locks, which should not prevent training.
            Err(TryLockError::Error(error)) => tracing::warn!("{}: cannot be locked: {error}", path.display()),
            Ok(()) => {}
        }
        Ok(Self { path: path.to_path_buf(), _lock: Arc::new(file) })
    }

    /// Returns whether there is a run at `path`.
    pub fn is_run(path: &Path) -> bool {
        matches!(content(path), Ok(Content::Run))
    }

    /// Returns the run that wrote the pictures in the folder `path`, if it is such a folder or lies in one.
    pub fn of_pictures(path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        let is_pictures = |name: &std::ffi::OsStr| name == SAMPLES || PICTURES.iter().any(|own| name == *own);
        let mut folders = real.ancestors().filter(|folder| folder.file_name().is_some_and(is_pictures));
        folders.find_map(|folder| folder.parent().filter(|parent| Self::is_run(parent)).map(Path::to_path_buf))
    }

    /// Returns the creation time of the run at `path`. If it is unknown, the run counts as the oldest.
    pub fn begun(path: &Path) -> SystemTime {
        // This file is never written again after its creation.
        let created = fs::metadata(path.join(LOCK)).and_then(|lock| lock.modified());
        created.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Writes the settings atomically.
    ///
    /// # Errors
    /// If the folder cannot be written.
    pub fn write_config(&self, config: &RunConfig) -> Result<()> {
        let body = toml::to_string(config).map_err(|e| Error::config("config.toml", e.to_string()))?;
        let text = format!(
            "{} Repeat it with `gan train config.toml`, go on with `gan train FOLDER --resume`.\n{body}",
            gan_train::layering::MARK
        );
        Ok(atomic::write(&self.join(SETTINGS), text.as_bytes())?)
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns the path of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.join("checkpoints")
    }

    /// Returns the path of the generator's weights as of the last checkpoint.
    pub fn generator(&self) -> PathBuf {
        self.join("generator.safetensors")
    }

    /// Returns the path of the best generator's weights.
    pub fn best_generator(&self) -> PathBuf {
        self.join(Self::BEST)
    }

    /// Returns whether a process is working in the run at `path`; `false` if that is unknown.
    pub fn is_busy(path: &Path) -> bool {
        let lock = File::open(path.join(LOCK));
        lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Returns the file `events.out.tfevents…` if there is one.
    pub fn events(&self) -> Option<PathBuf> {
        entries(&self.path).find(|path| file_name(path).starts_with(EVENTS))
    }

    /// Deletes the files that a run writes, and nothing else. config.toml, which marks the folder as a run, stays until it is replaced.
    fn clear(&self) -> Result<()> {
        let is_cleared = |path: &PathBuf| is_own(file_name(path)) && file_name(path) != SETTINGS;
        for path in entries(&self.path).filter(is_cleared) {
            remove(&path).map_err(|e| Error::file(&path, format!("cannot be deleted: {e}")))?;
        }
        self.sweep();
        Ok(())
    }

    /// Deletes files and checkpoints that a killed process had not yet renamed.
    fn sweep(&self) {
        let dirs = PICTURES.iter().chain(&DIRS).map(|name| self.join(name)).chain([self.path.clone()]);
        for path in dirs.flat_map(|dir| entries(&dir)).filter(|path| is_left_over(&file_name(path))) {
            remove(&path).ok();
        }
    }
}

/// Returns the run that the file `path` belongs to, or would belong to once it is written: a file that a run writes, or one in its folders
/// of samples, checkpoints and pictures. Other files in a run's folder belong to no run.
pub fn owner(path: &Path) -> Option<PathBuf> {
    let whole = resolved(path)?;
    let owns = |run: &Path| whole.strip_prefix(run).is_ok_and(is_own);
    whole.ancestors().skip(1).find(|folder| owns(folder) && RunFolder::is_run(folder)).map(Path::to_path_buf)
}

/// Returns `path` without links, even if its last parts do not exist yet.
pub fn resolved(path: &Path) -> Option<PathBuf> {
    let named = |path: &&Path| !path.as_os_str().is_empty();
    let (found, real) = path
        .ancestors()
        .filter(named)
        .find_map(|found| Some((found, found.canonicalize().ok()?)))
        .or_else(|| Some((Path::new(""), Path::new(".").canonicalize().ok()?)))?;
    Some(real.join(path.strip_prefix(found).ok()?))
}

/// Returns whether the run writes the path `inside` its folder.
fn is_own(inside: impl AsRef<Path>) -> bool {
    let mut parts = inside.as_ref().iter().map(|part| part.to_string_lossy());
    let first = parts.next().unwrap_or_default();
    let is_file = parts.next().is_none();
    let film = first.strip_suffix(".gif").is_some_and(|name| PICTURES.contains(&name));
    let file = FILES.contains(&&*first) || film || first == SETTINGS || first.starts_with(EVENTS);
    (is_file && file) || PICTURES.iter().chain(&DIRS).any(|dir| first == *dir)
}

/// Returns a number in the settings of the run in the folder `run` as they are written, whether or not this version can use them.
pub(crate) fn written_number(run: &Path, table: &str, key: &str) -> Option<u64> {
    let settings = gan_train::layering::from_file(&run.join(SETTINGS)).ok()?;
    settings.get(table)?.get(key)?.as_integer()?.try_into().ok()
}

enum Content {
    Nothing,
    Run,
    /// The folder contains something else; this is the name of one entry.
    Other(String),
}

fn content(path: &Path) -> Result<Content> {
    if !path.exists() {
        return Ok(Content::Nothing);
    }
    if !path.is_dir() {
        return Err(Error::config(path.display().to_string(), "is a file, a folder is needed for a run (--out)"));
    }
    if regular_file::read_to_string(&path.join(SETTINGS), MOST_SETTINGS)
        .is_ok_and(|text| gan_train::layering::is_run(&text))
    {
        return Ok(Content::Run);
    }
    let found = fs::read_dir(path).map_err(|e| Error::file(path, format!("cannot be read: {e}")))?;
    // The remains of a run that was killed while it wrote its first file do not count.
    let first = found.flatten().map(|e| file_name(&e.path())).find(|name| !is_left_over(name) && name != LOCK);
    Ok(first.map_or(Content::Nothing, Content::Other))
}

/// Returns whether `name` is that of an incomplete file: hidden, with `.tmp` at the end.
fn is_left_over(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Returns the paths in a folder; none if it cannot be read.
pub(crate) fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_owns_what_it_writes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().canonicalize().unwrap().join("run");
        fs::create_dir_all(run.join("samples")).unwrap();
        fs::create_dir_all(run.join("mine/samples")).unwrap();
        let own = [
            "config.toml",
            "losses.png",
            "planes.gif",
            "samples/x.png",
            "samples/new/x.png",
            "samples",
            "best",
            "events.out.tfevents.1",
        ];
        own.iter().for_each(|name| assert_eq!(owner(&run.join(name)), None, "{name}"));
        fs::write(run.join("config.toml"), gan_train::layering::MARK).unwrap();
        own.iter().for_each(|name| assert_eq!(owner(&run.join(name)), Some(run.clone()), "{name}"));
        for other in ["mine.png", "mine", "mine/losses.png", "mine/samples/x.png", "samples.png", "../losses.png"] {
            assert_eq!(owner(&run.join(other)), None, "{other}");
        }
    }
}
