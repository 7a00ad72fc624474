//! `gan train`.

use crate::args::{MOST, count, usage, whole};
use crate::data::parse_size;
use crate::distributed::{self, Rank};
use crate::interrupt::Interrupt;
use crate::output;
use crate::print::{self, shell_quoted};
use crate::progress::RunProgress;
use crate::{FAILED, STOPPED, source};
use anyhow::{Context, Result};
use clap::Args;
use gan_data::NeedsFiles;
use gan_run::{Existing, Outcome, PICTURES, RunFolder, RunSummary, planes};
use gan_train::{Plan, Trainer, checkpoint, presets};
use jiff::Zoned;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

mod budget;
mod length;
mod own_images;

use budget::Budget;

#[derive(Args)]
#[command(
    after_help = "Settings are laid over each other: preset < file < --set.\n\nExamples:\n  gan train photos/\n  gan train photos/ --size 32 --budget 30m --dry-run\n  gan train dcgan-mnist\n  gan train dcgan-mnist --epochs 1 --out runs/quick\n  gan train keras-mnist --set train.batch=128 --set optimizer.generator.lr=1e-4\n  gan train mine.toml --seed 7\n  gan train runs/quick --resume --epochs 3\n  gan train runs/quick/config.toml --out runs/again"
)]
pub struct TrainArgs {
    /// A folder of images (or a .zip, .npy or .npz of them), a preset's name, a TOML file, or (with --resume) a run folder.
    #[arg(value_name = "IMAGES or PRESET or FILE.toml or RUN")]
    pub source: String,
    /// The run folder [default: runs/PRESET-DATE-TIME].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Total number of steps.
    #[arg(long, value_name = "N", conflicts_with = "epochs", allow_negative_numbers = true, value_parser = whole(1, MOST))]
    pub steps: Option<u64>,
    /// Total number of passes over the data.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole(1, MOST))]
    pub epochs: Option<u64>,
    /// How long to train: a time on this machine such as 30m or 2h, or a number of real images such as 500kimg [default for images: 1h].
    #[arg(long, value_name = "TIME or IMAGES", conflicts_with_all = ["steps", "epochs", "resume"])]
    pub budget: Option<Budget>,
    /// For a folder of images: height and width of samples [default: chosen].
    #[arg(long, value_name = "N or HxW", conflicts_with = "resume", allow_negative_numbers = true, value_parser = parse_size)]
    pub size: Option<(usize, usize)>,
    /// For a folder of images: the settings to begin with [default: own-images].
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub recipe: Option<String>,
    /// Begin with the weights of this run or weight file, as far as the layers fit.
    #[arg(long, value_name = "RUN or FILE", conflicts_with = "resume")]
    pub from: Option<PathBuf>,
    /// For a folder of class folders: learn to make samples of each class.
    #[arg(long, conflicts_with = "resume")]
    pub classes: bool,
    /// Only print the settings as TOML, and an estimate of time and memory from a few trial steps.
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
    /// Seed of every random number.
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = whole(0, MOST))]
    pub seed: Option<u64>,
    /// Change one setting, e.g. train.batch=64; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Train on the first N GPUs at once, each with its share of the batch.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, 64))]
    pub gpus: Option<usize>,
    /// Number of computation threads; 0 means one per core. The results are the same for any number.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(0, 1024))]
    pub threads: Option<usize>,
    /// Resume from the last complete checkpoint.
    #[arg(long, conflicts_with = "overwrite")]
    pub resume: bool,
    /// Delete the run in the folder first. Folders that are not runs are never touched.
    #[arg(long)]
    pub overwrite: bool,
}

/// Trains or resumes a run, and prints where the results are.
pub fn run(args: &TrainArgs, quiet: bool) -> Result<ExitCode> {
    distributed::run(args.gpus, &args.device, |rank| run_rank(args, quiet, rank))
}

