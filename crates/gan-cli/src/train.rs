//! `gan train`.

use crate::args::{TrainArgs, Usage};
use crate::output;
use crate::progress::Progress;
use crate::quoting::shell_quoted;
use crate::team::{self, Place};
use crate::{FAILED, STOPPED, say, source};
use anyhow::{Context, Result};
use gan_data::NeedsFiles;
use gan_run::folder::PICTURES;
use gan_run::{Existing, Outcome, RunFolder, RunSummary, planes, record};
use gan_train::{Plan, Trainer, checkpoint, presets};
use jiff::Zoned;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Trains or resumes a run, and prints where the results are.
pub fn run(args: &TrainArgs, quiet: bool) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    team::run(args.gpus, &args.device, |place| rank(args, quiet, place, &stop))
}

/// Runs one rank.
fn rank(args: &TrainArgs, quiet: bool, place: &Place, stop: &Arc<AtomicBool>) -> Result<ExitCode> {
    stop_on_signal(place, stop)?;
    let plan = || plan(args, &target(args)?);
    // The run's folder need not be visible to ranks other than rank 0.
    let plan = if args.resume { team::plan_of_first(place.ranks.as_ref(), plan) } else { plan() };
    let threads = plan.as_ref().map_or(0, |plan| plan.config().train.threads);
    place.compute(threads, || {
        let begun = plan.and_then(|plan| Ok(Trainer::new(plan, &place.device()?)?));
        match place.start(begun)? {
            Some(trainer) => lead(args, quiet, place, trainer, stop),
            None => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Runs rank 0, or the only process.
fn lead(args: &TrainArgs, quiet: bool, place: &Place, mut trainer: Trainer, stop: &AtomicBool) -> Result<ExitCode> {
    let folder = match folder(args, &mut trainer, quiet) {
        Ok(folder) => folder,
        Err(error) => {
            trainer.shutdown();
            return Err(error);
        }
    };
    let config = trainer.plan().config().clone();
    let mut observers = record::all(&folder);
    observers.push(Box::new(Progress::new(folder.path(), quiet)));
    let ended = gan_run::run(&mut trainer, &mut observers, stop);
    let ended = ended.with_context(|| failed(&folder, trainer.step()));
    let outcome = ended.inspect_err(|error| {
        if trainer.strands_others() {
            place.abandon(error);
        }
    })?;
    if outcome == Outcome::Stopped {
        let (step, total) = (trainer.step(), trainer.total_steps());
        let folder = shell_quoted(folder.path());
        say::note(format_args!(
            "stopped after step {step} of {total}; all is saved. Go on with: gan train {folder} --resume"
        ));
        return Ok(ExitCode::from(STOPPED));
    }
    say_where(&folder)?;
    if outcome == Outcome::Done && trainer.step() < trainer.total_steps() {
        let wanted: Vec<String> = config.train.until.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let (step, total) = (trainer.step(), trainer.total_steps());
        say::line(format_args!(
            "ended      after step {step} of {total}: train.until is reached ({})",
            wanted.join(", ")
        ))?;
    }
    let summary = RunSummary::of(folder.path(), config.evaluate.best);
    say::line(&summary)?;
    if outcome == Outcome::Alarmed {
        let kind = summary.alarms.last().map_or("NAME", |raised| raised.alarm.rule.key());
        say::note(format_args!(
            "error: an alarm ended the run after step {}; all is saved. --resume ends here again; to go on in spite of the alarm, add --set \
             alarms.{kind}=warn",
            trainer.step(),
        ));
        return Ok(ExitCode::from(FAILED));
    }
    let best = if folder.best_generator().is_file() { folder.best_generator() } else { folder.generator() };
    say::line(format_args!("Make more: gan generate {} --count 64 --out samples.png", shell_quoted(&best)))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the run's folder: a new one, or with --resume the one whose last checkpoint the trainer restores.
fn folder(args: &TrainArgs, trainer: &mut Trainer, quiet: bool) -> Result<RunFolder> {
    let target = target(args)?;
    if args.resume {
        let folder = RunFolder::open(&target)?;
        resume(trainer, &folder, quiet)?;
        folder.write_config(trainer.plan().config())?;
        return Ok(folder);
    }
    let data = &trainer.plan().config().data;
    if matches!(data.set.info().files, NeedsFiles::Named(_)) {
        // Samples among the images would become training data the next time.
        output::check_apart("--out", &target, data.dir.as_deref())?;
    }
    let existing = if args.overwrite { Existing::Overwrite } else { Existing::Keep };
    Ok(RunFolder::create(&target, trainer.plan().config(), existing)?)
}

/// Returns the plan: the source with the command's settings merged over it, or with --resume the settings of the run's
/// folder.
fn plan(args: &TrainArgs, target: &Path) -> Result<Plan> {
    if args.resume {
        // First of all, check that there is a run and that no process is working on it.
        drop(RunFolder::open(target)?);
    }
    let from = if args.resume { target.to_string_lossy().into_owned() } else { args.source.clone() };
    let mut assignments = args.set.clone();
    assignments.extend(args.steps.map(|n| format!("train.steps={n}")));
    assignments.extend(args.epochs.map(|n| format!("train.epochs={n}")));
    assignments.extend(args.seed.map(|n| format!("train.seed={n}")));
    assignments.extend(args.threads.map(|n| format!("train.threads={n}")));
    let source = Path::new(&args.source);
    if args.resume && source.is_file() && source != target.join("config.toml") {
        say::note(format_args!(
            "the settings are those of {from}/config.toml; {} is not read (--set changes one)",
            args.source
        ));
    }
    let plan = source::plan(&from, &assignments)?;
    let found = &plan.config().preset;
    if presets::find(&args.source).is_some_and(|asked| args.resume && asked.name != found) {
        return Err(Usage(format!("{from}: is a run of {found}, not of {}", args.source)).into());
    }
    Ok(plan)
}

fn failed(folder: &RunFolder, step: u64) -> String {
    let saved = match checkpoint::newest(&folder.checkpoints()) {
        Some(saved) if saved > 0 => format!("--resume goes on from step {saved}"),
        _ => "nothing was saved yet".into(),
    };
    format!("{}: the run failed after step {step} ({saved})", folder.path().display())
}

fn say_where(folder: &RunFolder) -> Result<()> {
    let show = |what: &str, path: PathBuf| say::line(format_args!("{what:<10} {}", path.display()));
    show("run", folder.path().to_path_buf())?;
    show("generator", folder.generator())?;
    if folder.best_generator().is_file() {
        show("the best", folder.best_generator())?;
    }
    show("samples", folder.samples())?;
    show("animation", folder.progress())?;
    show("losses", folder.losses("png"))?;
    show("report", folder.report())?;
    for name in PICTURES.into_iter().filter(|name| folder.pictures(name).is_dir()) {
        show(name, folder.pictures(name))?;
    }
    if let Some(seen) = planes::summary(&folder.features()) {
        say::line(format_args!("features   {seen}"))?;
    }
    Ok(())
}

/// Restores the last complete checkpoint, or the beginning if nothing was saved yet.
fn resume(trainer: &mut Trainer, folder: &RunFolder, quiet: bool) -> Result<()> {
    let step = gan_run::resume(trainer, folder)?;
    let total = trainer.total_steps();
    match (quiet, step) {
        (true, _) => {}
        (_, 0) => say::note(format_args!(
            "{}: nothing was saved before the first checkpoint, starting from the beginning",
            folder.path().display()
        )),
        (_, step) => say::note(format_args!("going on after step {step} of {total}")),
    }
    Ok(())
}

/// Returns the run folder: as named, or a new one, or with --resume the newest run of the preset.
fn target(args: &TrainArgs) -> Result<PathBuf> {
    let source = Path::new(&args.source);
    match (&args.out, args.resume) {
        (Some(out), true) => Ok(out.clone()),
        (Some(out), false) => output::check_folder_name("--out", out).map(|()| out.clone()),
        (None, true) if source.is_dir() => Ok(source.to_path_buf()),
        (None, true) => newest_run(&args.source),
        (None, false) if RunFolder::is_run(source) => Err(Usage(format!(
            "{0}: is a run; go on with it by --resume, or repeat it by naming {0}/config.toml",
            source.display()
        ))
        .into()),
        (None, false) => Ok(new_folder(source)),
    }
}

/// Returns the name of runs of `source`: the preset's or file's name.
fn run_name(source: &Path) -> String {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    // runs/first/config.toml repeats runs/first.
    let parent = source.parent().and_then(Path::file_name).filter(|_| stem == "config");
    parent.map_or(stem, |name| name.to_string_lossy()).into_owned()
}

/// Returns `runs/NAME-20261122-101500` by the local time, with a number appended if that exists.
fn new_folder(source: &Path) -> PathBuf {
    let base = format!("{}-{}", run_name(source), stamp(&Zoned::now()));
    let numbered = (2..).map(|i| format!("{base}-{i}"));
    let mut free = std::iter::once(base.clone()).chain(numbered).map(|name| Path::new("runs").join(name));
    free.find(|p| !p.exists()).unwrap_or_default()
}

/// Formats the time for a run's name. If the system does not report its time zone, `now` is in UTC.
fn stamp(now: &Zoned) -> String {
    now.strftime("%Y%m%d-%H%M%S").to_string()
}

/// Returns the newest of the runs that [`new_folder`] has named after `source`. Names do not tell which that is, because clocks can be set
/// back.
fn newest_run(source: &str) -> Result<PathBuf> {
    let name = run_name(Path::new(source));
    let is_dated = |rest: &str| rest.len() >= 15 && rest.bytes().take(8).all(|b| b.is_ascii_digit());
    let of_source = |p: &PathBuf| {
        let file = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file.strip_prefix(&format!("{name}-")).is_some_and(is_dated)
    };
    let entries = std::fs::read_dir("runs").into_iter().flatten().flatten().map(|e| e.path());
    let newest =
        entries.filter(|p| of_source(p) && RunFolder::is_run(p)).max_by_key(|p| (RunFolder::begun(p), p.clone()));
    newest.ok_or_else(|| {
        Usage(format!("--resume: no run of \"{name}\" in runs/; name its folder: gan train FOLDER --resume")).into()
    })
}

/// Sets the flag at Ctrl-C and SIGTERM; a second signal exits at once. Ranks that follow another one leave stopping to it.
fn stop_on_signal(place: &Place, stop: &Arc<AtomicBool>) -> Result<()> {
    let leads = place.ranks.rank() == 0;
    if !leads && !place.is_process() {
        return Ok(());
    }
    let flag = Arc::clone(stop);
    ctrlc::set_handler(move || {
        if !leads {
            return;
        }
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(STOPPED));
        }
        say::note("\nstopping: this step is finished and saved first; once more to leave at once");
    })
    .context("watching for Ctrl-C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Timestamp, tz::TimeZone};

    #[test]
    fn a_runs_name_has_the_local_time() {
        let now: Timestamp = "2026-11-27T23:05:09Z".parse().unwrap();
        let zone = |text: &str| TimeZone::posix(text).unwrap();
        assert_eq!(stamp(&now.to_zoned(TimeZone::UTC)), "20261127-230509");
        assert_eq!(stamp(&now.to_zoned(zone("JST-9"))), "20261128-080509");
        assert_eq!(stamp(&now.to_zoned(zone("PST8"))), "20261127-150509");
    }
}
