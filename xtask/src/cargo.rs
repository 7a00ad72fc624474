//! Cargo and other programs: where they are, how a run is displayed, and how it is started.

use crate::Fault;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Run of cargo on this workspace, or on the one of [`Cargo::of`]; it displays as the line that repeats it in a shell.
pub struct Cargo {
    variables: Vec<(&'static str, String)>,
    args: Vec<OsString>,
    /// The other workspace's `Cargo.toml`.
    manifest: Option<PathBuf>,
}

impl Cargo {
    /// Returns `cargo ARGS…`.
    pub fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self { variables: vec![], args: vec![], manifest: None }.args(args)
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Adds an environment variable.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Names another workspace by its `Cargo.toml`.
    pub fn of(self, manifest: PathBuf) -> Self {
        Self { manifest: Some(manifest), ..self }
    }

    /// Shows the command, runs it, and returns whether it succeeded. It fails if cargo cannot be started.
    pub fn run(&self) -> Result<bool, Fault> {
        eprintln!("$ {self}");
        let status = self.command().status();
        status.map(|status| status.success()).map_err(|error| Fault::failed(format!("cannot start cargo: {error}")))
    }

    /// Runs the command, and fails with `problem` if it does not succeed.
    pub fn succeed(&self, problem: &str) -> Result<(), Fault> {
        if self.run()? { Ok(()) } else { Err(Fault::failed(problem)) }
    }

    /// The manifest is named, instead of changing folders, so that a relative `CARGO_TARGET_DIR` keeps its meaning.
    fn command(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let (subcommand, rest) = self.args.split_at(self.args.len().min(1));
        let manifest = self.manifest.clone().unwrap_or_else(|| root().join("Cargo.toml"));
        command.args(subcommand).arg("--manifest-path").arg(manifest).args(rest);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl fmt::Display for Cargo {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str("cargo")?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(&arg.to_string_lossy())))?;
        let manifest = self.manifest.iter().map(|manifest| manifest.to_string_lossy());
        manifest.map(|manifest| quoted(&manifest)).try_for_each(|manifest| write!(f, " --manifest-path {manifest}"))
    }
}

/// Puts a word into single quotes if a shell would split it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Returns the folder of the workspace's `Cargo.toml`, the one above this crate's. Cargo names it when it starts this program; a copy
/// started by hand takes the folder in which it was built.
pub fn root() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}

/// Returns the folder that cargo builds into: `CARGO_TARGET_DIR`, relative to the current folder as cargo reads it, or the workspace's
/// `target`.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()).map_or_else(|| root().join("target"), PathBuf::from)
}

/// Returns the path of `program` on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Runs a program. Fails if it cannot be started or does not succeed.
pub fn program(command: &mut Command) -> Result<(), Fault> {
    eprintln!("$ {command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Fault::failed(format!("{command:?}: {status}"))),
        Err(error) => Err(Fault::failed(format!("{command:?} cannot be started: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_displays_as_a_shell_line() {
        let doc = Cargo::new(["doc", "--no-deps"]).args(["a b", "it's"]).with("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(doc.to_string(), r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'a b' 'it'\''s'");
    }

    #[test]
    fn the_manifest_is_named_after_the_subcommand() {
        let args: Vec<OsString> = Cargo::new(["test", "--", "x"]).command().get_args().map(Into::into).collect();
        assert_eq!((args[0].as_os_str(), args[1].as_os_str()), (OsStr::new("test"), OsStr::new("--manifest-path")));
        assert_eq!(args[3..], ["--", "x"]);
    }
}
