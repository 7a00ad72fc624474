//! Device memory: blocks that are kept and used again, and typed views of them.
//!
//! All work goes to one stream, so a block may be given away as soon as its last user has been queued. After the first step no block is
//! requested from the driver, which would wait for the device and cannot be captured.

use crate::Cuda;
use crate::driver::make_current;
use crate::failure::{check, request};
use cudarc::driver::result;
use gan_kernels::backend::Memory;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Locks a value that a panic cannot leave half-written.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Number format of an array on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// 32 bits.
    F32,
    /// The upper 16 bits of f32.
    Bf16,
}

impl Type {
    /// Returns the size of a number in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// Returns its name in those of kernels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// Unused blocks of memory by size.
///
/// A captured graph has an arena of its own, because its kernels write to the same blocks at every replay: nobody else may use them.
#[derive(Debug)]
pub(crate) struct Arena {
    free: Mutex<BTreeMap<usize, Vec<u64>>>,
    /// Unused blocks that another stream may still use, while there is one.
    held: Mutex<Option<Vec<(usize, u64)>>>,
    /// Arena that gives blocks if none is unused here; without it, the driver gives them.
    parent: Option<Arc<Arena>>,
    context: usize,
    /// Bytes that the driver has given, and how often.
    pub(crate) bytes: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    /// How often all unused blocks were given back.
    pub(crate) releases: AtomicUsize,
}

impl Arena {
    pub fn new(context: usize, parent: Option<Arc<Arena>>) -> Self {
        Self {
            free: Mutex::default(),
            held: Mutex::default(),
            parent,
            context,
            bytes: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            releases: AtomicUsize::new(0),
        }
    }

    /// Returns the size of the block for `bytes`: one of eight between two powers of two, so that a step finds the same blocks again.
    fn class(bytes: usize) -> usize {
        let bytes = bytes.max(512);
        bytes.next_multiple_of((bytes.next_power_of_two() / 16).max(512))
    }

    fn pop(&self, class: usize) -> Option<u64> {
        lock(&self.free).get_mut(&class)?.pop()
    }

    /// Takes a block of a class.
    fn take(&self, class: usize) -> u64 {
        if let Some(block) = self.pop(class) {
            return block;
        }
        if let Some(parent) = &self.parent {
            return parent.pop(class).expect("a step that is captured must have run before, with the same sizes");
        }
        let block = request(class, || self.free_unused());
        self.bytes.fetch_add(class, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        block
    }

    /// Gives all unused blocks back to the driver, which waits for the device first.
    fn free_unused(&self) {
        self.releases.fetch_add(1, Ordering::Relaxed);
        for (class, blocks) in std::mem::take(&mut *lock(&self.free)) {
            self.bytes.fetch_sub(class * blocks.len(), Ordering::Relaxed);
            for block in blocks {
                // SAFETY: the block came from the driver, and nobody has it. A block that is not given back is only lost.
                let _ = unsafe { result::free_sync(block) };
            }
        }
    }

    /// Keeps all blocks that become unused, until they are released.
    pub fn hold(&self) {
        lock(&self.held).get_or_insert_with(Vec::new);
    }

    /// Gives back all blocks that were held.
    pub fn release(&self) {
        let held = lock(&self.held).take();
        held.into_iter().flatten().for_each(|(class, block)| self.give(class, block));
    }

    fn give(&self, class: usize, block: u64) {
        if let Some(held) = &mut *lock(&self.held) {
            return held.push((class, block));
        }
        lock(&self.free).entry(class).or_default().push(block);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.release();
        let free = std::mem::take(self.free.get_mut().unwrap_or_else(|e| e.into_inner()));
        for (class, blocks) in free {
            for block in blocks {
                match &self.parent {
                    Some(parent) => parent.give(class, block),
                    // SAFETY: the block came from the driver, in this context. Nothing can be done about errors at the end.
                    None => unsafe {
                        let _ = make_current(self.context);
                        let _ = result::free_sync(block);
                    },
                }
            }
        }
    }
}

/// Numbers on the device.
#[derive(Debug)]
pub struct Buffer {
    pub(crate) address: u64,
    pub(crate) len: usize,
    pub(crate) of: Type,
    class: usize,
    arena: Arc<Arena>,
}

impl Buffer {
    pub(crate) fn new(arena: &Arc<Arena>, len: usize, of: Type) -> Self {
        let class = Arena::class(len * of.bytes());
        Self { address: arena.take(class), len, of, class, arena: Arc::clone(arena) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.arena.give(self.class, self.address);
    }
}

/// Numbers to read.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    pub(crate) address: u64,
    pub(crate) len: usize,
    pub(crate) of: Type,
    buffer: PhantomData<&'a ()>,
}

/// Numbers to write.
#[derive(Debug)]
pub struct SliceMut<'a> {
    pub(crate) address: u64,
    pub(crate) len: usize,
    pub(crate) of: Type,
    buffer: PhantomData<&'a mut ()>,
}

impl SliceMut<'_> {
    /// Returns the same numbers to read.
    pub(crate) fn read(&self) -> Slice<'_> {
        Slice { address: self.address, len: self.len, of: self.of, buffer: PhantomData }
    }
}

