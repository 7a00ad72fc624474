//! Standard output and standard error: either may be closed, or a file on a full disk, and neither may end a run.
//!
//! Text can hold names from files, so every function but [`bytes`] writes control characters out instead of sending them to the
//! terminal.

use crate::quoting::{visible, visible_json};
use anyhow::{Context, Result};
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Writes a result, a line of text, to standard output.
pub fn line(text: impl Display) -> Result<()> {
    self::text(format_args!("{text}\n"))
}

/// Writes a result, text that has its line breaks, to standard output.
pub fn text(text: impl Display) -> Result<()> {
    bytes(visible(&text.to_string()).as_bytes())
}

/// Writes a result, a line of JSON, to standard output.
pub fn json(value: impl Display) -> Result<()> {
    bytes(format!("{}\n", visible_json(&value.to_string())).as_bytes())
}

/// Writes a result to standard output as it is: a picture or a page. Whoever closed the other end, as `head` does, has enough: that
/// is no error.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output: cannot be written"),
        _ => Ok(()),
    }
}

/// Tells the user something on the way. Where nobody can read it, nothing is said.
pub fn note(text: impl Display) {
    writeln!(std::io::stderr(), "{}", visible(&text.to_string())).ok();
}
