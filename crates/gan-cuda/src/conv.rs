//! Convolutions by cuDNN's legacy interface over channels-last arrays, matrix products by cuBLAS, and plain loops for the rest.
//!
//! The parameters keep weights as `[O, C, kh, kw]`; here they are packed to `[O, kh, kw, C]` in the activations' format. Channels are padded
//! with zeros to a multiple of 16 bytes, without which tensor cores cannot load them. cuDNN pads an image evenly; an image whose padding is
//! uneven is copied with its zeros first. A window as large as its image, and a window of one pixel, is a matrix product. Every other
//! convolution is one after its windows were copied to rows ([`Route::Rows`]): that is the better way for images of a few channels, which
//! cuDNN would pad to several times their size, and the way for what cuDNN does not take.

use crate::driver::{Choice, Products, Shape, arguments, check};
use crate::memory::{Buffer, Slice, SliceMut, Type, lock};
use crate::{Argument, Cuda};
use candle_core::{Result, bail};
use cudarc::cublas::{result as blas, sys as blas_sys};
use cudarc::cudnn::{result as dnn, sys as dnn_sys};
use cudarc::driver::{result as driver, sys};
use gan_kernels::backend::{ConvCall, Memory};
use gan_kernels::fused::Reuse;
use gan_kernels::{Precision, Problem};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sizes of a convolution as its kernels read them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sizes {
    n: i32,
    h: i32,
    w: i32,
    c: i32,
    oh: i32,
    ow: i32,
    o: i32,
    kh: i32,
    kw: i32,
    top: i32,
    left: i32,
    down: i32,
    across: i32,
    dh: i32,
    dw: i32,
}

impl Sizes {
    fn x_len(&self) -> usize {
        [self.n, self.h, self.w, self.c].iter().map(|v| *v as usize).product()
    }

    fn y_len(&self) -> usize {
        [self.n, self.oh, self.ow, self.o].iter().map(|v| *v as usize).product()
    }

    fn w_len(&self) -> usize {
        [self.o, self.kh, self.kw, self.c].iter().map(|v| *v as usize).product()
    }
}

/// What a convolution computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Forward,
    InputGrad,
    WeightGrad,
}

/// A convolution for which a plan is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    sizes: Sizes,
    of: Type,
    strict: bool,
    choice: Choice,
}

/// Way of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// By cuDNN, or by plain loops if it does not take the convolution.
    Direct,
    /// As a matrix product over its windows.
    Rows,
}

/// A convolution for which a way is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RouteKey {
    kind: Kind,
    sizes: Sizes,
    of: Type,
    strict: bool,
    choice: Choice,
}

/// How cuDNN's part of a convolution is computed.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// By plain loops.
    Direct,
    /// By cuDNN, with its descriptors.
    Dnn { x: usize, w: usize, y: usize, conv: usize, algorithm: u32, math: u32, workspace: usize },
}

/// cuDNN's description of an algorithm. Its own type would make a number that this version does not know undefined behavior.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Candidate {
    algorithm: u32,
    status: u32,
    time: f32,
    memory: usize,
    determinism: u32,
    math: u32,
    reserved: [i32; 3],
}

const FMA: u32 = dnn_sys::cudnnMathType_t::CUDNN_FMA_MATH as u32;
const DEFAULT: u32 = dnn_sys::cudnnMathType_t::CUDNN_DEFAULT_MATH as u32;
const TENSOR: u32 = dnn_sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH as u32;

/// Largest workspace of an algorithm, in bytes.
const LARGEST: usize = 1 << 30;
/// Workspace of cuBLAS, in bytes: as large as NVIDIA recommends.
const GEMM_WORKSPACE: usize = 32 << 20;

/// Handles of cuDNN and cuBLAS, and what was found out about each convolution.
pub(crate) struct Dnn {
    dnn: usize,
    blas: usize,
    plans: HashMap<Key, Plan>,
    routes: HashMap<RouteKey, Route>,
    /// The last is the current one; a captured graph may use the others.
    workspaces: Vec<Buffer>,
    gemm: Option<Buffer>,
}

impl Dnn {
    /// Opens both libraries on a stream.
    pub fn open(stream: sys::CUstream) -> Result<Self> {
        // SAFETY: the libraries are present and the stream is open.
        unsafe {
            let opened = || -> std::result::Result<(usize, usize), String> {
                let dnn = dnn::create_handle().map_err(|e| format!("cuDNN: {e:?}"))?;
                dnn::set_stream(dnn, stream.cast()).map_err(|e| format!("cuDNN: {e:?}"))?;
                let blas = blas::create_handle().map_err(|e| format!("cuBLAS: {e:?}"))?;
                blas::set_stream(blas, stream.cast()).map_err(|e| format!("cuBLAS: {e:?}"))?;
                Ok((dnn as usize, blas as usize))
            };
            match opened() {
                Ok((dnn, blas)) => Ok(Self {
                    dnn,
                    blas,
                    plans: HashMap::new(),
                    routes: HashMap::new(),
                    workspaces: vec![],
                    gemm: None,
                }),
                Err(error) => bail!("CUDA: {error}"),
            }
        }
    }