impl Slice<'_> {
    /// Returns the size of all numbers in bytes.
    pub(crate) fn bytes(self) -> usize {
        self.len * self.of.bytes()
    }

    pub(crate) fn advanced(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len, "a part {range:?} of {} numbers", self.len);
        Self { address: self.address + (range.start * self.of.bytes()) as u64, len: range.len(), ..self }
    }
}

impl Memory for Cuda {
    type Buffer = Buffer;
    type Slice<'a> = Slice<'a>;
    type SliceMut<'a> = SliceMut<'a>;

    fn uninit(&self, len: usize) -> Buffer {
        self.buffer(len, self.activations())
    }

    fn copy(&self, values: Slice<'_>) -> Buffer {
        let buffer = self.buffer(values.len, values.of);
        self.copy_bytes("copy", values.address, buffer.address, values.len * values.of.bytes());
        buffer
    }

    fn len(&self, values: Slice<'_>) -> usize {
        values.len
    }

    fn slice<'a>(&self, buffer: &'a Buffer) -> Slice<'a> {
        Slice { address: buffer.address, len: buffer.len, of: buffer.of, buffer: PhantomData }
    }

    fn slice_mut<'a>(&self, buffer: &'a mut Buffer) -> SliceMut<'a> {
        SliceMut { address: buffer.address, len: buffer.len, of: buffer.of, buffer: PhantomData }
    }

    fn part<'s, 'a: 's>(&self, of: Slice<'a>, range: Range<usize>) -> Slice<'s> {
        of.advanced(range)
    }

    fn part_mut<'a>(&self, of: &'a mut SliceMut<'_>, range: Range<usize>) -> SliceMut<'a> {
        let part = of.read().advanced(range);
        SliceMut { address: part.address, len: part.len, of: part.of, buffer: PhantomData }
    }

    fn split_mut<'a>(&self, of: Self::SliceMut<'a>, at: usize) -> [Self::SliceMut<'a>; 2] {
        let [first, second] = [0..at, at..of.len].map(|range| of.read().advanced(range));
        [first, second].map(|part| SliceMut { address: part.address, len: part.len, of: part.of, buffer: PhantomData })
    }
}

impl Cuda {
    /// Returns `len` numbers of one format with undefined values.
    pub fn buffer(&self, len: usize, of: Type) -> Buffer {
        self.bind();
        Buffer::new(&self.arena(), len, of)
    }

    /// Returns `len` zeros.
    pub fn zeros(&self, len: usize, of: Type) -> Buffer {
        let buffer = self.buffer(len, of);
        self.timed(
            || "zeros".into(),
            len * of.bytes(),
            || {
                // SAFETY: the buffer has this many bytes.
                check("zeros", unsafe { result::memset_d8_async(buffer.address, 0, len * of.bytes(), self.stream()) });
            },
        );
        buffer
    }

