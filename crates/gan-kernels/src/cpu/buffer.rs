//! Reused memory for kernels, aligned to cache lines.
//!
//! A fresh page costs the system far more than a kernel needs to fill it, and a training step requests the same sizes every time.

use crate::storage::lock;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Mutex;

/// Size of a cache line, and of the widest vector, in bytes.
const ALIGN: usize = 64;

/// A block of f32, aligned to 64 bytes. It holds the last user's values, which are always initialized.
struct Block {
    data: NonNull<f32>,
    capacity: usize,
}

// SAFETY: a block is the only owner of its memory.
unsafe impl Send for Block {}
// SAFETY: a shared block cannot be changed.
unsafe impl Sync for Block {}

impl Block {
    fn layout(capacity: usize) -> Layout {
        Layout::array::<f32>(capacity).and_then(|l| l.align_to(ALIGN)).expect("no buffer is that large")
    }

    fn new(capacity: usize) -> Self {
        let layout = Self::layout(capacity);
        // SAFETY: the capacity is never 0.
        let data = unsafe { alloc_zeroed(layout) };
        let data = NonNull::new(data.cast()).unwrap_or_else(|| handle_alloc_error(layout));
        Self { data, capacity }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.data.as_ptr().cast(), Self::layout(self.capacity)) }
    }
}

/// Unused blocks, by capacity.
struct Free {
    by_capacity: BTreeMap<usize, Vec<Block>>,
    count: usize,
}

static FREE: Mutex<Free> = Mutex::new(Free { by_capacity: BTreeMap::new(), count: 0 });

/// Maximum number of unused blocks; others are returned to the system.
const KEPT: usize = 1024;

impl Free {
    /// Takes the smallest block of at least `capacity`. A block that would be more than half empty is not used, to keep
    /// memory where it is needed.
    fn take(&mut self, capacity: usize) -> Option<Block> {
        let (&size, blocks) = self.by_capacity.range_mut(capacity..=capacity.saturating_mul(2)).next()?;
        let block = blocks.pop()?;
        if blocks.is_empty() {
            self.by_capacity.remove(&size);
        }
        self.count -= 1;
        Some(block)
    }

    /// Returns the block if there is no room for it.
    fn give(&mut self, block: Block) -> Option<Block> {
        if self.count == KEPT {
            return Some(block);
        }
        self.count += 1;
        self.by_capacity.entry(block.capacity).or_default().push(block);
        None
    }
}

/// Maximum capacity of blocks that are kept by their thread, in sizes that are powers of two, because small networks request them all the
/// time.
const SMALL: usize = 1 << 14;
/// Number of powers of two up to `SMALL`.
const CLASSES: usize = SMALL.ilog2() as usize + 1;
/// Maximum number of unused blocks of each size per thread.
const KEPT_SMALL: usize = 32;

thread_local! {
    static SMALL_FREE: RefCell<[Vec<Block>; CLASSES]> = const { RefCell::new([const { Vec::new() }; CLASSES]) };
}

fn class(capacity: usize) -> usize {
    capacity.ilog2() as usize
}

/// Returns a block of at least `len`, with any values.
fn take(len: usize) -> Block {
    let capacity = len.max(1).checked_next_multiple_of(ALIGN / size_of::<f32>()).expect("no buffer is that large");
    if capacity > SMALL {
        let found = lock(&FREE).take(capacity);
        return found.unwrap_or_else(|| Block::new(capacity));
    }
    let capacity = capacity.next_power_of_two();
    let found = SMALL_FREE.try_with(|free| free.borrow_mut()[class(capacity)].pop()).ok().flatten();
    found.unwrap_or_else(|| Block::new(capacity))
}

fn give(block: Block) {
    if block.capacity > SMALL {
        // Blocks without room are freed after the lock.
        let _over = lock(&FREE).give(block);
        return;
    }
    // While its thread ends, a block is freed.
    let _ = SMALL_FREE.try_with(|free| {
        let free = &mut free.borrow_mut()[class(block.capacity)];
        if free.len() < KEPT_SMALL {
            free.push(block);
        }
    });
}

/// A block of f32 that is returned for reuse when it is dropped.
pub struct Buffer {
    /// `None` only after `drop`.
    block: Option<Block>,
    len: usize,
}

impl Buffer {
    /// Returns `len` numbers with any values.
    pub(crate) fn any(len: usize) -> Self {
        Self { block: Some(take(len)), len }
    }

    /// Returns `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::any(len);
        buffer.fill(0.0);
        buffer
    }

    /// Returns a copy of `values`.
    pub(crate) fn of(values: &[f32]) -> Self {
        let mut buffer = Self::any(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer of {}", self.len)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            give(block);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        let data = self.block.as_ref().map_or(NonNull::dangling(), |b| b.data);
        // SAFETY: the block has at least `len` numbers, all of them initialized: zeros from the allocator or f32 written since.
        unsafe { std::slice::from_raw_parts(data.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let data = self.block.as_ref().map_or(NonNull::dangling(), |b| b.data);
        // SAFETY: as in `deref`; the buffer is borrowed mutably and owns its block.
        unsafe { std::slice::from_raw_parts_mut(data.as_ptr(), self.len) }
    }
}

/// Memory that several tasks write to, each to its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: it is only a pointer; code that writes through it must stay inside its part.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(to: &mut [f32]) -> Self {
        Self(to.as_mut_ptr())
    }

    /// Returns memory that tasks only read.
    pub(crate) fn reading(from: &[f32]) -> Self {
        Self(from.as_ptr().cast_mut())
    }

    /// Returns the place `n` numbers ahead. It may lie outside the original slice, where nothing may be read or
    /// written.
    #[inline(always)]
    pub(crate) fn ahead(self, n: usize) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// Returns the place `n` numbers back. It may lie outside the original slice, where nothing may be read or written;
    /// only [`Shared::ahead`] leads back inside.
    pub(crate) fn back(self, n: usize) -> Self {
        Self(self.0.wrapping_sub(n))
    }

    #[inline(always)]
    pub(crate) fn get(self) -> *mut f32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_reused_and_have_the_requested_length() {
        let first = Buffer::zeros(100_003);
        assert_eq!((first.len(), first.as_ptr() as usize % ALIGN), (100_003, 0));
        assert!(first.iter().all(|x| *x == 0.0));
        drop(first);
        let mut again = Buffer::any(90_000);
        again.fill(1.0);
        assert_eq!(Buffer::of(&again)[..], again[..]);
        assert!(Buffer::any(0).is_empty());
    }
}
