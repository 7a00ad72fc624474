//! The allocator that a training program should use: mimalloc, told to keep the pages of what is freed.
//!
//! A step frees and asks for the same large tensors again and again. glibc, and mimalloc as it comes, give their pages back to
//! the system in between, which then clears them again: a tenth of a step's time.

pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay` in mimalloc's header: milliseconds until freed pages go back; −1 is never.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Keeps freed pages from now on. For the start of `main` of a program whose global allocator is [`MiMalloc`].
pub fn keep_pages() {
    // SAFETY: sets a number that mimalloc reads when it frees; any value is valid.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

#[cfg(test)]
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
