//! Times of kernels, and captured graphs.

use crate::Cuda;
use crate::driver::make_current;
use crate::failure::check;
use crate::memory::{Arena, lock};
use cudarc::driver::{result, sys};
use std::sync::Arc;

/// A piece of work in a profile.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Name of the kernel or call, and its sizes.
    pub name: String,
    /// Bytes of all arrays that it reads and writes.
    pub bytes: usize,
    /// Its milliseconds on the device.
    pub ms: f32,
}

impl Cuda {
    /// Runs `f` with a time measurement around each piece of work, and returns all pieces in the order of calls. Work that is replayed is one
    /// piece, `graph`; what is recorded must not be measured.
    pub fn profile(&self, f: impl FnOnce()) -> Vec<Piece> {
        *lock(&self.inner.profile) = Some(vec![]);
        f();
        self.synchronize();
        let all = lock(&self.inner.profile).take().unwrap_or_default();
        let measured = |(mut piece, start, end): (Piece, usize, usize)| {
            // SAFETY: both events have happened, and are not used again.
            unsafe {
                piece.ms = check("an event", result::event::elapsed(start as _, end as _));
                let _ = result::event::destroy(start as _);
                let _ = result::event::destroy(end as _);
            }
            piece
        };
        all.into_iter().map(measured).collect()
    }

    /// Records the work that `f` queues, without running it. `f` must have run before with the same shapes: a captured step cannot request
    /// memory, nor read numbers.
    pub fn capture<R>(&self, f: impl FnOnce() -> R) -> (Graph, R) {
        self.capture_in(&self.captured_memory(), f)
    }

    /// Returns memory for captures that hand buffers to each other. They are launched in the order of the captures.
    pub fn captured_memory(&self) -> CapturedMemory {
        CapturedMemory(Arc::new(Arena::new(self.inner.context, Some(Arc::clone(&self.inner.root)))))
    }

    /// Does what [`Cuda::capture`] does, with memory that other captures use too.
    pub fn capture_in<R>(&self, memory: &CapturedMemory, f: impl FnOnce() -> R) -> (Graph, R) {
        self.bind();
        let arena = Arc::clone(&memory.0);
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is open.
        check("a capture", unsafe { result::stream::begin_capture(self.stream(), mode) });
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
        let graph = check("a capture", graph);
        // SAFETY: the graph was just captured.
        unsafe {
            let nodes = count_nodes(graph);
            let executable = result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0));
            let _ = result::graph::destroy(graph);
            let executable = check("a graph", executable);
            check("a graph", result::graph::upload(executable, self.stream()));
            (Graph { cuda: self.clone(), executable: executable as usize, nodes, _arena: arena }, value)
        }
    }

    /// Queues work over arrays of this many `bytes`, and measures it if a profile is being taken.
    pub(crate) fn timed(&self, name: impl FnOnce() -> String, bytes: usize, work: impl FnOnce()) {
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
            profile.push((Piece { name: name(), bytes, ms: 0.0 }, start, end));
        }
    }

    /// Returns the milliseconds that queued work takes.
    pub fn time(&self, work: impl FnOnce()) -> f32 {
        self.bind();
        let event = || check("an event", result::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT));
        let start = event();
        let end = event();
        // SAFETY: events and stream are open.
        unsafe {
            check("an event", result::event::record(start, self.stream()));
            work();
            check("an event", result::event::record(end, self.stream()));
            check("an event", result::event::synchronize(end));
            let time = check("an event", result::event::elapsed(start, end));
            let _ = result::event::destroy(start);
            let _ = result::event::destroy(end);
            time
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

/// Memory of captures that hand buffers to each other.
#[derive(Clone, Debug)]
pub struct CapturedMemory(Arc<Arena>);

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
        self.cuda.timed(
            || "graph".into(),
            0,
            || {
                // SAFETY: both are open.
                check("a graph", unsafe { result::graph::launch(self.executable as _, self.cuda.stream()) });
            },
        );
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: nobody else has the graph. Nothing can be done about errors at the end, which follow a failure.
        unsafe {
            let _ = make_current(self.cuda.inner.context);
            let _ = result::stream::synchronize(self.cuda.stream());
            let _ = result::graph::exec_destroy(self.executable as _);
        }
    }
}
