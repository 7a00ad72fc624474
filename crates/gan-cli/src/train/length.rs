//! The plan for a folder of images, and the length that `--budget` gives a run.

use super::budget::{self, Budget, Trial};
use super::{TrainArgs, assignments, own_images, target};
use crate::distributed::Rank;
use crate::{print, source};
use anyhow::Result;
use gan_base::memory;
use gan_base::messages::counted;
use gan_train::Plan;

/// Returns the plan for a folder of images, for a length that is not chosen yet.
pub fn own(args: &TrainArgs, quiet: bool) -> Result<Plan> {
    // First of all, check where it is to go.
    target(args)?;
    let on_gpu = ["auto", "cuda"].iter().any(|name| args.device.starts_with(name)) && gan_train::device::has_gpu();
    let (preset, mut settings) = own_images::choose(args, on_gpu, quiet)?;
    settings.extend(assignments(args));
    source::plan(&preset, &settings)
}

/// Number of evaluations, and of sheets of samples, of a run on a folder of images.
const LOOKS: u64 = 24;

/// Returns the plan with the length that `--budget` gives, or else as it is, and says how long it takes if a trial was made.
pub fn within_budget(args: &TrainArgs, plan: Plan, is_own: bool, quiet: bool, rank: &Rank) -> Result<Plan> {
    let has_length = args.steps.is_some() || args.epochs.is_some();
    let budget = args.budget.or((is_own && !has_length).then_some(Budget::Seconds(3600.0)));
    if budget.is_none() && !args.dry_run {
        return Ok(plan);
    }
    let config = plan.config().clone();
    let per_step = (config.train.batch as u64 * config.train.d_steps) as f64;
    let trial = match budget {
        Some(Budget::Images(_)) if rank.group.size() > 1 => None,
        _ => Some(Trial::of(plan.clone(), rank)?),
    };
    let steps = match (budget, &trial) {
        (Some(Budget::Images(images)), _) => Some(((images as f64 / per_step).ceil() as u64).max(1)),
        (Some(Budget::Seconds(seconds)), Some(trial)) => Some(trial.steps_in(seconds)),
        _ => None,
    };
    let mut lengths = vec![];
    if let Some(steps) = steps {
        lengths.push(format!("train.steps={steps}"));
        if is_own {
            let every = steps.div_ceil(LOOKS);
            lengths.extend(["evaluate", "samples", "checkpoint"].map(|key| format!("{key}.every={every}")));
        }
    }
    let mut table = toml::Table::try_from(&config)?;
    gan_train::layering::overlay(&mut table, source::assigned(&lengths)?);
    // What was set by hand holds.
    gan_train::layering::overlay(&mut table, source::assigned(&args.set)?);
    let plan = gan_train::layering::read(table)?.check()?;
    if let (Some(trial), false) = (&trial, quiet) {
        print::note(foretold(steps.unwrap_or(trial.asked), trial, per_step));
    }
    Ok(plan)
}

/// Returns what a trial foretells of a run of `steps` steps, each of which shows `per_step` images.
fn foretold(steps: u64, trial: &Trial, per_step: f64) -> String {
    let images = steps as f64 * per_step;
    let times = images / trial.data as f64;
    let memory = match trial.device_memory {
        Some(bytes) => format!("{} of device memory", memory::shown(bytes as u64)),
        None => format!("{:.0} MiB", crate::bench::peak_rss_mib()),
    };
    format!(
        "over {} of trial: {} a step, {memory}; {} take about {} and show {:.0} thousand images, each of them {times:.0} times",
        counted(trial.steps, "step"),
        crate::bench::duration(trial.step),
        counted(steps, "step"),
        budget::shown(trial.seconds_of(steps)),
        images / 1e3,
    )
}
