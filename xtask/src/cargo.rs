//! One run of cargo on this workspace: how it is written down for people, and how it is started.

use crate::fault::Fault;
use crate::workspace;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::Command;

/// A cargo command; it displays as the line that repeats it in a shell.
pub struct Cargo {
    variables: Vec<(&'static str, String)>,
    args: Vec<OsString>,
}

impl Cargo {
    /// `cargo ARGS…`.
    pub fn new<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self { variables: vec![], args: args.into_iter().map(|arg| arg.as_ref().into()).collect() }
    }

    /// With further arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// With an environment variable.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Shows the command, runs it, and says whether it succeeded.
    ///
    /// # Errors
    /// If cargo cannot be started.
    pub fn run(&self) -> Result<bool, Fault> {
        eprintln!("$ {self}");
        let status = self.command().status();
        status.map(|status| status.success()).map_err(|error| Fault::failed(format!("cannot start cargo: {error}")))
    }

    /// The manifest is named, instead of changing folders, so that a relative `CARGO_TARGET_DIR` keeps its meaning.
    fn command(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        let (subcommand, rest) = self.args.split_at(self.args.len().min(1));
        command.args(subcommand).arg("--manifest-path").arg(workspace::root().join("Cargo.toml")).args(rest);
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
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(&arg.to_string_lossy())))
    }
}

/// In single quotes where a shell would take it apart.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=./:,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
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
