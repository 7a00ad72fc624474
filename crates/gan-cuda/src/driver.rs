//! The device: its context, one stream, kernels, timing and captured graphs.

use crate::conv::Dnn;
use crate::libraries::{Found, probe};
use crate::memory::{Arena, Slice, SliceMut, Type, lock};
use candle_core::{Result, bail};
use cudarc::driver::{result, sys};
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

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
    /// Whether this clone queues to that stream.
    on_side: bool,
}

/// State of the device that all clones share.
pub(crate) struct Inner {
    context: usize,
    stream: usize,
    module: usize,
    functions: Mutex<HashMap<String, usize>>,
    root: Arc<Arena>,
    arena: Mutex<Arc<Arena>>,
    dnn: Mutex<Dnn>,
    /// The second stream, with handles and workspaces of its own, and the events at which work branches off and comes back.
    side: usize,
    side_dnn: Mutex<Dnn>,
    events: [usize; 2],
    /// Whether the second stream has work that the first has not waited for.
    forked: AtomicBool,
    profile: Mutex<Option<Vec<(String, usize, usize)>>>,
    name: String,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cuda").field("name", &self.inner.name).field("products", &self.products).finish()
    }
}

/// Returns a call's value.
///
/// # Panics
/// If the call failed: the device is then unusable, and the backend's kernels cannot return errors.
#[track_caller]
pub(crate) fn check<T, E: fmt::Debug>(what: &str, value: std::result::Result<T, E>) -> T {
    match value {
        Ok(value) => value,
        Err(error) => panic!("CUDA: {what}: {error:?}"),
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
                forked: AtomicBool::new(false),
                profile: Mutex::default(),
                name,
            };
            CURRENT.set(inner.context);
            let inner = Arc::new(inner);
            let cuda = Self { inner, products, choice: Choice::Heuristic, beside: false, on_side: false };
            cuda.set_gemm_workspace();
            cuda.side().set_gemm_workspace();
            Ok(cuda)
        }
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
        self.bind();
        // SAFETY: the stream is open.
        check("work on the device", unsafe { result::stream::synchronize(self.stream()) });
    }

    /// Makes the device's context the current one of this thread.
    pub(crate) fn bind(&self) {
        if CURRENT.get() != self.inner.context {
            // SAFETY: the context stays open.
            check("a context", unsafe { result::ctx::set_current(self.inner.context as _) });
            CURRENT.set(self.inner.context);
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
        let mut pointers: Vec<*mut c_void> = arguments.iter_mut().map(|a| (&raw mut a.0).cast()).collect();
        let (x, y, z) = shape.grid;
        self.timed(
            || format!("{name} {x}x{y}x{z}"),
            || {
                // SAFETY: each caller passes what its kernel declares, and slices that are long enough.
                check(name, unsafe {
                    result::launch_kernel(function, shape.grid, shape.block, shape.shared, self.stream(), &mut pointers)
                });
            },
        );
    }

    /// Queues work, and measures it if a profile is being taken.
    pub(crate) fn timed(&self, name: impl FnOnce() -> String, work: impl FnOnce()) {
        self.bind();
        if lock(&self.inner.profile).is_none() {
            return work();
        }
        let event = || {
            let event = check("an event", result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT));
            // SAFETY: both are open.
            check("an event", unsafe { result::event::record(event, self.stream()) });
            event as usize
        };
        let start = event();
        work();
        let end = event();
        if let Some(profile) = &mut *lock(&self.inner.profile) {
            profile.push((name(), start, end));
        }
    }

    /// Runs `f` with a time measurement around each piece of work, and returns each one's name and milliseconds in the order of calls.
    pub fn profile(&self, f: impl FnOnce()) -> Vec<(String, f32)> {
        *lock(&self.inner.profile) = Some(vec![]);
        f();
        self.synchronize();
        let all = lock(&self.inner.profile).take().unwrap_or_default();
        let time = |(name, start, end): (String, usize, usize)| {
            // SAFETY: both events have happened, and are not used again.
            let time = unsafe {
                let time = check("an event", result::event::elapsed(start as _, end as _));
                let _ = result::event::destroy(start as _);
                let _ = result::event::destroy(end as _);
                time
            };
            (name, time)
        };
        all.into_iter().map(time).collect()
    }

    /// Records the work that `f` queues, without running it. `f` must have run before with the same shapes: a captured step cannot request
    /// memory, nor read numbers.
    ///
    /// # Errors
    /// If the driver cannot capture the work.
    pub fn capture<R>(&self, f: impl FnOnce() -> R) -> Result<(Graph, R)> {
        self.bind();
        let arena = Arc::new(Arena::new(self.inner.context, Some(Arc::clone(&self.inner.root))));
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is open.
        or_error("a capture", unsafe { result::stream::begin_capture(self.stream(), mode) })?;
        *lock(&self.inner.arena) = Arc::clone(&arena);
        let value = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        *lock(&self.inner.arena) = Arc::clone(&self.inner.root);
        // A stream that is left in a capture cannot be used again.
        // SAFETY: the stream is open.
        let graph = unsafe { result::stream::end_capture(self.stream()) };
        let value = match value {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let graph = or_error("a capture", graph)?;
        // SAFETY: the graph was just captured.
        unsafe {
            let nodes = count_nodes(graph);
            let executable = result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0));
            let _ = result::graph::destroy(graph);
            let executable = or_error("a graph", executable)?;
            or_error("a graph", result::graph::upload(executable, self.stream()))?;
            Ok((Graph { cuda: self.clone(), executable: executable as usize, nodes, _arena: arena }, value))
        }
    }
}

