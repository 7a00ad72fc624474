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

/// mimalloc, for `#[global_allocator]`, with the callback that [`on_refusal`] registered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

static ON_REFUSAL: OnceLock<fn(usize)> = OnceLock::new();

/// Registers `f`, which is called with the number of bytes when the system refuses that much memory, before the process ends. It may end
/// the process itself, and should allocate little. Only the first registration counts.
pub fn on_refusal(f: fn(usize)) {
    ON_REFUSAL.get_or_init(|| f);
}

/// Returns `block` of `bytes`, after the callback if it is null.
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
    // If the callback needs memory that is refused as well, there is nothing left to do.
    if TELLING.replace(true) {
        return;
    }
    if TOLD.swap(true, Ordering::SeqCst) {
        // Another thread is in the callback, which ends the process.
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