    /// Fills numbers with zeros.
    pub(crate) fn clear(&self, to: &SliceMut<'_>) {
        self.timed(
            || "zeros".into(),
            to.read().bytes(),
            || {
                // SAFETY: the slice has this many bytes.
                check("zeros", unsafe {
                    result::memset_d8_async(to.address, 0, to.len * to.of.bytes(), self.stream())
                });
            },
        );
    }

    /// Returns an f32 buffer with these values.
    pub fn upload(&self, values: &[f32]) -> Buffer {
        let mut buffer = self.buffer(values.len(), Type::F32);
        self.write(values, self.slice_mut(&mut buffer));
        buffer
    }

    /// Writes f32 values to the device, and waits until it has them.
    pub fn write(&self, values: &[f32], to: SliceMut<'_>) {
        assert!(to.len == values.len() && to.of == Type::F32, "{} f32 values for {to:?}", values.len());
        self.send_to(to.address, values);
    }

    /// Copies numbers to an address with as many, and waits until the device has them.
    fn send_to<T>(&self, to: u64, values: &[T]) {
        self.timed(
            || "upload".into(),
            size_of_val(values),
            || {
                // SAFETY: both have this many numbers; the host's live until the device has read them.
                check("an upload", unsafe { result::memcpy_htod_async(to, values, self.stream()) });
            },
        );
        self.synchronize();
    }

    /// Reads numbers from the device, and waits for them.
    fn receive<T: Clone + Default>(&self, from: Slice<'_>) -> Vec<T> {
        let mut values = vec![T::default(); from.len];
        assert_eq!(size_of::<T>(), from.of.bytes(), "numbers of another size: {from:?}");
        self.timed(
            || "download".into(),
            from.bytes(),
            || {
                // SAFETY: both have this many numbers.
                check("a download", unsafe { result::memcpy_dtoh_async(&mut values, from.address, self.stream()) });
            },
        );
        self.synchronize();
        values
    }

    /// Returns a buffer with the bits of these numbers, and waits until the device has them.
    ///
    /// # Panics
    /// In a capture, whose replays would read the same numbers.
    pub(crate) fn upload_bits(&self, what: &str, bits: &[u32]) -> Buffer {
        assert!(!self.is_capturing(), "CUDA: {what} cannot be sent to the device in a captured step");
        let buffer = self.buffer(bits.len(), Type::F32);
        self.send_to(buffer.address, bits);
        buffer
    }

    /// Writes the bits of these numbers over a buffer's.
    pub(crate) fn overwrite_bits(&self, buffer: &Buffer, bits: &[u32]) {
        assert!(!self.is_capturing() && self.slice(buffer).len == bits.len(), "{} numbers for {buffer:?}", bits.len());
        self.stage_to(buffer.address, bits);
    }

    /// Reads values from the device, and waits for them.
    pub fn download(&self, from: Slice<'_>) -> Vec<f32> {
        match from.of {
            Type::F32 => self.receive(from),
            Type::Bf16 => {
                let wide = |bits: u16| f32::from_bits(u32::from(bits) << 16);
                self.receive(from).into_iter().map(wide).collect()
            }
        }
    }

    pub(crate) fn copy_bytes(&self, name: &'static str, from: u64, to: u64, bytes: usize) {
        self.timed(
            || name.into(),
            2 * bytes,
            || {
                // SAFETY: the caller's slices have this many bytes.
                check(name, unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream()) });
            },
        );
    }

    /// Returns the bytes that the driver has given for buffers, and the number of requests.
    pub fn allocated(&self) -> (usize, usize) {
        let arena = self.root_arena();
        (arena.bytes.load(Ordering::Relaxed), arena.requests.load(Ordering::Relaxed))
    }
}
