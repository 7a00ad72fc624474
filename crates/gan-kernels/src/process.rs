//! Setup at the start of `main` of a program that trains, before it has other threads, and allocators for binaries and tests.

#[cfg(feature = "allocator")]
mod allocator;
mod counting;

#[cfg(feature = "allocator")]
pub use allocator::{Allocator, keep_pages, on_refusal};
pub use counting::Counting;

/// Runs candle's elementwise operations in the calling thread, unless `CANDLE_NUM_THREADS` is set.
///
/// Candle has its own pool for them beside rayon's, whose threads spin while they wait: they take the processor from the kernels that do
/// nearly all of the work, and no `--threads` limits them. Does nothing if the process already has other threads, or if that is unknown (it
/// is known on Linux).
pub fn one_pool() {
    const KEY: &str = "CANDLE_NUM_THREADS";
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    if alone && std::env::var_os(KEY).is_none() {
        // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(KEY, "1") }
    }
}
