//! Whether this machine can build and start what runs on several processes.

use crate::fault::Fault;
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// What cargo is told so that the tests of several processes are among all others: nothing where there is no MPI.
///
/// # Errors
/// If there is none, and the environment variable CI is set: whoever sets it relies on every test.
pub fn features() -> Result<&'static [&'static str], Fault> {
    let there = on_path("mpicc").is_some() && on_path("mpirun").is_some();
    if there {
        return Ok(&["--features", "gan-cli/mpi"]);
    }
    if env::var_os("CI").is_some() {
        return Err(Fault::failed("CI is set, but there is no mpicc or no mpirun here: see docs/scaling.md"));
    }
    eprintln!(
        "xtask: SKIPPED: runs on several processes, for there is no mpicc and mpirun (docs/scaling.md says what to install)"
    );
    Ok(&[])
}

/// Where `program` is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Runs a program, and says what did not work.
///
/// # Errors
/// If it cannot be started, or fails.
pub fn program(command: &mut Command) -> Result<(), Fault> {
    eprintln!("$ {command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Fault::failed(format!("{command:?}: {status}"))),
        Err(error) => Err(Fault::failed(format!("{command:?} cannot be started: {error}"))),
    }
}
