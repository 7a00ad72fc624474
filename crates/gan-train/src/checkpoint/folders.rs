//! Checkpoint folders: their names, the newest one, and pruning.

use gan_base::regular_file;
use std::fs;
use std::path::{Path, PathBuf};

/// Maximum size of `latest` in bytes.
const MOST_NAME: u64 = 4096;

/// Returns the checkpoint folders, newest first, with the one that `latest` names before all others.
pub(super) fn candidates(dir: &Path) -> Vec<PathBuf> {
    let latest = regular_file::read_to_string(&dir.join("latest"), MOST_NAME).unwrap_or_default();
    let mut all = steps(dir);
    all.sort_by_key(|step| (name(*step) == latest.trim(), *step));
    all.into_iter().rev().map(|step| dir.join(name(step))).collect()
}

/// Returns the name of the checkpoint after `step`.
pub(super) fn name(step: u64) -> String {
    format!("step-{step:07}")
}

/// Returns the steps of the folders with names of checkpoints.
fn steps(dir: &Path) -> Vec<u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let step = |found: String| found.strip_prefix("step-")?.parse().ok().filter(|step| name(*step) == found);
    entries.filter_map(|e| step(e.file_name().to_string_lossy().into_owned())).collect()
}

/// Deletes all but `newest` and those just before it, `keep` in all. Checkpoints beyond `newest` belong to an abandoned past: the run was
/// rolled back, or its end was damaged.
pub(super) fn prune(dir: &Path, newest: u64, keep: usize) {
    forget_after(dir, newest);
    let mut all = steps(dir);
    all.sort_unstable();
    all.truncate(all.len().saturating_sub(keep));
    remove_all(dir, all, "an old checkpoint");
}

/// Returns the step of the newest folder below `dir` with the name of a checkpoint, complete or not.
pub fn newest(dir: &Path) -> Option<u64> {
    steps(dir).into_iter().max()
}

/// Deletes the checkpoints after `step`, because the run was rolled back and continues differently.
pub fn forget_after(dir: &Path, step: u64) {
    let mut all = steps(dir);
    all.retain(|other| *other > step);
    remove_all(dir, all, "a checkpoint that was given up");
}

fn remove_all(dir: &Path, steps: Vec<u64>, what: &str) {
    for path in steps.into_iter().map(|step| dir.join(name(step))) {
        if let Err(error) = remove(&path) {
            tracing::warn!("{}: {what} cannot be deleted: {error}", path.display());
        }
    }
}

/// Removes a checkpoint. Renames it first, so that a process killed in between leaves no partial checkpoint under a valid name.
fn remove(path: &Path) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = path.with_file_name(format!(".{name}.old.tmp"));
    fs::rename(path, &hidden)?;
    fs::remove_dir_all(hidden)
}
