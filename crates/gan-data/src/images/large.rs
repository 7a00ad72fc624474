//! Large images one after the other, so that memory stays within that of one of them however many threads decode.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most pixels that an image may have: a square of 16,384. The largest cameras of phones make 200 million.
pub const MOST_PIXELS: u64 = 1 << 28;

/// The most bytes that an image may take once it is decoded.
pub const MOST_BYTES: u64 = 1 << 30;

/// The most bytes that an image's file may have.
pub const MOST_FILE: u64 = 1 << 29;

/// A file or a decoded image of more bytes than these is large.
const LARGE: u64 = 1 << 26;

static TURN: Mutex<()> = Mutex::new(());

/// The right to hold a large file or image in memory. It may be taken once by a thread: what has it passes it on.
#[derive(Default)]
pub struct Turn(Option<MutexGuard<'static, ()>>);

impl Turn {
    /// Waits for it where `bytes` are many and this is not it yet.
    pub fn wait_for(&mut self, bytes: u64) {
        if bytes > LARGE && self.0.is_none() {
            // What panicked with it holds nothing any more.
            self.0 = Some(TURN.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
