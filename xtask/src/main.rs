//! The project's own commands: `cargo xtask train`, `test`, `bench`, `experiments`, `check-features`, `check-metal`, `check-cuda`, `web`, `check-web`, `package`, `tidy`, `ci`.
//!
//! It uses std only, so that it compiles in seconds, and starts cargo and the binary `gan` as programs instead of linking the toolkit.
//! In reading order: [`train`] (and bench, experiments), [`ci`] (and test), [`features`] (check-…), [`tidy`] (the rules that the
//! compiler does not check), [`web`], [`package`], [`cargo`] (running cargo and other programs).

mod cargo;
mod ci;
mod features;
mod gpu;
mod package;
mod tidy;
mod train;
mod web;

use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of a command, or the reason why it failed.
type Outcome = Result<ExitCode, Fault>;

/// Reason for a failure, for people, with its exit code.
#[derive(Debug)]
struct Fault {
    code: u8,
    message: String,
}

impl Fault {
    /// Something did not work: exit code 1.
    fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The command line is wrong: exit code 2.
    fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }
}

/// What a command does.
enum Run {
    /// Takes the remaining arguments.
    With(fn(&[OsString]) -> Outcome),
    /// Takes no arguments.
    Alone(fn() -> Outcome),
}

const COMMANDS: [(&str, Run); 14] = [
    ("train", Run::With(train::run)),
    ("test", Run::With(ci::test)),
    ("bench", Run::With(train::bench)),
    ("experiments", Run::With(train::experiments)),
    ("gpu", Run::Alone(gpu::run)),
    ("check-features", Run::Alone(features::all)),
    ("check-metal", Run::Alone(features::metal)),
    ("check-cuda", Run::Alone(features::cuda)),
    ("web", Run::Alone(web::build)),
    ("check-web", Run::Alone(web::check)),
    ("package", Run::With(package::run)),
    ("tidy", Run::Alone(tidy::command)),
    ("ci", Run::Alone(ci::run)),
    ("help", Run::With(|_| help())),
];

const HELP: &str = "\
The project's own commands.

cargo xtask train [--features LIST] [PRESET or FILE.toml] [ARGS…]
                           build `gan` in release, then `gan train`; without a preset: mnist
cargo xtask test [ARGS…]   run every test, in release, then tidy; ARGS go to `cargo test`
cargo xtask bench [ARGS…]  time whole training steps; ARGS go to `gan bench`
cargo xtask bench --peers [--rounds N] [--write docs/performance.md]
                           time the same work here and in PyTorch, in turn; PYTHON names a Python that has torch
cargo xtask experiments NAME [ARGS…]
                           repeat what docs/results shows, with the release build: results, seeds, losses, alarms, replay, train-judge
cargo xtask gpu            build target/gpu: a folder that checks and times training on a machine with a GPU, without Rust and network
cargo xtask check-features compile every combination of features that needs nothing else
cargo xtask check-metal    compile `metal` for a Mac
cargo xtask check-cuda     compile and link `cuda` and `nccl`, with CUDA's compiler from the Python package index if necessary
cargo xtask web            build the WebAssembly modules that pages embed, and write them into gan-export
cargo xtask check-web      compile their sources for WebAssembly, if the target is installed
cargo xtask package [--test]
                           pack the crates, and compile or test what was packed, without the repository
cargo xtask tidy           check the rules that the compiler does not: crate arrows, names, rows in docs/, links, …
cargo xtask ci             run fmt, tidy, check-web, clippy, doc, test, package; stop at the first failure

LIST is what cargo takes, e.g. cuda or metal. Exit codes: 0 done, 1 failed, 2 wrong usage; `train` gives that of `gan`.";

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    dispatch(&args).unwrap_or_else(|fault| {
        eprintln!("xtask: {}", fault.message);
        ExitCode::from(fault.code)
    })
}

fn dispatch(args: &[OsString]) -> Outcome {
    let Some((command, rest)) = args.split_first() else { return help() };
    let name = match command.to_string_lossy() {
        flag if flag == "--help" || flag == "-h" => "help".into(),
        name => name,
    };
    match (COMMANDS.iter().find(|(known, _)| *known == name), rest.first()) {
        (Some((_, Run::With(run))), _) => run(rest),
        (Some((_, Run::Alone(run))), None) => run(),
        (Some((name, Run::Alone(_))), Some(first)) => {
            let first = first.to_string_lossy();
            Err(Fault::usage(format!("`cargo xtask {name}` takes no arguments, found `{first}`")))
        }
        (None, _) => Err(unknown(&name)),
    }
}

fn help() -> Outcome {
    println!("{HELP}");
    Ok(ExitCode::SUCCESS)
}

fn unknown(command: &str) -> Fault {
    let names: Vec<&str> = COMMANDS.iter().map(|(name, _)| *name).collect();
    let nearest = names.iter().min_by_key(|name| edits(command, name)).copied().unwrap_or_default();
    let all = names.join(", ");
    Fault::usage(format!("no command `{command}`; did you mean `{nearest}`? The commands are {all}"))
}

/// Returns the Levenshtein distance: the number of inserted, deleted and changed letters.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // row[j] is the distance from the letters of `a` read so far to `b[..j]`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for x in a.chars() {
        let mut diagonal = row[0];
        row[0] += 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(args: &[&str]) -> Fault {
        dispatch(&args.iter().map(OsString::from).collect::<Vec<_>>()).unwrap_err()
    }

    #[test]
    fn an_unknown_command_names_the_nearest() {
        assert!(fault(&["trian"]).message.contains("did you mean `train`"));
        assert!(fault(&["tests"]).message.contains("did you mean `test`"));
        assert_eq!(fault(&["trian"]).code, 2);
    }

    #[test]
    fn commands_without_arguments_refuse_them() {
        assert!(fault(&["tidy", "--fix"]).message.contains("found `--fix`"));
        assert_eq!(fault(&["ci", "x"]).code, 2);
    }

    #[test]
    fn help_names_every_command() {
        assert!(COMMANDS.iter().filter(|c| c.0 != "help").all(|c| HELP.contains(&format!("cargo xtask {}", c.0))));
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, distance) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ci", "ci", 0)]
        {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }
}
