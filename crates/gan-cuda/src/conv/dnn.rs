//! cuDNN's convolutions: descriptors, the choice of an algorithm, and the calls.

use super::sizes::Sizes;
use super::{Kind, LARGEST, Route, RouteKey};
use crate::Cuda;
use crate::driver::Choice;
use crate::failure::check;
use crate::memory::{Buffer, Type};
use candle_core::{Result, bail};
use cudarc::cublas::result as blas;
use cudarc::cudnn::{result as dnn, sys as dnn_sys};
use cudarc::driver::sys;
use std::collections::HashMap;
use std::ffi::c_void;

/// A convolution for which a plan is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub kind: Kind,
    pub sizes: Sizes,
    pub of: Type,
    pub strict: bool,
    pub choice: Choice,
}

/// How cuDNN's part of a convolution is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// By plain loops.
    Direct,
    /// By cuDNN, with its descriptors.
    Dnn { x: usize, w: usize, y: usize, conv: usize, algorithm: u32, math: u32, workspace: usize },
}

/// cuDNN's description of an algorithm. Its own type would make a number that this version does not know undefined behavior.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Candidate {
    pub algorithm: u32,
    status: u32,
    time: f32,
    memory: usize,
    determinism: u32,
    pub math: u32,
    reserved: [i32; 3],
}

const FMA: u32 = dnn_sys::cudnnMathType_t::CUDNN_FMA_MATH as u32;
const DEFAULT: u32 = dnn_sys::cudnnMathType_t::CUDNN_DEFAULT_MATH as u32;
const TENSOR: u32 = dnn_sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH as u32;

/// Handles of cuDNN and cuBLAS, and what was found out about each convolution.
pub(crate) struct Dnn {
    pub(super) dnn: usize,
    pub(super) blas: usize,
    pub(super) plans: HashMap<Key, Plan>,
    pub(super) routes: HashMap<RouteKey, Route>,
    /// The last is the current one; a captured graph may use the others.
    workspaces: Vec<Buffer>,
    pub(super) gemm: Option<Buffer>,
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
    pub(super) fn candidates(&self, key: &Key, [x, w, y, conv]: [usize; 4]) -> Vec<Candidate> {
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
    pub(super) fn workspace(&self, kind: Kind, [x, w, y, conv]: [usize; 4], algorithm: u32) -> Option<usize> {
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
    pub(super) fn convolve(&self, kind: Kind, plan: &Plan, [a, b, to]: [u64; 3]) -> std::result::Result<(), String> {
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

    pub(super) fn reserve(&mut self, cuda: &Cuda, bytes: usize) {
        let has = self.workspaces.last().map_or(0, |buffer| buffer.len * 4);
        if bytes > has {
            self.workspaces.push(Buffer::new(cuda.root_arena(), bytes.div_ceil(4), Type::F32));
        }
    }
}

pub(super) unsafe fn set_math(conv: usize, math: u32) {
    // SAFETY: the caller's descriptor is open, and the number is one of cuDNN's.
    unsafe {
        let math = std::mem::transmute::<u32, dnn_sys::cudnnMathType_t>(math.min(FMA));
        check("a convolution's math", dnn::set_convolution_math_type(conv as _, math));
    }
}