    /// Closes both libraries.
    pub fn close(&mut self) {
        // SAFETY: nobody uses the handles any more. Nothing can be done about errors at the end.
        unsafe {
            let _ = dnn::destroy_handle(self.dnn as _);
            let _ = blas::destroy_handle(self.blas as _);
        }
        self.workspaces.clear();
        self.gemm = None;
    }

    /// Returns the deterministic algorithms that cuDNN proposes, those with tensor cores first if they are allowed.
    fn candidates(&self, key: &Key, [x, w, y, conv]: [usize; 4]) -> Vec<Candidate> {
        let mut found = [Candidate::default(); 16];
        let mut count = 0;
        let math = match (key.of, key.strict) {
            (Type::Bf16, _) => TENSOR,
            (Type::F32, true) => FMA,
            (Type::F32, false) => DEFAULT,
        };
        // SAFETY: descriptors and handle are open, the list has room.
        let status = unsafe {
            set_math(conv, math);
            let asked = found.len() as i32;
            let list = found.as_mut_ptr();
            let count = &raw mut count;
            match key.kind {
                Kind::Forward => dnn_sys::cudnnGetConvolutionForwardAlgorithm_v7(
                    self.dnn as _,
                    x as _,
                    w as _,
                    conv as _,
                    y as _,
                    asked,
                    count,
                    list.cast(),
                ),
                Kind::InputGrad => dnn_sys::cudnnGetConvolutionBackwardDataAlgorithm_v7(
                    self.dnn as _,
                    w as _,
                    y as _,
                    conv as _,
                    x as _,
                    asked,
                    count,
                    list.cast(),
                ),
                Kind::WeightGrad => dnn_sys::cudnnGetConvolutionBackwardFilterAlgorithm_v7(
                    self.dnn as _,
                    x as _,
                    y as _,
                    conv as _,
                    w as _,
                    asked,
                    count,
                    list.cast(),
                ),
            }
        };
        if status != dnn_sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS {
            return vec![];
        }
        let most = match key.kind {
            Kind::Forward => 8,
            Kind::InputGrad => 6,
            Kind::WeightGrad => 7,
        };
        let usable = |c: &Candidate| {
            c.status == 0 && c.determinism == 1 && c.algorithm < most && c.math <= FMA && c.memory <= LARGEST
        };
        let mut usable: Vec<Candidate> =
            found[..(count.max(0) as usize).min(found.len())].iter().copied().filter(usable).collect();
        if !key.strict {
            usable.sort_by_key(|c| c.math == FMA);
        }
        usable
    }

    /// Returns an algorithm's workspace in bytes.
    fn workspace(&self, kind: Kind, [x, w, y, conv]: [usize; 4], algorithm: u32) -> Option<usize> {
        // SAFETY: descriptors and handle are open; the algorithm is one of cuDNN's.
        unsafe {
            let handle = self.dnn as _;
            match kind {
                Kind::Forward => dnn::get_convolution_forward_workspace_size(
                    handle,
                    x as _,
                    w as _,
                    conv as _,
                    y as _,
                    std::mem::transmute::<u32, dnn_sys::cudnnConvolutionFwdAlgo_t>(algorithm),
                ),
                Kind::InputGrad => dnn::get_convolution_backward_data_workspace_size(
                    handle,
                    w as _,
                    y as _,
                    conv as _,
                    x as _,
                    std::mem::transmute::<u32, dnn_sys::cudnnConvolutionBwdDataAlgo_t>(algorithm),
                ),
                Kind::WeightGrad => dnn::get_convolution_backward_filter_workspace_size(
                    handle,
                    x as _,
                    y as _,
                    conv as _,
                    w as _,
                    std::mem::transmute::<u32, dnn_sys::cudnnConvolutionBwdFilterAlgo_t>(algorithm),
                ),
            }
            .ok()
        }
    }

    /// Queues a convolution. The arrays are those that the kind reads, and then the one that it writes.
    fn convolve(&self, kind: Kind, plan: &Plan, [a, b, to]: [u64; 3]) -> std::result::Result<(), String> {
        let Plan::Dnn { x, w, y, conv, algorithm, workspace, .. } = *plan else { return Ok(()) };
        let one = 1f32;
        let zero = 0f32;
        let one = (&raw const one).cast::<c_void>();
        let zero = (&raw const zero).cast::<c_void>();
        let handle = self.dnn as dnn_sys::cudnnHandle_t;
        let scratch = self.workspaces.last().map_or(0, |buffer| buffer.address) as *mut c_void;
        // SAFETY: descriptors and handle are open; the callers' arrays have the sizes of the descriptors.
        unsafe {
            match kind {
                Kind::Forward => dnn::convolution_forward(
                    handle,
                    one,
                    x as _,
                    a as _,
                    w as _,
                    b as _,
                    conv as _,
                    std::mem::transmute::<u32, dnn_sys::cudnnConvolutionFwdAlgo_t>(algorithm),
                    scratch,
                    workspace,
                    zero,
                    y as _,
                    to as _,
                ),
                Kind::InputGrad => dnn::convolution_backward_data(
                    handle,
                    one,
                    w as _,
                    b as _,
                    y as _,
                    a as _,
                    conv as _,
                    std::mem::transmute::<u32, dnn_sys::cudnnConvolutionBwdDataAlgo_t>(algorithm),
                    scratch,
                    workspace,
                    zero,
                    x as _,
                    to as _,
                ),
                Kind::WeightGrad => dnn::convolution_backward_filter(
                    handle,
                    one,
                    x as _,
                    a as _,
                    y as _,
                    b as _,
                    conv as _,
                    std::mem::transmute::<u32, dnn_sys::cudnnConvolutionBwdFilterAlgo_t>(algorithm),
                    scratch,
                    workspace,
                    zero,
                    w as _,
                    to as _,
                ),
            }
            .map_err(|error| format!("{error:?}"))
        }
    }

