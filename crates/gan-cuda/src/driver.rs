//! The device: its context, one stream, kernels, timing and captured graphs.

use crate::classes::SentClasses;
use crate::conv::Dnn;
use crate::failure::{caught, check};
use crate::graph::Piece;
use crate::libraries::{Found, probe};
use crate::memory::{Arena, Buffer, Type, lock};
use crate::pixels::Taps;
use crate::staging::Staging;
use candle_core::{Result, bail};
use cudarc::driver::{result, sys};
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::CString;
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// The kernels, compiled from `kernels/kernels.cu` by `kernels/build.sh`.
const PTX: &str = include_str!("kernels/kernels.ptx");

/// Number formats of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Products {
    /// f32 activations, products in f32.
    F32,
    /// f32 activations, factors rounded to TF32 (10 bits of mantissa) in tensor cores, unless a network asks for accurate f32.
    Tf32,
    /// bf16 activations and factors; parameters, statistics and sums in f32.
    Bf16,
}

/// Choice of algorithms for convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The first of cuDNN's heuristics that is deterministic.
    Heuristic,
    /// The fastest deterministic one, timed at first use. Other runs may choose others, whose sums differ in the last bits.
    Timed,
    /// No algorithm of cuDNN: matrix products over rows of windows.
    Rows,
    /// Plain loops, which are slow, to check the others.
    Loops,
}

/// Number of counters of ended blocks: more than any kernel has columns of blocks.
pub(crate) const TICKETS: usize = 4096;

/// One GPU as a backend of the fused engine.
///
/// Clones share the device, its memory and its stream. Kernels run asynchronously, in the order of calls.
#[derive(Clone)]
pub struct Cuda {
    pub(crate) inner: Arc<Inner>,
    pub(crate) products: Products,
    pub(crate) choice: Choice,
    /// Whether gradients of weights run beside the rest, in a stream of their own.
    beside: bool,
    /// Whether sums of batch norms take one kernel instead of two.
    pub(crate) one_kernel: bool,
    /// Whether this clone queues to that stream.
    on_side: bool,
    /// Whether training steps are captured.
    captures: bool,
}

/// State of the device that all clones share.
pub(crate) struct Inner {
    pub(crate) context: usize,
    pub(crate) stream: usize,
    pub(crate) module: usize,
    pub(crate) functions: Mutex<HashMap<String, usize>>,
    pub(crate) root: Arc<Arena>,
    pub(crate) arena: Mutex<Arc<Arena>>,
    dnn: Mutex<Dnn>,
    /// The second stream, with handles and workspaces of its own, and the events at which work branches off and comes back.
    side: usize,
    side_dnn: Mutex<Dnn>,
    events: [usize; 2],
    /// Counters of blocks that have ended, all 0 between kernels.
    pub(crate) tickets: OnceLock<Buffer>,
    /// Tables of weights of maps of pixels.
    pub(crate) taps: Mutex<HashMap<Taps, Arc<Buffer>>>,
    pub(crate) classes: Mutex<SentClasses>,
    pub(crate) staging: Mutex<Staging>,
    /// Whether the second stream has work that the first has not waited for.
    forked: AtomicBool,
    pub(crate) profile: Mutex<Option<Vec<(Piece, usize, usize)>>>,
    name: String,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cuda").field("name", &self.inner.name).field("products", &self.products).finish()
    }
}

fn or_error<T, E: Display>(what: &str, value: std::result::Result<T, E>) -> Result<T> {
    match value {
        Ok(value) => Ok(value),
        Err(error) => bail!("CUDA: {what}: {error}"),
    }
}

