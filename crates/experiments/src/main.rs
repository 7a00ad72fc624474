//! The experiments behind `docs/results/`: `cargo xtask experiments NAME …` builds `gan` and this program, and runs it.
//!
//! Each trains with the release build of `gan`, started as a program, and prints a table in Markdown. In reading order: [`runs`] (what
//! they share), [`results`], [`seeds`], [`losses`], [`alarms`] (and replay), [`train_judge`].

mod alarms;
mod losses;
mod results;
mod runs;
mod seeds;
mod train_judge;

use clap::{Parser, Subcommand};
use gan_core::Loss;
use std::path::PathBuf;
use std::process::ExitCode;

/// The experiments behind docs/results.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Subcommand)]
enum Experiment {
    /// Trains presets to their end: a table, and pictures to docs/images/
    Results {
        /// Every preset that needs no download, if none is named
        presets: Vec<String>,
    },
    /// Trains a preset with seeds 1 to COUNT and evaluates each run
    Seeds {
        preset: String,
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        count: u64,
        /// Options of `gan train`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Trains every loss with each regularizer on dcgan-mnist, five minutes each
    Losses {
        /// All, if none is named
        #[arg(value_parser = losses::named)]
        losses: Vec<Loss>,
    },
    /// Trains configurations that are broken on purpose (tests/broken) and presets over five seeds, and lists their alarms
    Alarms {
        /// Files' stems and presets; all, if none is named
        names: Vec<String>,
    },
    /// Shows which alarms runs would raise by the rules as they are now, without training again
    Replay {
        /// Folders of runs
        runs: Vec<PathBuf>,
    },
    /// Trains the digit classifier that judges generated digits
    TrainJudge {
        /// The shipped file, crates/gan-metrics/src/embed/digits.safetensors, if none is named
        out: Option<PathBuf>,
        #[arg(default_value_t = 9)]
        epochs: u64,
        #[arg(default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().experiment {
        Experiment::Results { presets } => results::run(&presets),
        Experiment::Seeds { preset, count, options } => seeds::run(&preset, count, &options),
        Experiment::Losses { losses } => losses::run(&losses),
        Experiment::Alarms { names } => alarms::run(&names),
        Experiment::Replay { runs } => alarms::replay(&runs),
        Experiment::TrainJudge { out, epochs, seed } => train_judge::run(out, epochs, seed),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("experiments: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent_and_options_of_gan_train_are_passed_on() {
        Args::command().debug_assert();
        let args = Args::try_parse_from(["x", "seeds", "ring2d", "3", "--threads", "1"]).unwrap();
        let Experiment::Seeds { options, .. } = args.experiment else { panic!("seeds") };
        assert_eq!(options, ["--threads", "1"]);
        assert!(Args::try_parse_from(["x", "seeds", "ring2d", "0"]).is_err());
        assert!(Args::try_parse_from(["x", "losses", "hinges"]).is_err_and(|e| e.to_string().contains("hinge")));
    }
}
