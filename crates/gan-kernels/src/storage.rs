//! Access to candle's CPU storage for the custom operations.

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType, bail};
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard};

/// Returns the elements behind `layout` in row-major order, borrowed if they already have this order.
pub(crate) fn elements<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<Cow<'a, [T]>> {
    let all = storage.as_slice::<T>()?;
    Ok(match layout.contiguous_offsets() {
        Some((start, end)) => Cow::Borrowed(&all[start..end]),
        None => {
            let mut copied = Vec::with_capacity(layout.shape().elem_count());
            copy(all, layout.start_offset(), layout.dims(), layout.stride(), &mut copied);
            Cow::Owned(copied)
        }
    })
}

/// Appends the elements of a strided view in row-major order.
fn copy<T: WithDType>(all: &[T], start: usize, dims: &[usize], strides: &[usize], to: &mut Vec<T>) {
    match (dims, strides) {
        ([n], [stride]) => to.extend((0..*n).map(|i| all[start + i * stride])),
        ([n, dims @ ..], [stride, strides @ ..]) => {
            (0..*n).for_each(|i| copy(all, start + i * stride, dims, strides, to));
        }
        _ => to.push(all[start]),
    }
}

/// Calls `f` with the elements of a CPU tensor in row-major order.
pub(crate) fn with_elements<T: WithDType, R>(t: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    let (storage, layout) = t.storage_and_layout();
    match &*storage {
        Storage::Cpu(cpu) => Ok(f(&elements::<T>(cpu, layout)?)),
        Storage::Cuda(_) | Storage::Metal(_) => bail!("this operation works on CPU tensors only"),
    }
}

/// Locks a value that a panic cannot leave half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
