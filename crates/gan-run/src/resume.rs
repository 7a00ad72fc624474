//! Resuming a run from its last checkpoint, unless that would lose results.

use crate::error::{Error, Result};
use crate::folder::{self, METRICS, RunFolder, SAMPLES, entries, written_number};
use crate::log::lines;
use crate::pictures::file_name;
use gan_base::messages::{counted, is_or_are};
use gan_core::weights;
use gan_train::Length;
use gan_train::Trainer;
use gan_train::checkpoint;
use serde_json::Value;

/// Restores the last complete checkpoint of the run in `folder` and returns its step; 0 if nothing beyond the start was saved.
///
/// If the trainer's settings change the run's length, and it has schedules that are fractions of its length, completed steps keep the
/// schedule of their length; `train.extended` in the settings records it, and a warning reports it. [Write](RunFolder::write_config) the
/// settings afterwards.
///
/// # Errors
/// If the folder contains results but no complete checkpoint, if the settings or the data differ from the checkpoint's, or if more steps
/// are done than the run is to have. Nothing in the folder is then changed.
pub fn resume(trainer: &mut Trainer, folder: &RunFolder) -> Result<u64> {
    let before = length(folder).map(|length| trainer.steps_in(length));
    let step = checkpoint::restore(trainer, &folder.checkpoints(), before)?.unwrap_or(0);
    // An alarm may have rolled the run back to its start.
    if step == 0 && trainer.rollbacks() == 0 {
        nothing_is_lost(folder)?;
    }
    let total = trainer.total_steps();
    if step > total {
        let problem = format!(
            "{} {} done already, more than the {total} requested; --steps and --epochs count from the beginning",
            counted(step, "step"),
            is_or_are(step)
        );
        return Err(Error::config(folder.path().display().to_string(), problem));
    }
    if let Some(before) = before.filter(|before| step > 0 && *before != total) {
        warn(trainer, before);
    }
    Ok(step)
}

/// Returns the run's length when its settings were last written.
fn length(folder: &RunFolder) -> Option<Length> {
    let number = |key: &str| written_number(folder.path(), "train", key);
    number("steps").map(Length::Steps).or_else(|| number("epochs").map(Length::Epochs))
}

/// Checks that nothing was ever saved: otherwise a start from the beginning would replace the results.
fn nothing_is_lost(folder: &RunFolder) -> Result<()> {
    let Some(result) = result(folder) else { return Ok(()) };
    let problem = format!(
        "holds {result}, but no checkpoint to go on from: checkpoints/ is empty, missing or damaged. Copy it back from where the run was made, \
         or start again with --overwrite, which deletes what the run has made"
    );
    Err(Error::config(folder.path().display().to_string(), problem))
}

/// Describes the results that a folder without a checkpoint beyond the start would lose.
///
/// A checkpoint of the start is saved before anything else. If there is one, later lines and the best generator come from a process that
/// was killed before its next checkpoint, and are generated again; a generator is only saved with a checkpoint.
fn result(folder: &RunFolder) -> Option<String> {
    let made = |file: &std::path::Path| weights::read_description(file).map_or(1, |description| description.step);
    let of = |what: &str, step: u64| format!("{what} of step {step}");
    if folder.generator().is_file() {
        return Some(of("a generator", made(&folder.generator())));
    }
    if checkpoint::newest(&folder.checkpoints()).is_some() {
        return None;
    }
    let best = folder.best_generator();
    let step = if best.is_file() { made(&best) } else { 0 };
    if step > 0 {
        return Some(of("a best generator", step));
    }
    let drawn = entries(&folder.join(SAMPLES)).map(|path| folder::file_name(&path));
    if let Some(sample) = drawn.filter(|name| name.starts_with("step-") && *name > file_name(0)).max() {
        return Some(format!("samples, the last is {sample}"));
    }
    let last = lines::<Value>(&folder.join(METRICS)).filter_map(|line| line["step"].as_u64()).max();
    last.filter(|step| *step > 0).map(|step| format!("the metrics of {}", counted(step, "step")))
}

/// Warns about the effect of another length on the schedules.
fn warn(trainer: &Trainer, before: u64) {
    let schedules = trainer.plan().config().schedules();
    if schedules.is_empty() {
        return;
    }
    let step = trainer.step();
    let total = trainer.total_steps();
    let rates = trainer.plan().config().train.decay.map(|_| {
        let rate = 100.0 * trainer.lr_factor();
        format!(" The learning rates go on at {rate:.0} % of their settings.")
    });
    tracing::warn!(
        "the run was to be {} long, now {total}, and {} follows its length. What is done keeps the old schedule, and from step {} on the new \
         one holds.{} config.toml records this as train.extended, so that it repeats this run; a run of {total} steps from the start is another",
        counted(before, "step"),
        schedules.join(" and "),
        step + 1,
        rates.unwrap_or_default()
    );
}
