//! Setup at the start of `main` of a program that trains, before it has other threads, and allocators for binaries and tests.

#[cfg(all(feature = "allocator", target_os = "linux"))]
mod allocator;
mod counting;

#[cfg(all(feature = "allocator", target_os = "linux"))]
pub use allocator::{Allocator, keep_pages, on_refusal};
pub use counting::Counting;

/// Prepares this process for training; to be called first in `main`, before the program has other threads.
///
/// Candle's elementwise operations then run in the calling thread ([`one_pool`]), and with the feature `allocator` on Linux, memory that is
/// freed stays with the process for the next step. The binary `gan` does this, and programs of your own should.
pub fn prepare() {
    #[cfg(all(feature = "allocator", target_os = "linux"))]
    keep_pages();
    one_pool();
}

/// Runs candle's elementwise operations in the calling thread, unless `CANDLE_NUM_THREADS` is set.
///
/// Candle has its own pool for them beside rayon's, whose threads spin while they wait: they take the processor from the kernels that do
/// nearly all of the work, and no `--threads` limits them. Does nothing if the process already has other threads, or if that is unknown (it
/// is known on Linux and macOS, and does not matter on Windows).
pub fn one_pool() {
    const KEY: &str = "CANDLE_NUM_THREADS";
    if may_set_variables() && std::env::var_os(KEY).is_none() {
        // SAFETY: this is the only thread, so nobody reads the environment meanwhile; on Windows, threads may.
        unsafe { std::env::set_var(KEY, "1") }
    }
}

/// Returns whether environment variables can be set without a race.
fn may_set_variables() -> bool {
    cfg!(windows) || threads() == Some(1)
}

/// Returns the number of this process's threads, if the system tells.
#[cfg(not(target_os = "macos"))]
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// Returns the number of this process's threads, if the system tells.
#[cfg(target_os = "macos")]
fn threads() -> Option<usize> {
    // SAFETY: all fields of the structure are integers, for which zeros are valid.
    let mut info: libc::proc_taskinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_taskinfo>() as libc::c_int;
    // SAFETY: the system writes at most `size` bytes into the structure, which lives until the call returns.
    let written = unsafe {
        libc::proc_pidinfo(libc::getpid(), libc::PROC_PIDTASKINFO, 0, std::ptr::from_mut(&mut info).cast(), size)
    };
    (written == size).then(|| usize::try_from(info.pti_threadnum).ok()).flatten()
}