    fn reserve(&mut self, cuda: &Cuda, bytes: usize) {
        let has = self.workspaces.last().map_or(0, |buffer| buffer.len * 4);
        if bytes > has {
            self.workspaces.push(Buffer::new(cuda.root_arena(), bytes.div_ceil(4), Type::F32));
        }
    }
}

unsafe fn set_math(conv: usize, math: u32) {
    // SAFETY: the caller's descriptor is open, and the number is one of cuDNN's.
    unsafe {
        let math = std::mem::transmute::<u32, dnn_sys::cudnnMathType_t>(math.min(FMA));
        check("a convolution's math", dnn::set_convolution_math_type(conv as _, math));
    }
}

/// Packed weights by layer and form.
#[derive(Debug)]
pub struct WeightCache {
    kept: Mutex<HashMap<(usize, Form), Packed>>,
    /// Number of changes; 0 if nobody reports them, so that weights must be packed at every use.
    version: AtomicU64,
}

/// Form of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Form {
    of: Type,
    outputs: usize,
    channels: usize,
}

#[derive(Debug)]
struct Packed {
    buffer: Buffer,
    version: u64,
    /// Address of the weights that were packed.
    from: u64,
}

impl WeightCache {
    pub(crate) fn new(_: Reuse) -> Self {
        Self { kept: Mutex::default(), version: AtomicU64::new(0) }
    }

