//! What a program that trains should do at the start of `main`, before it has other threads, and allocators for binaries and tests.

mod counting;

pub use counting::Counting;

/// `mi_option_purge_delay` in mimalloc's header: milliseconds until freed pages go back to the system; −1 is never.
#[cfg(feature = "allocator")]
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps freed pages from now on, where the global allocator is mimalloc ([`crate::allocator`]).
///
/// A step frees and asks for the same large tensors again and again. glibc, and mimalloc as it comes, give their pages back to
/// the system in between, which then clears them again: a tenth of a step's time.
#[cfg(feature = "allocator")]
pub fn keep_pages() {
    // SAFETY: sets a number that mimalloc reads when it frees; any value is valid.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

/// Leaves candle's element-wise operations to the thread that calls them, unless `CANDLE_NUM_THREADS` says otherwise.
///
/// Candle has a pool of its own for them beside rayon's, whose threads spin while they wait: they take the processor from the
/// kernels that do nearly all of the work, and no `--threads` bounds them.
/// Does nothing where the process has other threads already, or where that cannot be told (it is told on Linux).
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
