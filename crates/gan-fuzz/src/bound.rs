//! One execution of a target, held to its bounds of memory and time.

use crate::target::{Outcome, Target};
use gan_kernels::process::Counting;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// An execution that takes longer is at fault. Most take less than a millisecond; the machine may be busy with other things.
pub const SLOW: Duration = Duration::from_secs(5);

/// What an input must not cause.
#[derive(Debug)]
pub enum Fault {
    /// A panic, with its message.
    Panic(String),
    /// More memory than the input justifies, both in bytes.
    Memory {
        /// The most that was in use at once, beyond what was in use before.
        taken: usize,
        /// What the target allows for the input.
        allowed: usize,
    },
    /// A long time.
    Slow(Duration),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(message) => write!(f, "panics: {message}"),
            Self::Memory { taken, allowed } => write!(f, "takes {taken} bytes of memory, {allowed} are allowed"),
            Self::Slow(time) => write!(f, "takes {:.1} s, {} s are allowed", time.as_secs_f64(), SLOW.as_secs()),
        }
    }
}

/// Runs `target` on `input` and returns what it says, or the fault that it has. `memory` is the global allocator.
///
/// # Errors
/// The first fault.
pub fn run(target: &Target, input: &[u8], memory: &Counting) -> Result<Outcome, Fault> {
    let allowed = target.memory.allowed(input.len());
    memory.reset_peak();
    let before = memory.in_use();
    let start = Instant::now();
    // A panic may leave whatever the body shares between executions half changed; the fault is what matters then.
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.body)(input)));
    let time = start.elapsed();
    let taken = memory.peak().saturating_sub(before);
    let outcome = outcome.map_err(|panic| Fault::Panic(message(panic.as_ref())))?;
    match (taken > allowed, time > SLOW) {
        (true, _) => Err(Fault::Memory { taken, allowed }),
        (_, true) => Err(Fault::Slow(time)),
        _ => Ok(outcome),
    }
}

/// Runs `target` on `input` for libFuzzer, which learns of a fault by a panic.
///
/// # Panics
/// If the input causes a fault.
pub fn check(target: &Target, input: &[u8], memory: &Counting) {
    if let Err(fault) = run(target, input, memory) {
        panic!("the target {} {fault}", target.name);
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a value that is not text").into()
}
