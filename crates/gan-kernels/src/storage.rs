//! Access to candle's CPU storage for the custom operations.

use candle_core::{CpuStorage, Layout, Result, Tensor, WithDType, bail};
use std::borrow::Cow;

/// Number types that the kernels support.
pub(crate) trait Real: WithDType {
    const ZERO: Self;
    /// Returns the nearest number of this type.
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
    /// Converts a vector to candle's CPU storage.
    fn store(values: Vec<Self>) -> CpuStorage {
        Self::to_cpu_storage_owned(values)
    }
}

macro_rules! real {
    ($t:ty) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            fn of(x: f64) -> Self {
                x as $t
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
        }
    };
}
real!(f32);
real!(f64);

/// Runs `$body` with the type `$t` set to the number type of `$dtype` (f32 or f64), or fails with the name of the
/// operation.
macro_rules! with_real {
    ($dtype:expr, $name:expr, $t:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $t = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $t = f64;
                $body
            }
            other => candle_core::bail!("{} works on f32 and f64, got {other:?}", $name),
        }
    };
}
pub(crate) use with_real;

/// Returns the elements behind `layout` in row-major order, borrowed if they already have this order.
pub(crate) fn elements<'a, T: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<Cow<'a, [T]>> {
    let all = storage.as_slice::<T>()?;
    Ok(match layout.contiguous_offsets() {
        Some((start, end)) => Cow::Borrowed(&all[start..end]),
        None => {
            let mut gathered = Vec::with_capacity(layout.shape().elem_count());
            gather(all, layout.start_offset(), layout.dims(), layout.stride(), &mut gathered);
            Cow::Owned(gathered)
        }
    })
}

/// Appends the elements of a strided view in row-major order.
fn gather<T: Real>(all: &[T], start: usize, dims: &[usize], strides: &[usize], to: &mut Vec<T>) {
    match (dims, strides) {
        ([], _) => to.push(all[start]),
        ([n], [stride]) => to.extend((0..*n).map(|i| all[start + i * stride])),
        ([n, dims @ ..], [stride, strides @ ..]) => {
            (0..*n).for_each(|i| gather(all, start + i * stride, dims, strides, to));
        }
        _ => unreachable!("a layout has a stride for every dimension"),
    }
}

/// Calls `f` with the elements of a CPU tensor in row-major order.
pub(crate) fn with_elements<T: Real, R>(t: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    let (storage, layout) = t.storage_and_layout();
    match &*storage {
        candle_core::Storage::Cpu(cpu) => Ok(f(&elements::<T>(cpu, layout)?)),
        _ => bail!("this operation works on CPU tensors only"),
    }
}
