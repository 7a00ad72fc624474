//! Page-locked memory of the host, from which the device reads while the host goes on.

use crate::Cuda;
use crate::failure::check;
use crate::memory::{SliceMut, Type, lock};
use cudarc::driver::{result, sys};
use std::collections::HashMap;

/// Page-locked memory by the address on the device that it is copied to, so that an array that is sent in every step keeps its own.
pub(crate) type Staging = HashMap<u64, Pinned>;

/// Page-locked memory, and the event at which the device has read it.
pub(crate) struct Pinned {
    start: usize,
    bytes: usize,
    read: usize,
}

impl Pinned {
    fn new(bytes: usize) -> Self {
        // SAFETY: both are freed by `drop`.
        unsafe {
            let start = check("page-locked memory", result::malloc_host(bytes.max(1), 0));
            let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
            let read = check("an event", result::event::create(flags));
            Self { start: start as usize, bytes, read: read as usize }
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: the device has read it, and nobody else has it. Nothing can be done about errors at the end.
        unsafe {
            let _ = sys::cuEventSynchronize(self.read as _).result();
            let _ = result::event::destroy(self.read as _);
            let _ = result::free_host(self.start as _);
        }
    }
}

impl Cuda {
    /// Writes f32 values to the device, without waiting until it has them: they are copied to page-locked memory first, which waits only if the
    /// device has not read the values that were sent to the same place before.
    pub fn stage(&self, values: &[f32], to: SliceMut<'_>) {
        assert!(to.len == values.len() && to.of == Type::F32, "{} f32 values for {to:?}", values.len());
        self.stage_to(to.address, values);
    }

    /// Copies numbers to an address with as many, without waiting until the device has them.
    pub(crate) fn stage_to<T: Copy>(&self, to: u64, values: &[T]) {
        let bytes = size_of_val(values);
        self.bind();
        let mut all = lock(&self.inner.staging);
        if all.get(&to).is_none_or(|pinned| pinned.bytes < bytes) {
            all.insert(to, Pinned::new(bytes));
        }
        let pinned = &all[&to];
        self.timed(
            || "upload".into(),
            bytes,
            || {
                // SAFETY: both have this many numbers, and the device has read the old ones before they are overwritten.
                unsafe {
                    check("an upload", sys::cuEventSynchronize(pinned.read as _).result());
                    std::ptr::copy_nonoverlapping(values.as_ptr(), pinned.start as *mut T, values.len());
                    let values = std::slice::from_raw_parts(pinned.start as *const T, values.len());
                    check("an upload", result::memcpy_htod_async(to, values, self.stream()));
                    check("an upload", result::event::record(pinned.read as _, self.stream()));
                }
            },
        );
    }
}