    pub(crate) fn changed(&self) {
        self.version.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where a convolution's arrays lie in its kernels' sizes.
struct Mapped {
    sizes: Sizes,
    /// Row and column of the kernel's image at which the caller's begins, if it must be copied.
    copies_x: Option<[i32; 2]>,
    copies_y: bool,
}

/// Matrix product that a convolution is.
struct Product {
    rows: usize,
    outputs: usize,
    inner: usize,
}

impl Cuda {
    pub(crate) fn set_gemm_workspace(&self) {
        let buffer = Buffer::new(self.root_arena(), GEMM_WORKSPACE / 4, Type::F32);
        let mut dnn = self.dnn();
        // SAFETY: the workspace lives as long as the handle.
        let status = unsafe { blas_sys::cublasSetWorkspace_v2(dnn.blas as _, buffer.address as _, GEMM_WORKSPACE) };
        check("cuBLAS' workspace", status.result());
        dnn.gemm = Some(buffer);
    }

    fn is_strict(&self, precision: Precision, of: Type) -> bool {
        of == Type::F32 && (self.products == Products::F32 || precision == Precision::F32Accurate)
    }

    pub(crate) fn forward(&self, call: &ConvCall<Self>, x: Slice<'_>, y: SliceMut<'_>) {
        let p = &call.problem;
        assert_lengths(p, x, y.read());
        let strict = self.is_strict(call.precision, x.of);
        if let Some(product) = product(p) {
            return self.with_packed(call, x.of, p.out_channels, p.in_channels, |weights| {
                self.gemm_forward(&product, x, weights, &y, strict);
            });
        }
        self.by_route(Kind::Forward, p, x.of, strict, |route| match route {
            Route::Direct => self.forward_direct(call, x, &y, strict),
            Route::Rows => self.with_packed(call, x.of, p.out_channels, p.in_channels, |weights| {
                let columns = self.im2col(p, x);
                self.gemm_forward(&windows(p), self.slice(&columns), weights, &y, strict);
            }),
        });
    }

    fn forward_direct(&self, call: &ConvCall<Self>, x: Slice<'_>, y: &SliceMut<'_>, strict: bool) {
        let p = &call.problem;
        let m = map(p, x.of, strict);
        let padded = m.copies_x.map(|at| self.window(x, image(p), kernel_image(&m.sizes), at.map(|v| -v), x.of));
        let x = padded.as_ref().map_or(x, |buffer| self.slice(buffer));
        self.with_packed(call, x.of, m.sizes.o as usize, m.sizes.c as usize, |weights| {
            if !m.copies_y {
                return self.convolve(Kind::Forward, m.sizes, strict, [x, weights], y);
            }
            let mut wide = self.buffer(m.sizes.y_len(), y.of);
            self.convolve(Kind::Forward, m.sizes, strict, [x, weights], &self.slice_mut(&mut wide));
            self.window_to(self.slice(&wide), kernel_output(&m.sizes), y, output(p), [0, 0]);
        });
    }

    pub(crate) fn input_grad(&self, call: &ConvCall<Self>, y: Slice<'_>, x: SliceMut<'_>) {
        let p = &call.problem;
        assert_lengths(p, x.read(), y);
        let strict = self.is_strict(call.precision, y.of);
        if let Some(product) = product(p) {
            return self.with_packed(call, y.of, p.out_channels, p.in_channels, |weights| {
                self.gemm_input_grad(&product, y, weights, &x, strict);
            });
        }
        self.by_route(Kind::InputGrad, p, y.of, strict, |route| match route {
            Route::Direct => self.input_grad_direct(call, y, &x, strict),
            Route::Rows => self.with_packed(call, y.of, p.out_channels, p.in_channels, |weights| {
                let product = windows(p);
                // Each pixel's sum of windows is taken before rounding.
                let mut columns = self.buffer(product.rows * product.inner, Type::F32);
                self.gemm_input_grad(&product, y, weights, &self.slice_mut(&mut columns), strict);
                let each = if p.in_channels == 3 { 3 } else { 1 + 3 * usize::from(p.in_channels.is_multiple_of(4)) };
                let name = format!("col2im_{}_{each}", x.of.name());
                let columns = self.slice(&columns);
                let count = small_count(x.len / each);
                let all = &mut [Argument::of(plain_sizes(p)), columns.into(), (&x).into(), count.into()];
                self.launch(&name, Shape::flat(x.len / each), all);
            }),
        });
    }

    fn input_grad_direct(&self, call: &ConvCall<Self>, y: Slice<'_>, x: &SliceMut<'_>, strict: bool) {
        let p = &call.problem;
        let m = map(p, y.of, strict);
        let padded = m.copies_y.then(|| self.window(y, output(p), kernel_output(&m.sizes), [0, 0], y.of));
        let y = padded.as_ref().map_or(y, |buffer| self.slice(buffer));
        self.with_packed(call, y.of, m.sizes.o as usize, m.sizes.c as usize, |weights| {
            let Some(at) = m.copies_x else {
                return self.convolve(Kind::InputGrad, m.sizes, strict, [y, weights], x);
            };
            let mut wide = self.buffer(m.sizes.x_len(), x.of);
            self.convolve(Kind::InputGrad, m.sizes, strict, [y, weights], &self.slice_mut(&mut wide));
            self.window_to(self.slice(&wide), kernel_image(&m.sizes), x, image(p), at);
        });
    }

    pub(crate) fn weight_grad(&self, p: &Problem, precision: Precision, x: Slice<'_>, dy: Slice<'_>, dw: SliceMut<'_>) {
        assert_lengths(p, x, dy);
        let taps = p.kernel[0] * p.kernel[1];
        assert!(dw.len == p.out_channels * p.in_channels * taps && dw.of == Type::F32, "a weight gradient for {p:?}");
        let strict = self.is_strict(precision, x.of);
        self.beside(|cuda| {
            if let Some(product) = product(p) {
                return cuda.weight_grad_product(p, &product, x, dy, &dw, strict);
            }
            cuda.by_route(Kind::WeightGrad, p, x.of, strict, |route| match route {
                Route::Direct => cuda.weight_grad_direct(p, x, dy, &dw, strict),
                Route::Rows => {
                    let columns = cuda.im2col(p, x);
                    cuda.weight_grad_product(p, &windows(p), cuda.slice(&columns), dy, &dw, strict);
                }
            });
        });
    }

    fn weight_grad_product(
        &self,
        p: &Problem,
        product: &Product,
        x: Slice<'_>,
        dy: Slice<'_>,
        dw: &SliceMut<'_>,
        strict: bool,
    ) {
        let taps = p.kernel[0] * p.kernel[1];
        if taps == 1 {
            return self.gemm_weight_grad(product, x, dy, dw, strict);
        }
        let mut packed = self.buffer(dw.len, Type::F32);
        self.gemm_weight_grad(product, x, dy, &self.slice_mut(&mut packed), strict);
        self.transpose(self.slice(&packed), dw, [p.out_channels; 2], taps, p.in_channels, p.in_channels, taps);
    }

    fn weight_grad_direct(&self, p: &Problem, x: Slice<'_>, dy: Slice<'_>, dw: &SliceMut<'_>, strict: bool) {
        let taps = p.kernel[0] * p.kernel[1];
        let m = map(p, x.of, strict);
        let wide_x = m.copies_x.map(|at| self.window(x, image(p), kernel_image(&m.sizes), at.map(|v| -v), x.of));
        let wide_y = m.copies_y.then(|| self.window(dy, output(p), kernel_output(&m.sizes), [0, 0], dy.of));
        let x = wide_x.as_ref().map_or(x, |buffer| self.slice(buffer));
        let dy = wide_y.as_ref().map_or(dy, |buffer| self.slice(buffer));
        let mut packed = self.buffer(m.sizes.w_len(), x.of);
        self.convolve(Kind::WeightGrad, m.sizes, strict, [x, dy], &self.slice_mut(&mut packed));
        let packed = self.slice(&packed);
        self.transpose(packed, dw, [p.out_channels; 2], taps, p.in_channels, m.sizes.c as usize, taps);
    }

    /// Copies an image's windows to rows.
    fn im2col(&self, p: &Problem, x: Slice<'_>) -> Buffer {
        let product = windows(p);
        let mut columns = self.buffer(product.rows * product.inner, x.of);
        let to = self.slice_mut(&mut columns);
        if p.in_channels <= 4 {
            let count = product.rows * p.kernel[0];
            let all = &mut [Argument::of(plain_sizes(p)), x.into(), (&to).into(), small_count(count).into()];
            self.launch(&format!("im2col_few_{}", x.of.name()), Shape::flat(count), all);
            return columns;
        }
        let (end, lanes) = Self::lanes(x.of, p.in_channels, &[x.address, to.address]);
        let count = small_count(to.len / lanes);
        let all = &mut [Argument::of(plain_sizes(p)), x.into(), (&to).into(), count.into()];
        self.launch(&format!("im2col_{end}"), Shape::flat(to.len / lanes), all);
        columns
    }

    /// Runs a convolution in the way that was chosen for it; at first use it may be run in all ways, to choose the fastest.
    fn by_route(&self, kind: Kind, p: &Problem, of: Type, strict: bool, run: impl Fn(Route)) {
        if p.samples == 0 || p.positions() == 0 {
            // The weights' gradient over no windows.
            return run(Route::Direct);
        }
        let key = RouteKey { kind, sizes: plain_sizes(p), of, strict, choice: self.choice };
        let known = self.dnn().routes.get(&key).copied();
        if let Some(route) = known {
            return run(route);
        }
        let product = windows(p);
        let bytes = 4 * product.rows * product.inner;
        let route = if bytes > LARGEST / 2 {
            Route::Direct
        } else {
            match self.choice {
                Choice::Rows => Route::Rows,
                Choice::Loops => Route::Direct,
                Choice::Timed => {
                    let time = |route| {
                        run(route);
                        self.synchronize();
                        (0..3).map(|_| self.time(|| run(route))).fold(f32::INFINITY, f32::min)
                    };
                    if time(Route::Direct) <= time(Route::Rows) { Route::Direct } else { Route::Rows }
                }
                Choice::Heuristic => {
                    let m = map(p, of, strict);
                    let sizes = m.sizes;
                    let plan = self.plan(Key { kind, sizes, of, strict, choice: self.choice });
                    let narrow = p.in_channels < 16 / of.bytes();
                    if narrow || matches!(plan, Plan::Direct) { Route::Rows } else { Route::Direct }
                }
            }
        };
        self.dnn().routes.insert(key, route);
        run(route);
    }

    /// Returns the ways that were chosen, for people who measure.
    pub fn routes(&self) -> Vec<String> {
        let dnn = self.dnn();
        let mut all: Vec<String> = dnn.routes.iter().map(|(key, route)| format!("{route:?} for {key:?}")).collect();
        all.sort();
        all
    }

    /// Calls `f` with a call's weights in a form. Nobody else packs others in the same place before `f` has queued its work.
    fn with_packed(&self, call: &ConvCall<Self>, of: Type, outputs: usize, channels: usize, f: impl FnOnce(Slice<'_>)) {
        let p = &call.problem;
        let taps = p.kernel[0] * p.kernel[1];
        let source = call.weights;
        assert_eq!(source.len, p.out_channels * p.in_channels * taps, "a convolution's weights for {p:?}");
        let padded = outputs != p.out_channels || channels != p.in_channels;
        if taps == 1 && of == source.of && !padded {
            return f(source);
        }
        let form = Form { of, outputs, channels };
        let version = call.cache.version.load(Ordering::Relaxed);
        let mut kept = lock(&call.cache.kept);
        let packed = kept.entry((call.layer, form)).or_insert_with(|| Packed {
            buffer: Buffer::new(self.root_arena(), outputs * taps * channels, of),
            version: 0,
            from: 0,
        });
        if version == 0 || packed.version != version || packed.from != source.address {
            let to = self.slice_mut(&mut packed.buffer);
            self.transpose(source, &to, [p.out_channels, outputs], p.in_channels, taps, taps, channels);
            packed.version = version;
            packed.from = source.address;
        }
        f(self.slice(&packed.buffer));
    }

    /// Transposes `[n, a, b]` -> `[n, b, to_a]`, where rows of the source are `from_b` long, with zeros for what the source lacks.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn transpose(
        &self,
        x: Slice<'_>,
        y: &SliceMut<'_>,
        [from_n, n]: [usize; 2],
        a: usize,
        b: usize,
        from_b: usize,
        to_a: usize,
    ) {
        if (a == 1 || b == 1) && from_b == b && to_a == a && from_n == n {
            return self.convert(x, y);
        }
        if to_a <= 4 && from_n == n {
            let name = format!("transpose_few_{}_{}", x.of.name(), y.of.name());
            let all = arguments![x, y, small_count(n * b), a, b, from_b, to_a];
            return self.launch(&name, Shape::flat(n * b), all);
        }
        assert!(n <= 65535, "a transposition of {n} samples");
        let name = format!("transpose_{}_{}", x.of.name(), y.of.name());
        let grid = (b.div_ceil(32) as u32, to_a.div_ceil(32) as u32, n as u32);
        let shape = Shape { grid, block: (32, 8, 1), shared: 0 };
        self.launch(&name, shape, arguments![x, y, from_n, a, b, from_b, to_a]);
    }

    /// Copies numbers to another format.
    pub(crate) fn convert(&self, x: Slice<'_>, y: &SliceMut<'_>) {
        assert_eq!(x.len, y.len, "a copy has the size of its source");
        if x.of == y.of {
            return self.copy_bytes("copy", x.address, y.address, x.len * x.of.bytes());
        }
        let each = if x.len.is_multiple_of(8) { 8 } else { 1 };
        let flat = [x.len / each, 1, 1, each];
        self.window_to(x, flat, y, flat, [0, 0]);
    }

    /// Returns the window of an image `[n, h, w, c]` that begins at a row and column, with zeros outside the image.
    fn window(&self, x: Slice<'_>, from: [usize; 4], to: [usize; 4], at: [i32; 2], of: Type) -> Buffer {
        let mut y = self.buffer(to.iter().product(), of);
        self.window_to(x, from, &self.slice_mut(&mut y), to, at);
        y
    }

    /// Writes the window of an image `[n, h, w, c]` that begins at a row and column, with zeros outside the image.
    pub(crate) fn window_to(&self, x: Slice<'_>, from: [usize; 4], y: &SliceMut<'_>, to: [usize; 4], at: [i32; 2]) {
        assert!(x.len == from.iter().product::<usize>() && y.len == to.iter().product::<usize>(), "{from:?} {to:?}");
        let [_, h, w, c] = to;
        let each = match c {
            3 => 3,
            _ if c.is_multiple_of(8) => 8,
            _ if c.is_multiple_of(4) => 4,
            _ => 1,
        };
        let name = format!("window_{}_{}_{each}", x.of.name(), y.of.name());
        let [_, from_h, from_w, from_c] = from;
        let all = arguments![x, y, small_count(y.len / each), h, w, c, from_h, from_w, from_c, at[0], at[1]];
        self.launch(&name, Shape::flat(y.len / each), all);
    }

    /// Queues a convolution in its kernels' sizes.
    fn convolve(&self, kind: Kind, sizes: Sizes, strict: bool, [a, b]: [Slice<'_>; 2], to: &SliceMut<'_>) {
        self.bind();
        let lengths = match kind {
            Kind::Forward => [sizes.x_len(), sizes.w_len(), sizes.y_len()],
            Kind::InputGrad => [sizes.y_len(), sizes.w_len(), sizes.x_len()],
            Kind::WeightGrad => [sizes.x_len(), sizes.y_len(), sizes.w_len()],
        };
        assert_eq!([a.len, b.len, to.len], lengths, "a convolution {kind:?} of {sizes:?}");
        if a.len == 0 || to.len == 0 {
            return;
        }
        let key = Key { kind, sizes, of: a.of, strict, choice: self.choice };
        let plan = self.plan(key);
        let name = || {
            let Sizes { n, h, w, c, oh, ow, o, kh, kw, .. } = sizes;
            let how = match plan {
                Plan::Direct => "loops".into(),
                Plan::Dnn { algorithm, math, workspace, .. } => format!("a{algorithm} m{math} ws{workspace}"),
            };
            format!("conv {kind:?} n{n} {h}x{w}x{c}->{oh}x{ow}x{o} k{kh}x{kw} {how}")
        };
        if let Plan::Direct = plan {
            let kernel = match kind {
                Kind::Forward => "conv_forward",
                Kind::InputGrad => "conv_input_grad",
                Kind::WeightGrad => "conv_weight_grad",
            };
            let kernel = format!("{kernel}_{}", a.of.name());
            return self.launch(
                &kernel,
                Shape::flat(to.len),
                &mut [Argument::of(sizes), a.into(), b.into(), to.into()],
            );
        }
        self.timed(name, || {
            let dnn = self.dnn();
            check("a convolution", dnn.convolve(kind, &plan, [a.address, b.address, to.address]));
        });
    }

    /// Returns how a convolution is computed; at first use the candidates are tried, because the heuristics may propose what fails.
    fn plan(&self, key: Key) -> Plan {
        let mut dnn = self.dnn();
        if let Some(plan) = dnn.plans.get(&key) {
            return *plan;
        }
        let plan = match key.choice {
            Choice::Loops => None,
            Choice::Heuristic | Choice::Timed | Choice::Rows => self.find_plan(&mut dnn, &key),
        };
        let plan = plan.unwrap_or(Plan::Direct);
        dnn.plans.insert(key, plan);
        plan
    }

    fn find_plan(&self, dnn: &mut Dnn, key: &Key) -> Option<Plan> {
        let s = &key.sizes;
        let of = match key.of {
            Type::F32 => dnn_sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            Type::Bf16 => dnn_sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
        };
        let nhwc = dnn_sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        let mode = dnn_sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        // SAFETY: the descriptors live as long as the process: there are few.
        let parts = unsafe {
            let x = dnn::create_tensor_descriptor().ok()?;
            let y = dnn::create_tensor_descriptor().ok()?;
            let w = dnn::create_filter_descriptor().ok()?;
            let conv = dnn::create_convolution_descriptor().ok()?;
            dnn::set_tensor4d_descriptor(x, nhwc, of, [s.n, s.c, s.h, s.w]).ok()?;
            dnn::set_tensor4d_descriptor(y, nhwc, of, [s.n, s.o, s.oh, s.ow]).ok()?;
            dnn::set_filter4d_descriptor(w, of, nhwc, [s.o, s.c, s.kh, s.kw]).ok()?;
            let float = dnn_sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
            dnn::set_convolution2d_descriptor(conv, s.top, s.left, s.down, s.across, s.dh, s.dw, mode, float).ok()?;
            [x as usize, w as usize, y as usize, conv as usize]
        };
        let [x, w, y, conv] = parts;
        let lengths = match key.kind {
            Kind::Forward => [s.x_len(), s.w_len(), s.y_len()],
            Kind::InputGrad => [s.y_len(), s.w_len(), s.x_len()],
            Kind::WeightGrad => [s.x_len(), s.y_len(), s.w_len()],
        };
        let candidates = dnn.candidates(key, parts);
        if candidates.is_empty() {
            return None;
        }
        let arrays = lengths.map(|len| self.buffer(len, key.of));
        for array in &arrays {
            // SAFETY: the array has this many bytes.
            check("zeros", unsafe {
                driver::memset_d8_async(array.address, 0, array.len * array.of.bytes(), self.stream())
            });
        }
        let addresses = [0, 1, 2].map(|i| arrays[i].address);
        let mut best: Option<(f32, Plan)> = None;
        for candidate in candidates {
            // SAFETY: the descriptor is open.
            unsafe { set_math(conv, candidate.math) };
            let algorithm = candidate.algorithm;
            let Some(workspace) = dnn.workspace(key.kind, parts, algorithm) else { continue };
            if workspace > LARGEST {
                continue;
            }
            dnn.reserve(self, workspace);
            let plan = Plan::Dnn { x, w, y, conv, algorithm, math: candidate.math, workspace };
            if dnn.convolve(key.kind, &plan, addresses).is_err() {
                continue;
            }
            self.synchronize();
            if key.choice != Choice::Timed {
                return Some(plan);
            }
            let time = (0..3).map(|_| {
                self.time(|| {
                    let _ = dnn.convolve(key.kind, &plan, addresses);
                })
            });
            let time = time.fold(f32::INFINITY, f32::min);
            if best.is_none_or(|(least, _)| time < least) {
                best = Some((time, plan));
            }
        }
        let (_, plan) = best?;
        if let Plan::Dnn { math, .. } = plan {
            // SAFETY: the descriptor is open.
            unsafe { set_math(conv, math) };
        }
        Some(plan)
    }

    /// Returns the milliseconds that queued work takes.
    pub fn time(&self, work: impl FnOnce()) -> f32 {
        self.bind();
        let event = || check("an event", driver::event::create(sys::CUevent_flags::CU_EVENT_DEFAULT));
        let start = event();
        let end = event();
        // SAFETY: events and stream are open.
        unsafe {
            check("an event", driver::event::record(start, self.stream()));
            work();
            check("an event", driver::event::record(end, self.stream()));
            check("an event", driver::event::synchronize(end));
            let time = check("an event", driver::event::elapsed(start, end));
            let _ = driver::event::destroy(start);
            let _ = driver::event::destroy(end);
            time
        }
    }

    fn gemm_forward(&self, p: &Product, x: Slice<'_>, w: Slice<'_>, y: &SliceMut<'_>, strict: bool) {
        // Column-major, as cuBLAS counts: yᵀ [O, N] = (wᵀ)ᵀ·xᵀ.
        let [o, n, k] = [p.outputs, p.rows, p.inner];
        self.gemm("forward", [true, false], [o, n, k], (w, k), (x, k), (y.read(), o), strict);
    }

    fn gemm_input_grad(&self, p: &Product, y: Slice<'_>, w: Slice<'_>, x: &SliceMut<'_>, strict: bool) {
        // xᵀ [K, N] = wᵀ·yᵀ.
        let [o, n, k] = [p.outputs, p.rows, p.inner];
        self.gemm("input grad", [false, false], [k, n, o], (w, k), (y, o), (x.read(), k), strict);
    }

    fn gemm_weight_grad(&self, p: &Product, x: Slice<'_>, dy: Slice<'_>, dw: &SliceMut<'_>, strict: bool) {
        // dwᵀ [K, O] = xᵀ·dy.
        let [o, n, k] = [p.outputs, p.rows, p.inner];
        self.gemm("weight grad", [false, true], [k, o, n], (x, k), (dy, o), (dw.read(), k), strict);
    }

    /// Queues c [m, n] = a·b over k in columns, each transposed if asked for; every array comes with the length of its columns.
    #[allow(clippy::too_many_arguments)]
    fn gemm(
        &self,
        what: &'static str,
        transposed: [bool; 2],
        [m, n, k]: [usize; 3],
        (a, lda): (Slice<'_>, usize),
        (b, ldb): (Slice<'_>, usize),
        (c, ldc): (Slice<'_>, usize),
        strict: bool,
    ) {
        assert!(a.len == m * k && b.len == k * n && c.len == m * n, "a product of {m}×{k} by {k}×{n}");
        if c.len == 0 {
            return;
        }
        let operation = |transposed| match transposed {
            true => blas_sys::cublasOperation_t::CUBLAS_OP_T,
            false => blas_sys::cublasOperation_t::CUBLAS_OP_N,
        };
        let format = |of| match of {
            Type::F32 => blas_sys::cudaDataType_t::CUDA_R_32F,
            Type::Bf16 => blas_sys::cudaDataType_t::CUDA_R_16BF,
        };
        let compute = match strict || a.of == Type::Bf16 {
            true => blas_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            false => blas_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
        };
        let one = 1f32;
        let zero = 0f32;
        let [m, n, k, lda, ldb, ldc] = [m, n, k, lda, ldb, ldc].map(|v| i32::try_from(v).expect("a product's side"));
        self.timed(
            || format!("gemm {what} {m}x{n}x{k}"),
            || {
                let dnn = self.dnn();
                // SAFETY: the arrays have these sizes, as checked above.
                check("a matrix product", unsafe {
                    blas::gemm_ex(
                        dnn.blas as _,
                        operation(transposed[0]),
                        operation(transposed[1]),
                        m,
                        n,
                        k,
                        (&raw const one).cast(),
                        a.address as _,
                        format(a.of),
                        lda,
                        b.address as _,
                        format(b.of),
                        ldb,
                        (&raw const zero).cast(),
                        c.address as _,
                        format(c.of),
                        ldc,
                        compute,
                        blas_sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
                    )
                });
            },
        );
    }
}

#[track_caller]
fn assert_lengths(p: &Problem, x: Slice<'_>, y: Slice<'_>) {
    assert_eq!(x.len, p.samples * p.input_len(), "a convolution's images for {p:?}");
    assert_eq!(y.len, p.samples * p.output_len(), "a convolution's outputs for {p:?}");
    assert_eq!(x.of, y.of, "a convolution has one number format");
}

fn image(p: &Problem) -> [usize; 4] {
    [p.samples, p.input[0], p.input[1], p.in_channels]
}

fn output(p: &Problem) -> [usize; 4] {
    [p.samples, p.output[0], p.output[1], p.out_channels]
}

fn kernel_image(s: &Sizes) -> [usize; 4] {
    [s.n, s.h, s.w, s.c].map(|v| v as usize)
}

fn kernel_output(s: &Sizes) -> [usize; 4] {
    [s.n, s.oh, s.ow, s.o].map(|v| v as usize)
}

/// Returns the product that a problem is, if it is one.
fn product(p: &Problem) -> Option<Product> {
    if p.spec.padding.total() != [0, 0] {
        return None;
    }
    let each_pixel = p.kernel == [1, 1] && p.spec.stride == [1, 1] && p.input == p.output;
    let whole_image = p.output == [1, 1] && p.kernel == p.input && p.spec.dilation == [1, 1];
    if !each_pixel && !whole_image {
        return None;
    }
    let rows = p.samples * p.positions();
    Some(Product { rows, outputs: p.out_channels, inner: p.in_channels * p.kernel[0] * p.kernel[1] })
}

/// Returns a number of values that fits into 32 bits, in which kernels count pixels.
pub(crate) fn small_count(len: usize) -> u64 {
    assert!(len < 1 << 32, "{len} numbers in one kernel: use a smaller batch");
    len as u64
}

/// Returns the product over windows that a problem is.
fn windows(p: &Problem) -> Product {
    let inner = p.in_channels * p.kernel[0] * p.kernel[1];
    Product { rows: p.samples * p.positions(), outputs: p.out_channels, inner }
}

/// Returns a problem's own sizes.
fn plain_sizes(p: &Problem) -> Sizes {
    let small = |v: usize| i32::try_from(v).expect("a convolution's side fits into 32 bits");
    let before = p.spec.padding.before();
    Sizes {
        n: small(p.samples),
        h: small(p.input[0]),
        w: small(p.input[1]),
        c: small(p.in_channels),
        oh: small(p.output[0]),
        ow: small(p.output[1]),
        o: small(p.out_channels),
        kh: small(p.kernel[0]),
        kw: small(p.kernel[1]),
        top: small(before[0]),
        left: small(before[1]),
        down: small(p.spec.stride[0]),
        across: small(p.spec.stride[1]),
        dh: small(p.spec.dilation[0]),
        dw: small(p.spec.dilation[1]),
    }
}

/// Returns the sizes in which cuDNN computes a problem.
fn map(p: &Problem, of: Type, strict: bool) -> Mapped {
    let align = if strict { 1 } else { 16 / of.bytes() };
    let small = |v: usize| i32::try_from(v).expect("a convolution's side fits into 32 bits");
    let reach = [0, 1].map(|i| p.spec.dilation[i] * (p.kernel[i] - 1) + 1);
    let before = p.spec.padding.before();
    let even = (0..2).all(|i| {
        let padded = p.input[i] + 2 * before[i];
        padded >= reach[i] && (padded - reach[i]) / p.spec.stride[i] + 1 == p.output[i]
    });
    let needed = [0, 1].map(|i| (p.output[i].max(1) - 1) * p.spec.stride[i] + reach[i]);
    let input = if even { p.input } else { needed };
    let [top, left] = if even { before } else { [0, 0] };
    let c = p.in_channels.next_multiple_of(align);
    let o = p.out_channels.next_multiple_of(align);
    let sizes = Sizes {
        h: small(input[0]),
        w: small(input[1]),
        c: small(c),
        o: small(o),
        top: small(top),
        left: small(left),
        ..plain_sizes(p)
    };
    let at = if even { [0, 0] } else { before.map(small) };
    let copies_x = (!even || c != p.in_channels).then_some(at);
    Mapped { sizes, copies_x, copies_y: o != p.out_channels }
}
