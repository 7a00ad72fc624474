//! One execution of a target within its limits on memory and time.

use crate::target::{Outcome, Target};
use gan_kernels::process::Counting;
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Time limit of an execution. Most take less than a millisecond, but the machine may be busy.
pub const SLOW: Duration = Duration::from_secs(5);

/// A fault that an input causes.
#[derive(Debug)]
pub enum Fault {
    /// A panic, with its message.
    Panic(String),
    /// More memory than the target allows for the input, in bytes.
    Memory {
        /// Peak usage minus the usage before the execution.
        taken: usize,
        /// Limit for this input.
        allowed: usize,
    },
    /// More time than [`SLOW`].
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

/// Runs `target` on `input` and returns its outcome. `memory` is the global allocator.
///
/// # Errors
/// Returns the fault that the input causes, if any.
pub fn run(target: &Target, input: &[u8], memory: &Counting) -> Result<Outcome, Fault> {
    let allowed = target.memory.allowed(input.len());
    memory.reset_peak();
    let before = memory.in_use();
    let start = Instant::now();
    // After a panic, state that the body shares between executions may be inconsistent. That is acceptable, because the panic is reported as a fault.
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

/// Runs `target` on `input` for libFuzzer, which detects faults as panics.
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
