//! The command line. The arguments of a command are in its own file.

use crate::bench::BenchArgs;
use crate::data::DataCommand;
use crate::evaluate::EvaluateArgs;
use crate::export::ExportArgs;
use crate::generate::GenerateArgs;
use crate::import::ImportArgs;
use crate::interpolate::InterpolateArgs;
use crate::lab::LabArgs;
use crate::man::ManArgs;
use crate::project::ProjectArgs;
use crate::push::PushArgs;
use crate::report::ReportArgs;
use crate::serve::ServeArgs;
use crate::show::{PresetCommand, SummaryArgs};
use crate::train::TrainArgs;
use crate::watch::WatchArgs;
use clap::builder::TypedValueParser;
use clap::{Parser, Subcommand};
use std::fmt::Display;

/// Usage error that clap cannot detect; exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Returns the usage error `SUBJECT: PROBLEM`.
pub fn usage(subject: impl Display, problem: impl Display) -> anyhow::Error {
    Usage(format!("{subject}: {problem}")).into()
}

/// Train, inspect and share GANs.
#[derive(Parser)]
#[command(
    name = "gan",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  gan train dcgan-mnist --out runs/first\n  gan train runs/first --resume\n  gan generate runs/first --count 64 --out digits.png\n  gan preset show dcgan-mnist > mine.toml"
)]
pub struct Cli {
    /// Print only errors to standard error.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more to standard error; -vv prints everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Train a GAN into a run folder, or resume a run.
    Train(TrainArgs),
    /// Generate samples with a trained generator.
    Generate(GenerateArgs),
    /// Walk through the latent space from sample to sample.
    Interpolate(InterpolateArgs),
    /// Find the latent vectors of given images.
    Project(ProjectArgs),
    /// Compare samples with real data: Fréchet distance, coverage, copies and more, each with its card.
    Evaluate(EvaluateArgs),
    /// Export a network as ONNX, as a PyTorch module, or as a page in which the generator runs.
    Export(ExportArgs),
    /// Write a page in which two small networks learn points in the plane.
    Lab(LabArgs),
    /// Import weights of PyTorch as a weight file of gan.
    Import(ImportArgs),
    /// Upload a run to the Hugging Face Hub, with a model card.
    Push(PushArgs),
    /// Print networks as tables: layers, shapes, parameters, multiply-adds.
    Summary(SummaryArgs),
    /// Write a run as one HTML page: curves, samples, networks, settings.
    Report(ReportArgs),
    /// Show runs in the browser, live: curves, samples, runs side by side, explorers of generators.
    Serve(ServeArgs),
    /// Show a run in the terminal, live: curves, samples, alarms.
    Watch(WatchArgs),
    /// List the presets, or print one as TOML to copy and edit.
    #[command(
        after_help = "Examples:\n  gan preset list\n  gan preset show dcgan-mnist > mine.toml && gan train mine.toml"
    )]
    Preset {
        #[command(subcommand)]
        command: PresetCommand,
    },
    /// Download, list, inspect and pack data sets.
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Time whole training steps on synthetic data.
    Bench(BenchArgs),
    /// List the devices that can compute, and what is missing for the others.
    Devices,
    /// Print completions for a shell.
    #[command(
        after_help = "Examples:\n  gan completions bash > ~/.local/share/bash-completion/completions/gan\n  gan completions fish > ~/.config/fish/completions/gan.fish"
    )]
    Completions {
        /// Shell to print completions for.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of gan or of a command.
    Man(ManArgs),
}

/// Largest number that TOML can hold.
pub const MOST: u64 = i64::MAX as u64;

/// Parses a whole number from `low` to `high`.
pub fn whole(low: u64, high: u64) -> impl TypedValueParser<Value = u64> {
    move |text: &str| match text.parse() {
        Ok(n) if (low..=high).contains(&n) => Ok(n),
        _ if high == MOST => Err(format!("expected a whole number, {low} or more")),
        _ => Err(format!("expected a whole number from {low} to {high}")),
    }
}

/// Parses a number of things from `low` to `high`.
pub fn count(low: u64, high: u64) -> impl TypedValueParser<Value = usize> {
    whole(low, high).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
}
