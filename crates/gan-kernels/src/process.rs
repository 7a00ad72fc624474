//! Setup at the start of `main` of a program that trains, before it has other threads, and allocators for binaries and tests.

mod counting;

pub use counting::Counting;

/// `mi_option_purge_delay` in mimalloc's header: milliseconds until freed pages are returned to the system; −1 means
/// never.
#[cfg(feature = "allocator")]
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps freed pages from now on, if the global allocator is mimalloc ([`crate::allocator`]).
///
/// A step frees and allocates the same large tensors repeatedly. By default, glibc and mimalloc return their pages to the system in
/// between, which then clears them again: a tenth of a step's time.
#[cfg(feature = "allocator")]
pub fn keep_pages() {
    // SAFETY: sets a number that mimalloc reads when it frees; any value is valid.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

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

#[cfg(all(test, feature = "allocator"))]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // Its default is a small number of milliseconds.
        // SAFETY: reads a number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!((1..=10_000).contains(&delay()), "{}", delay());
        keep_pages();
        assert_eq!(delay(), -1);
    }
}
