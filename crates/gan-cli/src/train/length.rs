//! The plan for a folder of images, and the length that `--budget` gives a run.

use super::budget::{self, Budget, Trial};
use super::{TrainArgs, assignments, own_images, target};
use crate::distributed::Rank;
use crate::{print, source};
use anyhow::Result;
use gan_base::memory;
use gan_base::messages::counted;
use gan_train::Plan;
use tracing::subscriber::{NoSubscriber, with_default};

/// Returns the plan for a folder of images, before its length is chosen.
pub fn for_images(args: &TrainArgs, quiet: bool) -> Result<Plan> {
    // Check the output folder before the images are read.
    target(args)?;
    let has_gpu = ["auto", "cuda"].iter().any(|name| args.device.starts_with(name)) && gan_train::device::has_gpu();
    let (preset, mut settings) = own_images::choose(args, has_gpu, quiet)?;
    settings.extend(assignments(args)?);
    source::plan(&preset, &settings)
}

/// Number of evaluations, checkpoints and sample sheets of a run on a folder of images.
const EVALUATIONS: u64 = 24;

/// Returns the plan with the number of steps that fits `--budget`, and prints the estimate of the trial steps, if there were any.
pub fn with_budget(args: &TrainArgs, plan: Plan, is_own: bool, quiet: bool, rank: &Rank) -> Result<Plan> {
    let has_length = args.steps.is_some() || args.epochs.is_some();
    let budget = args.budget.or((is_own && !has_length).then_some(Budget::Seconds(3600.0)));
    if budget.is_none() && !args.dry_run {
        return Ok(plan);
    }
    let config = plan.config().clone();
    let per_step = (config.train.batch as u64 * config.train.d_steps) as f64;
    let run_trial = || Trial::of(plan.clone(), rank);
    let trial = match budget {
        Some(Budget::Images(_)) if rank.group.size() > 1 => None,
        _ if args.dry_run => Some(run_trial()?),
        // The run opens the data again, and warns about them then.
        _ => Some(with_default(NoSubscriber::default(), run_trial)?),
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
            let every = steps.div_ceil(EVALUATIONS);
            lengths.extend(["evaluate", "samples", "checkpoint"].map(|key| format!("{key}.every={every}")));
        }
    }
    let mut table = toml::Table::try_from(&config)?;
    gan_train::layering::overlay(&mut table, source::assigned(&lengths)?);
    // Settings of the command line come last.
    gan_train::layering::overlay(&mut table, source::assigned(&args.set)?);
    let plan = gan_train::layering::read(table)?.check()?;
    if let (Some(trial), false) = (&trial, quiet) {
        print::note(forecast(steps.unwrap_or(trial.asked), trial, per_step));
    }
    Ok(plan)
}

/// Describes a run of `steps` steps with `per_step` images each, from its trial steps.
fn forecast(steps: u64, trial: &Trial, per_step: f64) -> String {
    let images = steps as f64 * per_step;
    let times = images / trial.data as f64;
    let memory = match trial.device_memory {
        Some(bytes) => format!("{} of device memory", memory::shown(bytes as u64)),
        None => format!("{:.0} MiB", crate::bench::peak_rss_mib()),
    };
    format!(
        "{} took {} each and {memory}: {} will take about {} and use {:.0} thousand images, each image {times:.0} times",
        counted(trial.steps, "trial step"),
        crate::bench::duration(trial.step),
        counted(steps, "step"),
        budget::shown(trial.seconds_of(steps)),
        images / 1e3,
    )
}
