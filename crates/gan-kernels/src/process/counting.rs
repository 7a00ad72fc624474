//! Counting allocator, for tests that bound the memory of a piece of code.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator with a count of the bytes that all threads use; for `#[global_allocator]` in tests.
///
/// Beyond its limit it refuses, as a machine with exhausted memory does, so that a test cannot exhaust the real one.
#[derive(Debug)]
pub struct Counting {
    limit: usize,
    in_use: AtomicUsize,
    peak: AtomicUsize,
}

impl Counting {
    /// Returns an allocator that allows at most `limit` bytes at once.
    pub const fn within(limit: usize) -> Self {
        Self { limit, in_use: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// Returns the number of bytes in use.
    pub fn in_use(&self) -> usize {
        self.in_use.load(Relaxed)
    }

    /// Returns the peak of bytes in use since [`Counting::reset_peak`].
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Starts a new measurement of the peak, from the bytes in use now.
    pub fn reset_peak(&self) {
        self.peak.store(self.in_use(), Relaxed);
    }

    /// Counts `bytes` more, unless that exceeds the limit.
    fn take(&self, bytes: usize) -> bool {
        let before = self.in_use.fetch_add(bytes, Relaxed);
        let within = before.checked_add(bytes).is_some_and(|now| now <= self.limit);
        if within {
            self.peak.fetch_max(before + bytes, Relaxed);
        } else {
            self.give_back(bytes);
        }
        within
    }

    fn give_back(&self, bytes: usize) {
        self.in_use.fetch_sub(bytes, Relaxed);
    }

    /// Counts `bytes` while `allocate` gets them, and uncounts them if it fails.
    fn counted(&self, bytes: usize, allocate: impl FnOnce() -> *mut u8) -> *mut u8 {
        if !self.take(bytes) {
            return std::ptr::null_mut();
        }
        let found = allocate();
        if found.is_null() {
            self.give_back(bytes);
        }
        found
    }
}

// SAFETY: every block comes from `System` and goes back to it with the layout that it was requested with; counting touches no
// block and allocates nothing. A null pointer is the way to say that there is no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `System`'s conditions, which are this function's own.
        self.counted(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        self.counted(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // A block that moves is there twice for a moment; only its growth is counted, as where it grows in place.
        let more = size.saturating_sub(layout.size());
        // SAFETY: as above.
        let found = self.counted(more, || unsafe { System.realloc(block, layout, size) });
        if !found.is_null() {
            self.give_back(layout.size().saturating_sub(size));
        }
        found
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) };
        self.give_back(layout.size());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 8).unwrap()
    }

    #[test]
    fn the_peak_is_the_most_memory_in_use_at_once() {
        let counting = Counting::within(1 << 20);
        // SAFETY: sizes are above 0, and each block is freed once, with its own layout.
        unsafe {
            let first = counting.alloc(layout(1000));
            let second = counting.alloc_zeroed(layout(500));
            assert_eq!((counting.in_use(), counting.peak()), (1500, 1500));
            counting.dealloc(first, layout(1000));
            let second = counting.realloc(second, layout(500), 700);
            assert_eq!((counting.in_use(), counting.peak()), (700, 1500));
            counting.reset_peak();
            let second = counting.realloc(second, layout(700), 300);
            assert_eq!((counting.in_use(), counting.peak()), (300, 700));
            counting.dealloc(second, layout(300));
        }
        assert_eq!(counting.in_use(), 0);
    }

    #[test]
    fn allocations_beyond_the_limit_fail() {
        let counting = Counting::within(1000);
        // SAFETY: as above; null pointers are not freed.
        unsafe {
            let block = counting.alloc(layout(600));
            assert!(counting.alloc(layout(401)).is_null());
            assert!(counting.realloc(block, layout(600), 1001).is_null());
            assert_eq!((counting.in_use(), counting.peak()), (600, 600));
            counting.dealloc(block, layout(600));
        }
    }
}
