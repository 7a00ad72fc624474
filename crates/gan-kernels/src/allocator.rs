//! The binary's allocator: mimalloc, with a word to the user before the process ends for want of memory.
//!
//! Where the system refuses memory, Rust's collections end the process at once. What to do about it is the program's to say: it
//! registers a function that is called first, and that may end the process in an orderly way.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// mimalloc, for `#[global_allocator]`, that calls what [`on_refusal`] registered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

static ON_REFUSAL: OnceLock<fn(usize)> = OnceLock::new();

/// Calls `f` with the number of bytes when the system refuses that much memory, before the process ends. It may end the process
/// itself; it should allocate little. The first registration counts.
pub fn on_refusal(f: fn(usize)) {
    ON_REFUSAL.get_or_init(|| f);
}

/// `block` for `bytes`, after it was said if there is none.
fn told(block: *mut u8, bytes: usize) -> *mut u8 {
    if block.is_null() {
        refused(bytes);
    }
    block
}

#[cold]
fn refused(bytes: usize) {
    thread_local! {
        static TELLING: Cell<bool> = const { Cell::new(false) };
    }
    static TOLD: AtomicBool = AtomicBool::new(false);
    // Where saying it needs memory that is refused as well, there is nothing left to do.
    if TELLING.replace(true) {
        return;
    }
    if TOLD.swap(true, Ordering::SeqCst) {
        // Another thread is saying it, which ends the process.
        std::thread::sleep(Duration::from_secs(1));
    } else if let Some(f) = ON_REFUSAL.get() {
        f(bytes);
        TOLD.store(false, Ordering::SeqCst);
    }
    TELLING.set(false);
}

// SAFETY: every function hands its arguments on to mimalloc's and returns what that returns; what is called in between changes
// neither.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller vouches.
        told(unsafe { MiMalloc.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller vouches.
        told(unsafe { MiMalloc.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller vouches.
        told(unsafe { MiMalloc.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller vouches.
        unsafe { MiMalloc.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    static REFUSED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn a_refusal_is_told_and_comes_back_as_null() {
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
}
