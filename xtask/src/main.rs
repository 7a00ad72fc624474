//! The project's own commands: `cargo xtask train`, `test`, `bench`, `experiments`, `check-features`, `check-metal`, `check-cuda`, `tidy`, `ci`. Std only, so that it compiles in seconds.
//!
//! Nothing here links the toolkit: cargo and the binary `gan` are started as programs.
//!
//! Modules in reading order: [`train`] (and bench, experiments), [`suite`] (test), [`features`] (check-…), [`ci`], [`tidy`] (the rules that no compiler checks),
//! [`cargo`] (one run of cargo), [`mpi`] (whether it is there), [`workspace`] (where things lie), [`fault`] (what can go wrong), [`nearest`] (what was meant).

mod cargo;
mod ci;
mod fault;
mod features;
mod mpi;
mod nearest;
mod suite;
mod tidy;
mod train;
mod workspace;

use fault::{Fault, Outcome};
use std::ffi::OsString;
use std::process::ExitCode;

/// A command: its name, and what it does with the arguments behind it.
type Command = (&'static str, fn(&[OsString]) -> Outcome);

const COMMANDS: [Command; 10] = [
    ("train", train::run),
    ("test", suite::test),
    ("bench", train::bench),
    ("experiments", train::experiments),
    ("check-features", |rest| alone("check-features", rest).and_then(|()| features::all())),
    ("check-metal", |rest| alone("check-metal", rest).and_then(|()| features::metal())),
    ("check-cuda", |rest| alone("check-cuda", rest).and_then(|()| features::cuda())),
    ("tidy", |rest| alone("tidy", rest).and_then(|()| tidy::command())),
    ("ci", |rest| alone("ci", rest).and_then(|()| ci::run())),
    ("help", |_| help()),
];

const HELP: &str = "\
The project's own commands.

cargo xtask train [--features LIST] [PRESET or FILE.toml] [ARGS…]
                           build `gan` in release, then `gan train`; without a preset: mnist
cargo xtask test [ARGS…]   every test, in release, then tidy; ARGS go to `cargo test`
cargo xtask bench [ARGS…]  times whole training steps; ARGS go to `gan bench`
cargo xtask bench --peers [--rounds N] [--write docs/performance.md]
                           the same work here and in PyTorch, in turn; PYTHON names a Python that has torch
cargo xtask experiments NAME [ARGS…]
                           what docs/results shows, with the release build: results, seeds, losses, alarms, replay, train-judge
cargo xtask check-features every combination of features that needs nothing else compiles
cargo xtask check-metal    `metal` compiles for a Mac
cargo xtask check-cuda     `cuda` and `nccl` compile and link, with CUDA's compiler from the Python package index if need be
cargo xtask tidy           the rules that no compiler checks: crate arrows, file lengths, links, …
cargo xtask ci             fmt, tidy, clippy, doc, test; stops at the first failure

LIST is what cargo takes, e.g. cuda or metal. Exit codes: 0 done, 1 failed, 2 wrong usage; `train` gives that of `gan`.";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    dispatch(&args).unwrap_or_else(|fault| {
        eprintln!("xtask: {fault}");
        fault.exit_code()
    })
}

fn dispatch(args: &[OsString]) -> Outcome {
    let Some((command, rest)) = args.split_first() else { return help() };
    let name = match command.to_string_lossy() {
        flag if flag == "--help" || flag == "-h" => "help".into(),
        name => name,
    };
    match COMMANDS.iter().find(|(known, _)| *known == name) {
        Some((_, run)) => run(rest),
        None => Err(unknown(&name)),
    }
}

fn help() -> Outcome {
    println!("{HELP}");
    Ok(ExitCode::SUCCESS)
}

/// Refuses arguments for a command that takes none.
fn alone(command: &str, rest: &[OsString]) -> Result<(), Fault> {
    let Some(first) = rest.first() else { return Ok(()) };
    Err(Fault::usage(format!("`cargo xtask {command}` takes no arguments, found `{}`", first.to_string_lossy())))
}

fn unknown(command: &str) -> Fault {
    let names = COMMANDS.map(|(name, _)| name);
    let nearest = nearest::nearest(command, &names);
    let all = names.join(", ");
    Fault::usage(format!("no command `{command}`; did you mean `{nearest}`? The commands are {all}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(args: &[&str]) -> Fault {
        dispatch(&args.iter().map(OsString::from).collect::<Vec<_>>()).unwrap_err()
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        assert!(fault(&["trian"]).to_string().contains("did you mean `train`"));
        assert_eq!(fault(&["trian"]).exit_code(), ExitCode::from(2));
    }

    #[test]
    fn commands_without_arguments_refuse_them() {
        assert!(fault(&["tidy", "--fix"]).to_string().contains("found `--fix`"));
        assert_eq!(fault(&["ci", "x"]).exit_code(), ExitCode::from(2));
    }

    #[test]
    fn help_names_every_command() {
        assert!(COMMANDS.iter().filter(|c| c.0 != "help").all(|c| HELP.contains(&format!("cargo xtask {}", c.0))));
    }
}
