//! `cargo xtask test` runs every test, or those that the arguments select; `cargo xtask ci` runs everything that has to pass before a change
//! is accepted, the quick checks first.

use crate::cargo::{Cargo, on_path, root};
use crate::{Fault, Outcome, tidy, web};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs the tests, then tidy even if a test failed, and ends with a line that says whether all passed.
pub fn test(args: &[OsString]) -> Outcome {
    let tested = cargo_test(args, mpi()?).run()?;
    let tidied = tidy::passes()?;
    match (tested, tidied) {
        (true, true) => {
            println!("xtask test: all passed");
            return Ok(ExitCode::SUCCESS);
        }
        (true, false) => println!("xtask test: FAILED: tidy"),
        (false, true) => println!("xtask test: FAILED: cargo test"),
        (false, false) => println!("xtask test: FAILED: cargo test and tidy"),
    }
    Ok(ExitCode::FAILURE)
}

/// Returns the tests, in release: without optimization they take too long, and `train` needs that build anyway. They are those of the whole
/// workspace with `features`, unless the arguments name packages: cargo would ignore them beside `--workspace`.
fn cargo_test(args: &[OsString], features: &[&str]) -> Cargo {
    let is_package = |arg: &str| arg.starts_with("--package") || (arg.starts_with("-p") && !arg.starts_with("--"));
    let mut own = args.iter().map(|arg| arg.to_string_lossy()).take_while(|arg| arg != "--");
    let test = Cargo::new(["test", "--release"]);
    match own.any(|arg| is_package(&arg)) {
        true => test.args(args),
        false => test.args(["--workspace"]).args(features).args(args),
    }
}

/// Returns the arguments that add the tests of several processes, or none if there is no MPI here. This is an error if the environment
/// variable CI is set, which demands every test.
fn mpi() -> Result<&'static [&'static str], Fault> {
    if on_path("mpicc").is_some() && on_path("mpirun").is_some() {
        return Ok(&["--features", "gan-cli/mpi"]);
    }
    if env::var_os("CI").is_some() {
        return Err(Fault::failed("CI is set, but there is no mpicc or no mpirun here: see docs/scaling.md"));
    }
    eprintln!(
        "xtask: SKIPPED: runs on several processes, because there is no mpicc and mpirun (docs/scaling.md says what to install)"
    );
    Ok(&[])
}

/// What a step runs.
enum Work {
    Cargo(Cargo),
    /// A check of this program, with the command that repeats it.
    Own(&'static str, fn() -> Result<bool, Fault>),
}

impl Work {
    fn run(&self) -> Result<bool, Fault> {
        match self {
            Self::Cargo(cargo) => cargo.run(),
            Self::Own(_, check) => check(),
        }
    }

    /// Returns the line that repeats it.
    fn command(&self) -> String {
        match self {
            Self::Cargo(cargo) => cargo.to_string(),
            Self::Own(command, _) => (*command).into(),
        }
    }
}

/// Name of a step, and its work.
type Step = (&'static str, Work);

/// Returns the steps. All use the release profile, which is the quickest way through the whole list: build scripts and macros are compiled
/// once per profile, clippy and doc read the same checked dependencies, and the tests alone need machine code of them.
fn steps(mpi: &[&str]) -> [Step; 7] {
    let clippy = ["clippy", "--workspace", "--all-targets", "--release"];
    let clippy = Cargo::new(clippy).args(mpi).args(["--", "-D", "warnings"]);
    let doc = Cargo::new(["doc", "--workspace", "--no-deps", "--release"]).with("RUSTDOCFLAGS", "-D warnings");
    [
        ("fmt", Work::Cargo(Cargo::new(["fmt", "--all", "--check", "--"]).args(declared_by_macros()))),
        ("tidy", Work::Own("cargo xtask tidy", tidy::passes)),
        ("web", Work::Own("cargo xtask check-web", web::passes)),
        ("clippy", Work::Cargo(clippy)),
        ("doc", Work::Cargo(doc)),
        ("test", Work::Cargo(cargo_test(&[], mpi))),
        ("package", Work::Cargo(Cargo::new(["run", "--quiet", "--package", "xtask", "--", "package"]))),
    ]
}

/// Folders whose files a macro declares as modules. `cargo fmt` does not find these files by itself.
const REGISTRIES: [&str; 7] = [
    "gan-core/src/layers",
    "gan-core/src/losses",
    "gan-core/src/penalties",
    "gan-core/src/augmentations",
    "gan-data/src/datasets",
    "gan-alarms/src/rules",
    "gan-step/src/optimizers",
];

/// Returns the files in [`REGISTRIES`]. A folder that does not exist has none; the unit tests compare the list with the sources.
fn declared_by_macros() -> Vec<PathBuf> {
    let crates = root().join("crates");
    let entries = REGISTRIES.iter().filter_map(|folder| fs::read_dir(crates.join(folder)).ok()).flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

/// Runs the steps in turn and stops at the first that fails.
pub fn run() -> Outcome {
    let start = Instant::now();
    for (name, work) in steps(mpi()?) {
        println!("xtask ci: {name} …");
        let start = Instant::now();
        let passed = work.run()?;
        let time = written(start.elapsed());
        if !passed {
            let again = work.command();
            return Err(Fault::failed(format!("ci: {name} FAILED after {time}; to repeat it: {again}")));
        }
        println!("xtask ci: {name} passed in {time}");
    }
    println!("xtask ci: all passed in {}", written(start.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// Formats `4.2 s` or `12 min 05 s`.
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
    fn times_are_written_in_seconds_or_minutes() {
        assert_eq!(written(Duration::from_millis(4_210)), "4.2 s");
        assert_eq!(written(Duration::from_secs(725)), "12 min 05 s");
    }

    #[test]
    fn every_folder_with_modules_from_a_macro_is_formatted() {
        let tree = tidy::Tree::read(&root()).unwrap();
        let declaring = tree.ending("/mod.rs").filter(|file| file.text.contains("mod $module;"));
        let found: Vec<&str> = declaring.filter_map(|file| file.path.strip_prefix("crates/")).collect();
        let mut expected = REGISTRIES.map(|folder| format!("{folder}/mod.rs"));
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_step_displays_as_the_line_that_repeats_it() {
        let lines: Vec<String> = steps(&[]).iter().map(|step| step.1.command()).collect();
        assert!(lines.iter().any(|line| line.starts_with("RUSTDOCFLAGS='-D warnings' cargo doc")), "{lines:?}");
    }

    #[test]
    fn packages_take_the_place_of_the_workspace() {
        for (args, wanted) in [
            ("", "cargo test --release --workspace"),
            ("-p gan-core loss", "cargo test --release -p gan-core loss"),
            ("--package=gan-core", "cargo test --release --package=gan-core"),
            ("loss -- --nocapture -p", "cargo test --release --workspace loss -- --nocapture -p"),
        ] {
            let args: Vec<OsString> = args.split_whitespace().map(OsString::from).collect();
            assert_eq!(cargo_test(&args, &[]).to_string(), wanted);
        }
    }
}
