//! The binary's allocator: mimalloc, with a callback before the process ends because memory is refused.
//!
//! If the system refuses memory, Rust's collections end the process at once. A program can register a function that is called first, and
//! that may end the process in an orderly way.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// `mi_option_purge_delay` in mimalloc's header: milliseconds until freed pages are returned to the system; −1 means
/// never.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// `mi_option_allow_large_os_pages` in mimalloc's header: 1 requests large pages.
const LARGE_PAGES: libmimalloc_sys::mi_option_t = 6;

/// Requests large pages before mimalloc reserves any memory, which it does at the first allocation.
///
/// With pages of 4 KiB, large matrices wait for the translation of addresses: a tenth of a dense network's time. The environment variable
/// `MIMALLOC_ALLOW_LARGE_OS_PAGES` overrides this.
#[inline]
fn request_large_pages() {
    static REQUESTED: AtomicBool = AtomicBool::new(false);
    // Elsewhere such pages need privileges.
    if cfg!(target_os = "linux") && !REQUESTED.load(Ordering::Relaxed) {
        REQUESTED.store(true, Ordering::Relaxed);
        // SAFETY: sets a number that mimalloc reads when it reserves memory; any value is valid.
        unsafe { libmimalloc_sys::mi_option_set_default(LARGE_PAGES, 1) }
    }
}

/// Keeps freed pages from now on, if the global allocator is mimalloc ([`Allocator`]).
///
/// A step frees and allocates the same large tensors repeatedly. By default, glibc and mimalloc return their pages to the system in
/// between, which then clears them again: a tenth of a step's time.
pub fn keep_pages() {
    // SAFETY: sets a number that mimalloc reads when it frees; any value is valid.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

/// mimalloc, for `#[global_allocator]`, with the callback that [`on_refusal`] registered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

static ON_REFUSAL: OnceLock<fn(usize)> = OnceLock::new();

/// Registers `f`, which is called with the number of bytes when the system refuses that much memory, before the process ends. It may end
/// the process itself, and should allocate little. Only the first registration counts.
pub fn on_refusal(f: fn(usize)) {
    ON_REFUSAL.get_or_init(|| f);
}

/// Returns `block` of `bytes`, after calling the callback if it is null.
fn checked(block: *mut u8, bytes: usize) -> *mut u8 {
    if block.is_null() {
        refused(bytes);
    }
    block
}

#[cold]
fn refused(bytes: usize) {
    thread_local! {
        static CALLING: Cell<bool> = const { Cell::new(false) };
    }
    static CALLED: AtomicBool = AtomicBool::new(false);
    // If the callback needs memory that is refused as well, there is nothing left to do.
    if CALLING.replace(true) {
        return;
    }
    if CALLED.swap(true, Ordering::SeqCst) {
        // Another thread is in the callback, which ends the process.
        std::thread::sleep(Duration::from_secs(1));
    } else if let Some(f) = ON_REFUSAL.get() {
        f(bytes);
        CALLED.store(false, Ordering::SeqCst);
    }
    CALLING.set(false);
}

// SAFETY: every function passes its arguments to mimalloc and returns mimalloc's result. The callback changes neither.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        request_large_pages();
        // SAFETY: the caller keeps `GlobalAlloc`'s conditions.
        checked(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        request_large_pages();
        // SAFETY: the caller keeps `GlobalAlloc`'s conditions.
        checked(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps `GlobalAlloc`'s conditions.
        checked(unsafe { MiMalloc.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `GlobalAlloc`'s conditions.
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    static REFUSED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn a_refusal_calls_the_callback_and_returns_null() {
        on_refusal(|bytes| REFUSED.store(bytes, Ordering::SeqCst));
        let layout = Layout::from_size_align(1 << 60, 64).unwrap();
        // SAFETY: the layout is not empty.
        assert!(unsafe { Allocator.alloc(layout) }.is_null());
        assert_eq!(REFUSED.load(Ordering::SeqCst), 1 << 60);
        let small = Layout::from_size_align(100, 64).unwrap();
        // SAFETY: the layout is not empty, and the block is given back with it.
        unsafe {
            let block = Allocator.alloc_zeroed(small);
            assert_eq!(*block, 0);
            Allocator.dealloc(block, small);
        }
    }

    #[test]
    fn the_options_are_the_ones_that_are_meant() {
        // Its default is a small number of milliseconds.
        // SAFETY: reads a number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!((1..=10_000).contains(&delay()), "{}", delay());
        keep_pages();
        assert_eq!(delay(), -1);
        // SAFETY: the layout is not empty, and the block is given back with it.
        unsafe { Allocator.dealloc(Allocator.alloc(Layout::new::<u64>()), Layout::new::<u64>()) };
        // SAFETY: reads a number.
        let large = unsafe { libmimalloc_sys::mi_option_get(LARGE_PAGES) };
        assert_eq!(large == 1, cfg!(target_os = "linux"), "{large}");
    }
}
