//! Ctrl-C and SIGTERM.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Error of a command that a signal ended; exit code 130.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal: nothing was written")]
pub struct Interrupted;

/// Flag that the first signal sets.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches for signals. The first one sets the flag and calls `first`; a second one ends the process at once.
    pub fn watch(first: impl Fn() + Send + 'static) -> Result<Self> {
        let interrupt = Self::default();
        let flag = interrupt.clone();
        let on_signal = move || {
            if flag.0.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(crate::STOPPED));
            }
            first();
        };
        ctrlc::set_handler(on_signal).context("watching for Ctrl-C")?;
        Ok(interrupt)
    }

    /// Ignores signals in this process, which another one ends.
    pub fn ignore() -> Result<Self> {
        ctrlc::set_handler(|| {}).context("watching for Ctrl-C")?;
        Ok(Self::default())
    }

    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// Returns an error if a signal was received, for commands that remove incomplete output then.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Interrupted.into()) } else { Ok(()) }
    }
}
