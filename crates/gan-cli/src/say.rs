//! Standard output and standard error: either may be closed, or a file on a full disk, and neither may end a run.

use anyhow::{Context, Result};
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Writes a result, a line of text, to standard output.
pub fn line(text: impl Display) -> Result<()> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes a result to standard output. Whoever closed the other end, as `head` does, has enough: that is no error.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output: cannot be written"),
        _ => Ok(()),
    }
}

/// Tells the user something on the way. Where nobody can read it, nothing is said.
pub fn note(text: impl Display) {
    writeln!(std::io::stderr(), "{text}").ok();
}
