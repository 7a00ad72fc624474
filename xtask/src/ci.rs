//! `cargo xtask ci`: what has to pass before a change is taken, the quick checks first.

use crate::cargo::Cargo;
use crate::fault::{Fault, Outcome};
use crate::{mpi, suite, tidy};
use std::process::ExitCode;
use std::time::{Duration, Instant};

enum Work {
    Cargo(Cargo),
    Tidy,
}

struct Step {
    name: &'static str,
    work: Work,
}

/// All of them in the release profile, which is the quickest way through the whole list. What a profile's build scripts
/// and macros need is compiled once a profile, so a second profile would pay for it twice; clippy and doc read the same
/// checked dependencies. Machine code for the dependencies is made once, for the tests.
/// With the feature `hub` they would be made a second time, so its tests are run by hand: see docs/fetch.md.
fn steps(mpi: &[&str]) -> [Step; 6] {
    let clippy =
        Cargo::new(["clippy", "--workspace", "--all-targets", "--release"]).args(mpi).args(["--", "-D", "warnings"]);
    let hub = ["-p", "gan-data", "-p", "gan-cli", "--features", "gan-cli/hub", "--all-targets", "--release"];
    let hub = Cargo::new(["clippy"]).args(hub).args(["--", "-D", "warnings"]);
    let doc = Cargo::new(["doc", "--workspace", "--no-deps", "--release"]).with("RUSTDOCFLAGS", "-D warnings");
    [
        Step { name: "fmt", work: Work::Cargo(Cargo::new(["fmt", "--all", "--check"])) },
        Step { name: "tidy", work: Work::Tidy },
        Step { name: "clippy", work: Work::Cargo(clippy) },
        Step { name: "clippy with the hub", work: Work::Cargo(hub) },
        Step { name: "doc", work: Work::Cargo(doc) },
        Step { name: "test", work: Work::Cargo(suite::cargo_test(&[], mpi)) },
    ]
}

impl Work {
    fn run(&self) -> Result<bool, Fault> {
        match self {
            Self::Cargo(cargo) => cargo.run(),
            Self::Tidy => tidy::passes(),
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Cargo(cargo) => cargo.to_string(),
            Self::Tidy => "cargo xtask tidy".into(),
        }
    }
}

/// Runs the steps in turn and stops at the first that fails.
pub fn run() -> Outcome {
    let start = Instant::now();
    for step in steps(mpi::features()?) {
        run_step(&step)?;
    }
    println!("xtask ci: all passed in {}", written(start.elapsed()));
    Ok(ExitCode::SUCCESS)
}

fn run_step(step: &Step) -> Result<(), Fault> {
    let name = step.name;
    println!("xtask ci: {name} …");
    let start = Instant::now();
    let passed = step.work.run()?;
    let time = written(start.elapsed());
    if !passed {
        return Err(Fault::failed(format!("ci: {name} FAILED after {time}; to repeat it: {}", step.work.line())));
    }
    println!("xtask ci: {name} passed in {time}");
    Ok(())
}

/// `4.2 s` or `12 min 05 s`.
fn written(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(written(Duration::from_millis(4_210)), "4.2 s");
        assert_eq!(written(Duration::from_secs(725)), "12 min 05 s");
    }

    #[test]
    fn every_step_says_how_to_repeat_it() {
        assert!(steps(&[]).iter().all(|step| step.work.line().contains("cargo ")));
        assert!(steps(&[]).iter().any(|step| step.work.line().starts_with("RUSTDOCFLAGS='-D warnings' cargo doc")));
    }
}
