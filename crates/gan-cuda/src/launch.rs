//! Launches of own kernels: their threads and arguments.

use crate::Cuda;
use crate::failure::check;
use crate::memory::{Slice, SliceMut, lock};
use cudarc::driver::{result, sys};
use std::ffi::{CString, c_void};

impl Cuda {
    fn function(&self, name: &str) -> sys::CUfunction {
        let mut functions = lock(&self.inner.functions);
        if let Some(found) = functions.get(name) {
            return *found as _;
        }
        let text = CString::new(name).expect("a kernel's name has no zero");
        // SAFETY: the module stays loaded.
        let found = check(name, unsafe { result::module::get_function(self.inner.module as _, text) });
        functions.insert(name.to_owned(), found as usize);
        found
    }

    /// Queues a kernel.
    pub(crate) fn launch(&self, name: &str, shape: Shape, arguments: &mut [Argument]) {
        let function = {
            self.bind();
            self.function(name)
        };
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(|a| (&raw mut a.value).cast()).collect();
        let bytes = arguments.iter().map(|argument| argument.bytes).sum();
        let (x, y, z) = shape.grid;
        self.timed(
            || format!("{name} {x}x{y}x{z}"),
            bytes,
            || {
                // SAFETY: each caller passes what its kernel declares, and slices that are long enough.
                check(name, unsafe {
                    result::launch_kernel(function, shape.grid, shape.block, shape.shared, self.stream(), &mut pointers)
                });
            },
        );
    }
}

/// Threads of a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub grid: (u32, u32, u32),
    pub block: (u32, u32, u32),
    pub shared: u32,
}

impl Shape {
    /// Returns threads for `work` independent pieces, in loops if there are many.
    pub fn flat(work: usize) -> Self {
        let blocks = work.div_ceil(256).clamp(1, 132 * 16);
        Self { grid: (blocks as u32, 1, 1), block: (256, 1, 1), shared: 0 }
    }

    /// Returns rows of threads, one for each of `rows` rows of `pieces` pieces: a power of two of threads up to a warp, which exchange their
    /// sums without waiting for others.
    pub fn thread_rows(rows: usize, pieces: usize) -> Self {
        let x = pieces.max(1).next_power_of_two().min(32);
        let y = 256 / x;
        let blocks = rows.div_ceil(y).clamp(1, 132 * 16);
        Self { grid: (blocks as u32, 1, 1), block: (x as u32, y as u32, 1), shared: 0 }
    }

    /// Returns threads that each have `lanes` channels and walk over rows, about `rows_each` of them, in at most `most` blocks.
    pub fn rows(rows: usize, channels: usize, lanes: usize, rows_each: usize, most: usize) -> Self {
        let columns = channels.div_ceil(lanes).max(1);
        let wide = columns.div_ceil(256);
        let x = columns.div_ceil(wide);
        let y = (256 / x).max(1);
        let down = rows.div_ceil(y * rows_each).clamp(1, (most / wide).max(1));
        Self { grid: (wide as u32, down as u32, 1), block: (x as u32, y as u32, 1), shared: 0 }
    }
}

/// Argument of a kernel.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Argument {
    value: [u64; 8],
    /// Bytes of the array, if it is one.
    bytes: usize,
}

impl Argument {
    /// Returns an argument with a value's bytes.
    pub fn of<T: Copy>(value: T) -> Self {
        const { assert!(size_of::<T>() <= 64 && align_of::<T>() <= 8) };
        let mut bytes = [0u64; 8];
        // SAFETY: the value fits, as checked above.
        unsafe { (&raw mut bytes).cast::<T>().write(value) };
        Self { value: bytes, bytes: 0 }
    }
}

macro_rules! arguments_of {
    ($($type:ty),*) => {
        $(impl From<$type> for Argument {
            fn from(value: $type) -> Self {
                Self::of(value)
            }
        })*
    };
}
arguments_of!(i32, u32, u64, f32, f64);

impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self::of(i32::try_from(value).expect("a kernel's size fits into 32 bits"))
    }
}
impl From<Slice<'_>> for Argument {
    fn from(value: Slice<'_>) -> Self {
        Self { bytes: value.bytes(), ..Self::of(value.address) }
    }
}
impl From<&SliceMut<'_>> for Argument {
    fn from(value: &SliceMut<'_>) -> Self {
        value.read().into()
    }
}
impl From<Option<Slice<'_>>> for Argument {
    fn from(value: Option<Slice<'_>>) -> Self {
        value.map_or(Self::of(0u64), Self::from)
    }
}

/// Makes the arguments of a kernel.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => {
        &mut [$($crate::launch::Argument::from($value)),*]
    };
}
pub(crate) use arguments;
