//! Matrix products by cuBLAS.

use super::sizes::Product;
use crate::Cuda;
use crate::driver::Products;
use crate::failure::check;
use crate::memory::{Buffer, Slice, SliceMut, Type};
use cudarc::cublas::{result as blas, sys as blas_sys};

/// Workspace of cuBLAS, in bytes: as large as NVIDIA recommends.
const GEMM_WORKSPACE: usize = 32 << 20;

/// Matrices in rows `ld` numbers apart, one of each sample.
#[derive(Clone, Copy)]
pub(crate) struct Matrices<'a> {
    /// All numbers from the first matrix' first one on.
    pub of: Slice<'a>,
    /// Number of numbers from one row to the next one.
    pub ld: usize,
    /// Number of numbers from one matrix to the next one.
    pub stride: usize,
}

/// A batch of products c `[m, n]` = a·b over k.
#[derive(Clone, Copy)]
pub(crate) struct BatchedProduct {
    pub what: &'static str,
    pub count: usize,
    /// m, n and k.
    pub sizes: [usize; 3],
    /// Whether a is stored as `[k, m]`, and b as `[n, k]`.
    pub transposed: [bool; 2],
    /// Whether c is added to.
    pub adds: bool,
}

fn operation(transposed: bool) -> blas_sys::cublasOperation_t {
    match transposed {
        true => blas_sys::cublasOperation_t::CUBLAS_OP_T,
        false => blas_sys::cublasOperation_t::CUBLAS_OP_N,
    }
}

fn format(of: Type) -> blas_sys::cudaDataType_t {
    match of {
        Type::F32 => blas_sys::cudaDataType_t::CUDA_R_32F,
        Type::Bf16 => blas_sys::cudaDataType_t::CUDA_R_16BF,
    }
}

fn compute(of: Type, strict: bool) -> blas_sys::cublasComputeType_t {
    match strict || of == Type::Bf16 {
        true => blas_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        false => blas_sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
    }
}

fn side(v: usize) -> i32 {
    i32::try_from(v).expect("a product's side")
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
        let compute = compute(a.of, strict);
        let one = 1f32;
        let zero = 0f32;
        let [m, n, k, lda, ldb, ldc] = [m, n, k, lda, ldb, ldc].map(side);
        self.timed(
            || format!("gemm {what} {m}x{n}x{k}"),
            [a, b, c].map(Slice::bytes).iter().sum(),
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

    /// Queues a batch of products of matrices in rows.
    pub(crate) fn batched(&self, by: BatchedProduct, a: Matrices<'_>, b: Matrices<'_>, c: Matrices<'_>) {
        let BatchedProduct { what, count, sizes: [m, n, k], transposed, adds } = by;
        let fits = |of: Matrices<'_>, [rows, columns]: [usize; 2], transposed: bool| {
            let [rows, columns] = if transposed { [columns, rows] } else { [rows, columns] };
            columns <= of.ld && (count - 1) * of.stride + (rows - 1) * of.ld + columns <= of.of.len
        };
        if count * m * n * k == 0 {
            return;
        }
        let [turned_a, turned_b] = transposed;
        assert!(
            fits(a, [m, k], turned_a) && fits(b, [k, n], turned_b) && fits(c, [m, n], false),
            "{count} products of {m}×{k} by {k}×{n}"
        );
        let compute = compute(a.of.of, self.products == Products::F32);
        let one = 1f32;
        let beta = if adds { 1f32 } else { 0f32 };
        self.timed(
            || format!("gemm {what} {count}x{m}x{n}x{k}"),
            [a, b, c].map(|matrices| matrices.of.bytes()).iter().sum(),
            || {
                let dnn = self.dnn();
                // SAFETY: the arrays have these sizes, as checked above. cuBLAS counts in columns, so that it sees cᵀ = bᵀ·aᵀ.
                check("matrix products", unsafe {
                    blas::gemm_strided_batched_ex(
                        dnn.blas as _,
                        operation(turned_b),
                        operation(turned_a),
                        side(n),
                        side(m),
                        side(k),
                        (&raw const one).cast(),
                        b.of.address as _,
                        format(b.of.of),
                        side(b.ld),
                        b.stride as _,
                        a.of.address as _,
                        format(a.of.of),
                        side(a.ld),
                        a.stride as _,
                        (&raw const beta).cast(),
                        c.of.address as _,
                        format(c.of.of),
                        side(c.ld),
                        c.stride as _,
                        side(count),
                        compute,
                        blas_sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
                    )
                });
            },
        );
    }
}