unsafe fn count_nodes(graph: sys::CUgraph) -> usize {
    let mut count = 0;
    // SAFETY: the caller's graph is valid; without a list the call only counts.
    match unsafe { sys::cuGraphGetNodes(graph, std::ptr::null_mut(), &raw mut count) } {
        sys::CUresult::CUDA_SUCCESS => count,
        _ => 0,
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: nobody else has the handles. Nothing can be done about errors at the end.
        unsafe {
            let _ = result::ctx::set_current(self.context as _);
            CURRENT.set(self.context);
            let _ = result::stream::synchronize(self.stream as _);
            let _ = result::stream::synchronize(self.side as _);
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

/// Recorded work, to be run again as a whole.
#[derive(Debug)]
pub struct Graph {
    cuda: Cuda,
    executable: usize,
    /// Number of kernels and copies.
    pub nodes: usize,
    _arena: Arc<Arena>,
}

impl Graph {
    /// Queues the recorded work.
    pub fn launch(&self) {
        self.cuda.bind();
        // SAFETY: both are open.
        check("a graph", unsafe { result::graph::launch(self.executable as _, self.cuda.stream()) });
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.cuda.synchronize();
        // SAFETY: nobody else has the graph. Nothing can be done about errors at the end.
        let _ = unsafe { result::graph::exec_destroy(self.executable as _) };
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
#[repr(C, align(8))]
pub(crate) struct Argument([u64; 8]);

impl Argument {
    /// Returns an argument with a value's bytes.
    pub fn of<T: Copy>(value: T) -> Self {
        const { assert!(size_of::<T>() <= 64 && align_of::<T>() <= 8) };
        let mut bytes = [0u64; 8];
        // SAFETY: the value fits, as checked above.
        unsafe { (&raw mut bytes).cast::<T>().write(value) };
        Self(bytes)
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
        Self::of(value.address)
    }
}
impl From<&SliceMut<'_>> for Argument {
    fn from(value: &SliceMut<'_>) -> Self {
        Self::of(value.address)
    }
}
impl From<Option<Slice<'_>>> for Argument {
    fn from(value: Option<Slice<'_>>) -> Self {
        Self::of(value.map_or(0, |slice| slice.address))
    }
}

/// Makes the arguments of a kernel.
macro_rules! arguments {
    ($($value:expr),* $(,)?) => {
        &mut [$($crate::driver::Argument::from($value)),*]
    };
}
pub(crate) use arguments;

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
