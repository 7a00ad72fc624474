//! Why a command could not do its work, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

/// What every command returns: an exit code, or the reason why there is none.
pub type Outcome = Result<ExitCode, Fault>;

/// A reason, for people, with its exit code.
#[derive(Debug)]
pub struct Fault {
    code: u8,
    message: String,
}

impl Fault {
    /// Something did not work: exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The command was called wrongly: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// The code to leave with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)
    }
}
