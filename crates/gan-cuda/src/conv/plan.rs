//! The choice of cuDNN's algorithm for a convolution, and its launch.

use super::dnn::{Dnn, Key, Plan, set_math};
use super::sizes::Sizes;
use super::{Kind, LARGEST};
use crate::driver::Choice;
use crate::failure::check;
use crate::launch::Shape;
use crate::memory::{Slice, SliceMut, Type};
use crate::{Argument, Cuda};
use cudarc::cudnn::{result as dnn, sys as dnn_sys};
use cudarc::driver::result as driver;

impl Cuda {
    /// Queues a convolution in its kernels' sizes.
    pub(super) fn convolve(&self, kind: Kind, sizes: Sizes, strict: bool, [a, b]: [Slice<'_>; 2], to: &SliceMut<'_>) {
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
            let Sizes { n, h, w, c, oh, ow, o, kh, kw, groups, .. } = sizes;
            let how = match plan {
                Plan::Direct => "loops".into(),
                Plan::Dnn { algorithm, math, workspace, .. } => format!("a{algorithm} m{math} ws{workspace}"),
            };
            format!("conv {kind:?} n{n} {h}x{w}x{c}->{oh}x{ow}x{o} k{kh}x{kw} g{groups} {how}")
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
        self.timed(name, [a, b, to.read()].map(Slice::bytes).iter().sum(), || {
            let dnn = self.dnn();
            check("a convolution", dnn.convolve(kind, &plan, [a.address, b.address, to.address]));
        });
    }

    /// Returns how a convolution is computed; at first use the candidates are tried, because the heuristics may propose what fails.
    pub(super) fn plan(&self, key: Key) -> Plan {
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
            let [o, c] = [s.o, s.c / s.groups];
            dnn::set_filter4d_descriptor(w, of, nhwc, [o, c, s.kh, s.kw]).ok()?;
            let float = dnn_sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
            dnn::set_convolution2d_descriptor(conv, s.top, s.left, s.down, s.across, s.dh, s.dw, mode, float).ok()?;
            if s.groups > 1 {
                dnn::set_convolution_group_count(conv, s.groups).ok()?;
            }
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
}
