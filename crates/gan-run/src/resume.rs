//! Going on with a run: back to its last checkpoint, unless that would lose what the run has made.

use crate::error::{Error, Result};
use crate::folder::RunFolder;
use crate::pictures::file_name;
use gan_base::messages::{counted, is_or_are};
use gan_core::weights;
use gan_train::checkpoint;
use gan_train::layering;
use gan_train::plan::Length;
use gan_train::trainer::Trainer;

/// Goes back to the last whole checkpoint of the run in `folder` and returns its step: 0 where nothing beyond the start was saved.
///
/// Where the trainer's settings make the run another length than it had, and it has schedules that are shares of its length, the steps
/// that are done keep the schedule of the length they were trained with; `train.extended` in the settings remembers it, and a warning says
/// so. The settings are to be [written](RunFolder::write_config) afterwards.
///
/// # Errors
/// Where the folder holds results but no whole checkpoint, where the settings or the data are others than the checkpoint's, or where
/// more steps are done than the run is to have. Nothing in the folder is changed then.
pub fn resume(trainer: &mut Trainer, folder: &RunFolder) -> Result<u64> {
    let before = length(folder).map(|length| trainer.steps_in(length));
    let step = checkpoint::restore_of(trainer, &folder.checkpoints(), before)?.unwrap_or(0);
    // An alarm may have taken the run back to its start.
    if step == 0 && trainer.rollbacks() == 0 {
        nothing_is_lost(folder)?;
    }
    let total = trainer.total_steps();
    if step > total {
        let problem = format!(
            "{} {} done already, more than the {total} asked for; --steps and --epochs count from the beginning",
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

/// How long the run was to be when its settings were last written.
fn length(folder: &RunFolder) -> Option<Length> {
    let settings = layering::from_file(&folder.config()).ok()?;
    let train = settings.get("train")?.as_table()?;
    let number = |key: &str| train.get(key)?.as_integer().and_then(|n| u64::try_from(n).ok());
    number("steps").map(Length::Steps).or_else(|| number("epochs").map(Length::Epochs))
}

/// Starting from the beginning is fine only where nothing was ever saved: it would replace the results.
fn nothing_is_lost(folder: &RunFolder) -> Result<()> {
    let Some(result) = result(folder) else { return Ok(()) };
    let problem = format!(
        "holds {result}, but no checkpoint to go on from: checkpoints/ is empty, missing or damaged. Copy it back from where the run was made, \
         or start again with --overwrite, which deletes what the run has made"
    );
    Err(Error::config(folder.path().display().to_string(), problem))
}

/// What a folder without a checkpoint beyond the start would lose, in words.
///
/// A checkpoint of the start is saved before anything else. Where there is one, later lines and the best generator come from a process
/// that was killed before its next checkpoint, and are made again; a generator is saved only with a checkpoint.
fn result(folder: &RunFolder) -> Option<String> {
    let made = |file: &std::path::Path| weights::read(file).map_or(1, |(description, _)| description.step);
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
    let drawn = std::fs::read_dir(folder.samples()).into_iter().flatten().flatten();
    let drawn = drawn.map(|entry| entry.file_name().to_string_lossy().into_owned());
    if let Some(sample) = drawn.filter(|name| name.starts_with("step-") && *name > file_name(0)).max() {
        return Some(format!("samples, the last is {sample}"));
    }
    let last = crate::log::lines(&folder.metrics()).iter().filter_map(|line| line["step"].as_u64()).max();
    last.filter(|step| *step > 0).map(|step| format!("the metrics of {}", counted(step, "step")))
}

/// Says what another length does to the schedules.
fn warn(trainer: &Trainer, before: u64) {
    let schedules = trainer.plan().config().schedules();
    if schedules.is_empty() {
        return;
    }
    let (step, total) = (trainer.step(), trainer.total_steps());
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
