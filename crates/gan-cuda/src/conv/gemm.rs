//! Matrix products by cuBLAS.

use super::sizes::Product;
use crate::Cuda;
use crate::driver::check;
use crate::memory::{Buffer, Slice, SliceMut, Type};
use cudarc::cublas::{result as blas, sys as blas_sys};

/// Workspace of cuBLAS, in bytes: as large as NVIDIA recommends.
const GEMM_WORKSPACE: usize = 32 << 20;

impl Cuda {
    pub(crate) fn set_gemm_workspace(&self) {
        let buffer = Buffer::new(self.root_arena(), GEMM_WORKSPACE / 4, Type::F32);
        let mut dnn = self.dnn();
        // SAFETY: the workspace lives as long as the handle.
        let status = unsafe { blas_sys::cublasSetWorkspace_v2(dnn.blas as _, buffer.address as _, GEMM_WORKSPACE) };
        check("cuBLAS' workspace", status.result());
        dnn.gemm = Some(buffer);
    }

    pub(super) fn gemm_forward(&self, p: &Product, x: Slice<'_>, w: Slice<'_>, y: &SliceMut<'_>, strict: bool) {
        // Column-major, as cuBLAS counts: yᵀ [O, N] = (wᵀ)ᵀ·xᵀ.
        let [o, n, k] = [p.outputs, p.rows, p.inner];
        self.gemm("forward", [true, false], [o, n, k], (w, k), (x, k), (y.read(), o), strict);
    }

    pub(super) fn gemm_input_grad(&self, p: &Product, y: Slice<'_>, w: Slice<'_>, x: &SliceMut<'_>, strict: bool) {
        // xᵀ [K, N] = wᵀ·yᵀ.
        let [o, n, k] = [p.outputs, p.rows, p.inner];
        self.gemm("input grad", [false, false], [k, n, o], (w, k), (y, o), (x.read(), k), strict);
    }

    pub(super) fn gemm_weight_grad(&self, p: &Product, x: Slice<'_>, dy: Slice<'_>, dw: &SliceMut<'_>, strict: bool) {
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
