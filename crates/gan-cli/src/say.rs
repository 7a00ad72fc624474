//! Standard output and standard error. Either may be closed, or a file on a full disk, and neither may end a run.
//!
//! Text can contain names from files, so every function except [`bytes`] escapes control characters instead of sending them to the
//! terminal.

use crate::quoting::{visible, visible_json};
use anyhow::{Context, Result};
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// Writes a result, one line of text, to standard output.
pub fn line(text: impl Display) -> Result<()> {
    self::text(format_args!("{text}\n"))
}

/// Writes a result, text with its line breaks, to standard output.
pub fn text(text: impl Display) -> Result<()> {
    bytes(visible(&text.to_string()).as_bytes())
}

/// Writes a result, one line of JSON, to standard output.
pub fn json(value: impl Display) -> Result<()> {
    bytes(format!("{}\n", visible_json(&value.to_string())).as_bytes())
}

/// Writes a result, such as a picture or a page, to standard output unchanged. A closed pipe, as after `head`, is not an error.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output: cannot be written"),
        _ => Ok(()),
    }
}

/// Writes a note to standard error. A failure to write it is ignored.
pub fn note(text: impl Display) {
    writeln!(std::io::stderr(), "{}", visible(&text.to_string())).ok();
}