thread_local! {
    /// Context that this thread uses.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// Makes an open context the current one of this thread.
pub(crate) fn make_current(context: usize) -> std::result::Result<(), cudarc::driver::DriverError> {
    // SAFETY: the caller's context is open.
    unsafe { result::ctx::set_current(context as _)? };
    CURRENT.set(context);
    Ok(())
}

impl Cuda {
    /// Opens a GPU by its number.
    ///
    /// # Errors
    /// If a library is missing, or the driver has no such device.
    pub fn open(number: usize, products: Products) -> Result<Self> {
        if let Err(missing) = probe() {
            bail!("{missing}");
        }
        // SAFETY: the libraries are present; every handle is used in the context that it was made in.
        unsafe {
            or_error("the driver", result::init())?;
            let device = or_error("the device", result::device::get(number as i32))?;
            let name = or_error("the device's name", result::device::get_name(device))?;
            let context = or_error("a context", result::primary_ctx::retain(device))?;
            or_error("a context", result::ctx::set_current(context))?;
            let stream = or_error("a stream", result::stream::create(result::stream::StreamKind::NonBlocking))?;
            let text = CString::new(PTX).expect("the kernels' text has no zero");
            let module = or_error("the kernels", result::module::load_data(text.as_ptr().cast()))?;
            let root = Arc::new(Arena::new(context as usize, None));
            let dnn = Dnn::open(stream)?;
            let side = or_error("a stream", result::stream::create(result::stream::StreamKind::NonBlocking))?;
            let side_dnn = Dnn::open(side)?;
            let mut events = [0; 2];
            for event in &mut events {
                let flags = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING;
                *event = or_error("an event", result::event::create(flags))? as usize;
            }
            let inner = Inner {
                context: context as usize,
                stream: stream as usize,
                module: module as usize,
                functions: Mutex::default(),
                arena: Mutex::new(Arc::clone(&root)),
                root,
                dnn: Mutex::new(dnn),
                side: side as usize,
                side_dnn: Mutex::new(side_dnn),
                events,
                tickets: OnceLock::new(),
                taps: Mutex::default(),
                classes: Mutex::default(),
                staging: Mutex::default(),
                forked: AtomicBool::new(false),
                profile: Mutex::default(),
                name,
            };
            CURRENT.set(inner.context);
            let inner = Arc::new(inner);
            let cuda = Self {
                inner,
                products,
                choice: Choice::Heuristic,
                beside: false,
                one_kernel: false,
                on_side: false,
                captures: true,
            };
            let prepared = caught(|| {
                cuda.set_gemm_workspace();
                cuda.side().set_gemm_workspace();
                let _ = cuda.inner.tickets.set(cuda.zeros(TICKETS, Type::F32));
            });
            prepared.map_err(candle_core::Error::wrap)?;
            Ok(cuda)
        }
    }

    /// Returns the same device, on which training steps are captured and replayed, or always run kernel by kernel.
    pub fn with_captures(&self, captures: bool) -> Self {
        Self { captures, ..self.clone() }
    }

    /// Returns whether training steps are captured.
    pub fn captures(&self) -> bool {
        self.captures
    }

    /// Returns the same device with other number formats.
    pub fn with_products(&self, products: Products) -> Self {
        Self { products, ..self.clone() }
    }

    /// Returns the same device with another choice of algorithms.
    pub fn with_choice(&self, choice: Choice) -> Self {
        Self { choice, ..self.clone() }
    }

    /// Returns the same device, on which gradients of weights run beside the rest (or not). They must be waited for ([`Cuda::join`]) before
    /// they are read.
    pub fn with_weights_beside(&self, beside: bool) -> Self {
        Self { beside, ..self.clone() }
    }

    /// Returns the same device, on which sums of batch norms take one kernel: its last block adds what the others found. Otherwise a second
    /// kernel does.
    pub fn with_sums_in_one_kernel(&self, one_kernel: bool) -> Self {
        Self { one_kernel, ..self.clone() }
    }

    /// Returns a clone that queues to the second stream.
    fn side(&self) -> Self {
        Self { on_side: true, ..self.clone() }
    }

    /// Calls `f` with the device on which to compute a gradient of weights.
    pub(crate) fn beside(&self, f: impl FnOnce(&Self)) {
        if !self.beside {
            return f(self);
        }
        self.bind();
        if !self.inner.forked.swap(true, Ordering::Relaxed) {
            // Until the streams meet again, no block may have another user, which could be in the other stream.
            self.arena().hold();
        }
        self.wait(self.inner.stream, self.inner.side, self.inner.events[0]);
        f(&self.side());
    }

    /// Makes the rest of the work wait for all gradients of weights.
    pub fn join(&self) {
        if self.inner.forked.swap(false, Ordering::Relaxed) {
            self.bind();
            self.wait(self.inner.side, self.inner.stream, self.inner.events[1]);
            self.arena().release();
        }
    }

    /// Makes what is queued to one stream from now on wait for what was queued to another.
    fn wait(&self, first: usize, then: usize, event: usize) {
        // SAFETY: streams and event are open.
        unsafe {
            check("an event", result::event::record(event as _, first as _));
            let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
            check("an event", result::stream::wait_event(then as _, event as _, flags));
        }
    }

    pub(crate) fn dnn(&self) -> MutexGuard<'_, Dnn> {
        lock(if self.on_side { &self.inner.side_dnn } else { &self.inner.dnn })
    }

    /// Returns the number formats.
    pub fn products(&self) -> Products {
        self.products
    }

    /// Returns the choice of algorithms.
    pub fn choice(&self) -> Choice {
        self.choice
    }

    /// Returns the number format of activations.
    pub fn activations(&self) -> Type {
        if self.products == Products::Bf16 { Type::Bf16 } else { Type::F32 }
    }

    /// Returns the device's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the free and the total memory in bytes.
    pub fn memory(&self) -> (usize, usize) {
        self.bind();
        check("memory", result::mem_get_info())
    }

    /// Waits until all work is done.
    pub fn synchronize(&self) {
        self.timed(
            || "wait".into(),
            0,
            || {
                // SAFETY: the stream is open.
                check("work on the device", unsafe { result::stream::synchronize(self.stream()) });
            },
        );
    }

    /// Makes the device's context the current one of this thread.
    pub(crate) fn bind(&self) {
        if CURRENT.get() != self.inner.context {
            check("a context", make_current(self.inner.context));
        }
    }

    pub(crate) fn stream(&self) -> sys::CUstream {
        (if self.on_side { self.inner.side } else { self.inner.stream }) as _
    }

    pub(crate) fn arena(&self) -> Arc<Arena> {
        Arc::clone(&lock(&self.inner.arena))
    }

    pub(crate) fn root_arena(&self) -> &Arc<Arena> {
        &self.inner.root
    }

    /// Returns whether work is being recorded instead of running.
    pub(crate) fn is_capturing(&self) -> bool {
        !Arc::ptr_eq(&self.arena(), self.root_arena())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handles. Nothing can be done about errors at the end.
        unsafe {
            let _ = make_current(self.context);
            let _ = result::stream::synchronize(self.stream as _);
            let _ = result::stream::synchronize(self.side as _);
            lock(&self.staging).clear();
            lock(&self.dnn).close();
            lock(&self.side_dnn).close();
            let _ = result::stream::destroy(self.side as _);
            for event in self.events {
                let _ = result::event::destroy(event as _);
            }
            let _ = result::module::unload(self.module as _);
            let _ = result::stream::destroy(self.stream as _);
        }
    }
}

/// Returns the number of GPUs that the driver lists; 0 without a driver.
pub fn count() -> usize {
    if probe().is_err() {
        return 0;
    }
    let found = result::init().and_then(|()| result::device::get_count());
    found.map_or(0, |count| usize::try_from(count).unwrap_or(0))
}

/// Returns the versions that were found and the card's name, for messages.
pub fn describe(found: &Found, cuda: &Cuda) -> String {
    let (free, total) = cuda.memory();
    let gib = |bytes: usize| bytes as f64 / (1u64 << 30) as f64;
    format!(
        "{}: driver for CUDA {}.{}, cuDNN {}, {:.1} of {:.1} GiB free",
        cuda.name(),
        found.driver / 1000,
        found.driver % 1000 / 10,
        found.cudnn,
        gib(free),
        gib(total)
    )
}
