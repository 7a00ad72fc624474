//! Failures of a device. The backend's kernels cannot return them, so they panic with a [`Failure`]; within [`caught`] that is silent, and becomes
//! an error.

use cudarc::driver::{DriverError, result, sys::CUresult};
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Why a device cannot go on. What it was computing is lost.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It has no memory for an array.
    OutOfMemory {
        /// Size of the array in bytes.
        wanted: usize,
        /// Bytes that are free, in pieces that are too small.
        free: usize,
        /// Bytes of the device.
        total: usize,
    },
    /// A call failed: the device is lost, or was told to do what it cannot.
    Call {
        /// What was called.
        what: String,
        /// The library's error.
        error: String,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory { wanted, free, total } => {
                let [wanted, free, total] = [wanted, free, total].map(|bytes| bytes >> 20);
                write!(f, "CUDA: no memory for {wanted} MiB: {free} of {total} MiB are free")
            }
            Self::Call { what, error } => write!(f, "CUDA: {what}: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

thread_local! {
    /// Number of [`caught`] calls that this thread is within.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Calls `f`, and returns the failure that ended it, if one did. Other panics go on.
///
/// # Errors
/// If the device failed.
pub fn caught<R>(f: impl FnOnce() -> R) -> Result<R, Failure> {
    DEPTH.set(DEPTH.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(f));
    DEPTH.set(DEPTH.get() - 1);
    result.map_err(|panic: Box<dyn Any + Send>| match panic.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(other) => resume_unwind(other),
    })
}

/// Ends the work on a device.
#[track_caller]
pub(crate) fn fail(failure: Failure) -> ! {
    if DEPTH.get() > 0 {
        // Unlike `panic!`, this prints nothing.
        resume_unwind(Box::new(failure));
    }
    panic!("{failure}")
}

/// Returns a call's value.
///
/// # Panics
/// If the call failed, with a [`Failure`].
#[track_caller]
pub(crate) fn check<T, E: fmt::Debug>(what: &str, value: Result<T, E>) -> T {
    match value {
        Ok(value) => value,
        Err(error) => fail(Failure::Call { what: what.into(), error: format!("{error:?}") }),
    }
}

/// Returns memory of the driver. If it has none, `free` is called first to give unused blocks back.
///
/// # Panics
/// With a [`Failure`] if there is not enough memory.
pub(crate) fn request(bytes: usize, free: impl FnOnce()) -> u64 {
    const FULL: Result<u64, DriverError> = Err(DriverError(CUresult::CUDA_ERROR_OUT_OF_MEMORY));
    // SAFETY: the caller has made the context current.
    let mut found = unsafe { result::malloc_sync(bytes) };
    if found == FULL {
        free();
        // SAFETY: as above.
        found = unsafe { result::malloc_sync(bytes) };
    }
    if found == FULL {
        let (free, total) = result::mem_get_info().unwrap_or_default();
        fail(Failure::OutOfMemory { wanted: bytes, free, total });
    }
    check("memory", found)
}
