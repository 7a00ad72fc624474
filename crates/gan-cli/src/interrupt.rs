//! Ctrl-C and SIGTERM in commands that write for a while: incomplete output is removed first.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Error of a command that a signal ended; exit code 130.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped by a signal: nothing was written")
    }
}

impl std::error::Error for Interrupted {}

/// Flag that the user has asked to stop.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to watch for signals; a second signal ends the process at once.
    pub fn watch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&flag);
        ctrlc::set_handler(move || {
            if own.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(crate::STOPPED));
            }
        })
        .context("watching for Ctrl-C")?;
        Ok(Self(flag))
    }

    /// Returns an error if a signal was received.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Interrupted.into()) } else { Ok(()) }
    }
}