fn run_rank(args: &TrainArgs, quiet: bool, rank: &Rank) -> Result<ExitCode> {
    let interrupt = watch(rank)?;
    let is_quiet = quiet || rank.group.rank() > 0;
    let is_own = own_images::is_source(&args.source) && !args.resume;
    let plan = || plan(args, &target(args)?);
    // The run's folder need not be visible to ranks other than rank 0.
    let plan = match (args.resume, is_own) {
        (true, _) => Some(distributed::plan_of_first(rank.group.as_ref(), plan)),
        (false, true) => None,
        (false, false) => Some(plan()),
    };
    let threads = match &plan {
        Some(plan) => plan.as_ref().map_or(0, |plan| plan.config().train.threads),
        None => {
            let plan = assignments(args).and_then(|all| source::plan(presets::OWN_IMAGES, &all));
            plan.map_or(0, |plan| plan.config().train.threads)
        }
    };
    rank.compute(threads, || {
        // Images are surveyed with all threads.
        let plan = plan.unwrap_or_else(|| length::for_images(args, is_quiet));
        let plan = plan.and_then(|plan| length::with_budget(args, plan, is_own, is_quiet, rank));
        if let (true, Ok(plan)) = (args.dry_run, &plan) {
            print::text(toml::to_string(plan.config())?)?;
            return Ok(ExitCode::SUCCESS);
        }
        if interrupt.flag().load(Ordering::Relaxed) {
            print::note("stopped before the first step; nothing was written");
            return Ok(ExitCode::from(STOPPED));
        }
        let trainer = plan.and_then(|plan| Ok(Trainer::new(plan, &rank.device()?)?));
        match rank.start(trainer)? {
            Some(mut trainer) => {
                rank.place(&mut trainer, quiet)?;
                lead(args, quiet, rank, trainer, &interrupt)
            }
            None => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Watches for Ctrl-C and SIGTERM. Ranks that follow another one leave stopping to it.
fn watch(rank: &Rank) -> Result<Interrupt> {
    match (rank.group.rank(), rank.is_thread) {
        (0, _) => Interrupt::watch(|| {
            print::note("\nstopping: this step is finished and saved first; once more to leave at once");
        }),
        (_, false) => Interrupt::ignore(),
        (_, true) => Ok(Interrupt::default()),
    }
}

/// Runs rank 0, or the only process.
fn lead(args: &TrainArgs, quiet: bool, rank: &Rank, mut trainer: Trainer, interrupt: &Interrupt) -> Result<ExitCode> {
    let folder = match folder(args, &mut trainer, quiet) {
        Ok(folder) => folder,
        Err(error) => {
            trainer.shutdown();
            return Err(error);
        }
    };
    if !quiet && !args.resume {
        gan_train::other_channels(trainer.plan()).iter().for_each(print::note);
    }
    let config = trainer.plan().config().clone();
    let mut observers = gan_run::observers(&folder);
    observers.push(Box::new(RunProgress::new(folder.path(), quiet)));
    let ended = gan_run::run(&mut trainer, &mut observers, interrupt.flag());
    let ended = ended.with_context(|| failed(&folder, trainer.step()));
    let outcome = ended.inspect_err(|error| {
        if trainer.strands_others() {
            rank.abandon(error);
        }
    })?;
    let step = trainer.step();
    let total = trainer.total_steps();
    if outcome == Outcome::Stopped {
        let folder = shell_quoted(folder.path());
        print::note(format_args!(
            "stopped after step {step} of {total}; all is saved. Go on with: gan train {folder} --resume"
        ));
        return Ok(ExitCode::from(STOPPED));
    }
    print_paths(&folder)?;
    if outcome == Outcome::Done && step < total {
        let wanted: Vec<String> = config.train.until.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let wanted = wanted.join(", ");
        print::line(format_args!("ended      after step {step} of {total}: train.until is reached ({wanted})"))?;
    }
    let summary = RunSummary::of(folder.path(), config.evaluate.best);
    print::line(&summary)?;
    if outcome == Outcome::Alarmed {
        let key = summary.alarms.last().map_or("NAME", |raised| raised.alarm.rule.key);
        print::note(format_args!(
            "error: an alarm ended the run after step {step}; all is saved. --resume ends here again; to go on in spite of the alarm, add \
             --set alarms.{key}=warn"
        ));
        return Ok(ExitCode::from(FAILED));
    }
    let best = if folder.best_generator().is_file() { folder.best_generator() } else { folder.generator() };
    print::line(format_args!("Make more: gan generate {} --count 64 --out samples.png", shell_quoted(&best)))?;
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
    own_images::refuse_others(args)?;
    let from = if args.resume { target.to_string_lossy().into_owned() } else { args.source.clone() };
    let assignments = assignments(args)?;
    let source = Path::new(&args.source);
    if args.resume && source.is_file() && !own_images::is_source(&args.source) && source != target.join("config.toml") {
        print::note(format_args!(
            "the settings are those of {from}/config.toml; {} is not read (--set changes one)",
            args.source
        ));
    }
    let plan = source::plan(&from, &assignments)?;
    let found = &plan.config().preset;
    if presets::find(&args.source).is_some_and(|asked| args.resume && asked.name != found) {
        return Err(usage(from, format_args!("is a run of {found}, not of {}", args.source)));
    }
    Ok(plan)
}

/// Returns the settings that the arguments change.
fn assignments(args: &TrainArgs) -> Result<Vec<String>> {
    let mut assignments = args.set.clone();
    assignments.extend(args.steps.map(|n| format!("train.steps={n}")));
    assignments.extend(args.epochs.map(|n| format!("train.epochs={n}")));
    assignments.extend(args.seed.map(|n| format!("train.seed={n}")));
    if let Some(from) = &args.from {
        let from = if source::on_hub(from).is_some() { source::weight_file(from)? } else { from.clone() };
        let from = toml::Value::String(from.to_string_lossy().into_owned());
        assignments.push(format!("train.from={from}"));
    }
    assignments.extend(args.threads.map(|n| format!("train.threads={n}")));
    Ok(assignments)
}

fn failed(folder: &RunFolder, step: u64) -> String {
    let saved = match checkpoint::newest(&folder.checkpoints()) {
        Some(saved) if saved > 0 => format!("--resume goes on from step {saved}"),
        _ => "nothing was saved yet".into(),
    };
    format!("{}: the run failed after step {step} ({saved})", folder.path().display())
}

fn print_paths(folder: &RunFolder) -> Result<()> {
    let show = |what: &str, path: PathBuf| print::line(format_args!("{what:<10} {}", path.display()));
    show("run", folder.path().to_path_buf())?;
    show("generator", folder.generator())?;
    if folder.best_generator().is_file() {
        show("the best", folder.best_generator())?;
    }
    show("samples", folder.join("samples"))?;
    show("animation", folder.join("progress.gif"))?;
    show("losses", folder.join("losses.png"))?;
    show("report", folder.join("report.html"))?;
    for name in PICTURES.into_iter().filter(|name| folder.join(name).is_dir()) {
        show(name, folder.join(name))?;
    }
    if let Some(seen) = planes::summary(&folder.join("planes.jsonl")) {
        print::line(format_args!("features   {seen}"))?;
    }
    Ok(())
}

/// Restores the last complete checkpoint, or the beginning if nothing was saved yet.
fn resume(trainer: &mut Trainer, folder: &RunFolder, quiet: bool) -> Result<()> {
    let step = gan_run::resume(trainer, folder)?;
    if quiet {
        return Ok(());
    }
    if step == 0 {
        let problem = "nothing was saved before the first checkpoint, starting from the beginning";
        print::note(format_args!("{}: {problem}", folder.path().display()));
    } else {
        print::note(format_args!("resuming after step {step} of {}", trainer.total_steps()));
    }
    Ok(())
}

/// Returns the run folder: as named, or a new one, or with --resume the newest run of the preset.
fn target(args: &TrainArgs) -> Result<PathBuf> {
    let source = Path::new(&args.source);
    match (&args.out, args.resume) {
        (Some(out), true) => Ok(out.clone()),
        (Some(out), false) => output::check_folder_name("--out", out).map(|()| out.clone()),
        (None, true) if source.is_dir() && !own_images::is_source(&args.source) => Ok(source.to_path_buf()),
        (None, true) => newest_run(&args.source),
        (None, false) if RunFolder::is_run(source) => {
            let repeat = format!("repeat it by naming {}/config.toml", source.display());
            Err(usage(source.display(), format_args!("is a run; go on with it by --resume, or {repeat}")))
        }
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
    // The name of "." is that of the folder.
    let whole = source.canonicalize().ok().filter(|_| source.is_dir());
    let base = format!("runs/{}-{}", run_name(whole.as_deref().unwrap_or(source)), stamp(&Zoned::now()));
    let numbered = (2..).map(|i| format!("{base}-{i}"));
    let mut names = std::iter::once(base.clone()).chain(numbered).map(PathBuf::from);
    names.find(|path| !path.exists()).unwrap_or_default()
}

/// Formats the time for a run's name. If the system does not report its time zone, `now` is in UTC.
fn stamp(now: &Zoned) -> String {
    now.strftime("%Y%m%d-%H%M%S").to_string()
}

/// Returns the newest of the runs that [`new_folder`] has named after `source`. Names do not tell which that is, because clocks can be set
/// back.
fn newest_run(source: &str) -> Result<PathBuf> {
    let whole = Path::new(source).canonicalize().ok().filter(|path| path.is_dir());
    let name = run_name(whole.as_deref().unwrap_or(Path::new(source)));
    let is_dated = |rest: &str| rest.len() >= 15 && rest.bytes().take(8).all(|b| b.is_ascii_digit());
    let of_source = |p: &PathBuf| {
        let file = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        file.strip_prefix(&format!("{name}-")).is_some_and(is_dated)
    };
    let entries = std::fs::read_dir("runs").into_iter().flatten().flatten().map(|e| e.path());
    let newest =
        entries.filter(|p| of_source(p) && RunFolder::is_run(p)).max_by_key(|p| (RunFolder::begun(p), p.clone()));
    let problem = || format!("no run of \"{name}\" in runs/; name its folder: gan train FOLDER --resume");
    newest.ok_or_else(|| usage("--resume", problem()))
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
