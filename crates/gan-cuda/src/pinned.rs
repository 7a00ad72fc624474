//! Page-locked host memory.

use crate::Cuda;
use crate::driver::check;
use crate::memory::{SliceMut, Type};
use candle_core::{Result, bail};
use cudarc::driver::{result, sys};

/// Page-locked host memory, from which copies run without waiting.
#[derive(Debug)]
pub struct Pinned {
    address: *mut f32,
    len: usize,
    /// Happens when the device has read the numbers.
    read: usize,
    cuda: Cuda,
}

// SAFETY: it is the only owner of its memory.
unsafe impl Send for Pinned {}
// SAFETY: a shared one cannot be changed.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// Returns `len` zeros.
    ///
    /// # Errors
    /// If the driver has no such memory.
    pub fn new(cuda: &Cuda, len: usize) -> Result<Self> {
        cuda.bind();
        // SAFETY: the context is current.
        match unsafe { result::malloc_host(len.max(1) * 4, 0) } {
            Ok(address) => {
                let address = address.cast::<f32>();
                // SAFETY: the memory has this length, and every bit pattern is a number.
                unsafe { address.write_bytes(0, len) };
                let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
                let read = check("an event", result::event::create(flags)) as usize;
                Ok(Self { address, len, read, cuda: cuda.clone() })
            }
            Err(error) => bail!("{len} page-locked numbers: {error}"),
        }
    }

    /// Returns its numbers.
    pub fn values(&self) -> &[f32] {
        // SAFETY: it has this many initialized numbers.
        unsafe { std::slice::from_raw_parts(self.address, self.len) }
    }

    /// Returns its numbers, to change, after the device has read them.
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.cuda.bind();
        // SAFETY: the event is open; one that was never recorded has happened.
        check("an event", unsafe { result::event::synchronize(self.read as _) });
        // SAFETY: it has this many initialized numbers.
        unsafe { std::slice::from_raw_parts_mut(self.address, self.len) }
    }

    /// Queues a copy to the device.
    pub fn send(&self, to: SliceMut<'_>) {
        assert!(to.len == self.len && to.of == Type::F32, "{} f32 values for {to:?}", self.len);
        let stream = self.cuda.stream();
        self.cuda.timed(
            || "upload".into(),
            || {
                // SAFETY: both have this many numbers, which `values_mut` keeps until the device has read them.
                unsafe {
                    check("an upload", result::memcpy_htod_async(to.address, self.values(), stream));
                    check("an event", result::event::record(self.read as _, stream));
                }
            },
        );
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.cuda.bind();
        // SAFETY: memory and event came from the driver. Nothing can be done about errors at the end.
        unsafe {
            let _ = result::event::synchronize(self.read as _);
            let _ = result::event::destroy(self.read as _);
            let _ = result::free_host(self.address.cast());
        }
    }
}
