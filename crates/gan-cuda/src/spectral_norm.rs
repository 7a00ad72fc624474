//! Spectral norm of kernels.
//!
//! W is a matrix with a row for each output. Power iteration finds v = Wᵀu/‖Wᵀu‖, u = Wv/‖Wv‖; then σ = uᵀWv. With u and v held fixed, a
//! gradient G of W/σ is G/σ − (Σ G∘W)/σ²·uvᵀ by W. The matrix product Wv is computed as W·Wᵀu/‖Wᵀu‖, so that both lengths are found in one
//! kernel.

use crate::classes::assert_f32;
use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut, Type};
use crate::step::spectral_values;
use crate::{Argument, Cuda};
use gan_kernels::backend::{LearnedSlopes, Memory};

/// Sides of a kernel, as the CUDA kernels read them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sides {
    before: i32,
    outputs: i32,
    after: i32,
}

impl Sides {
    /// Returns the sides after checking that the kernel and its values have them.
    #[track_caller]
    fn new(sides: [usize; 3], kernel: Slice<'_>, other: Slice<'_>, values: Slice<'_>) -> Self {
        let len: usize = sides.iter().product();
        assert!(kernel.len == len && other.len == len, "a kernel {sides:?} in {kernel:?} and {other:?}");
        assert!(values.len == spectral_values(sides), "values of a kernel {sides:?} in {values:?}");
        assert_f32(&[kernel, other, values]);
        let [before, outputs, after] = sides.map(|side| i32::try_from(side).expect("a side fits into 32 bits"));
        Self { before, outputs, after }
    }
}

impl Cuda {
    /// Does what [`StepBackend::spectral_norm`](crate::step::StepBackend::spectral_norm) says.
    pub(crate) fn spectral_norm(
        &self,
        sides: [usize; 3],
        kernel: Slice<'_>,
        direction: SliceMut<'_>,
        iterates: bool,
        to: SliceMut<'_>,
        values: SliceMut<'_>,
    ) {
        let [before, outputs, after] = sides;
        let by = Argument::of(Sides::new(sides, kernel, to.read(), values.read()));
        assert!(direction.len == outputs && direction.of == Type::F32, "a direction of {sides:?} in {direction:?}");
        let columns = before * after;
        let v = values.read().advanced(1 + outputs..values.len);
        let product = self.buffer(outputs, Type::F32);
        let product = self.slice(&product);
        let block = Shape { grid: (1, 1, 1), block: (256, 1, 1), shared: 0 };
        let across = Shape { grid: (columns.div_ceil(32) as u32, 1, 1), ..block };
        self.launch("spectral_columns", across, arguments![by, kernel, &direction, v]);
        self.launch("spectral_rows", Shape::thread_rows(outputs, columns), arguments![by, kernel, v, product]);
        self.launch("spectral_finish", block, arguments![by, i32::from(iterates), product, &direction, &values]);
        let all = arguments![kernel, &values, &to, kernel.len as u64];
        self.launch("spectral_divide", Shape::flat(kernel.len), all);
    }

    /// Does what [`StepBackend::spectral_norm_grad`](crate::step::StepBackend::spectral_norm_grad) says.
    pub(crate) fn spectral_norm_grad(
        &self,
        sides: [usize; 3],
        kernel: Slice<'_>,
        values: Slice<'_>,
        gradient: SliceMut<'_>,
    ) {
        let by = Argument::of(Sides::new(sides, kernel, gradient.read(), values));
        let mut along = self.buffer(1, Type::F32);
        // That of a slope that applies everywhere is the same sum.
        self.learned_slope_grad(None, kernel, gradient.read(), self.slice_mut(&mut along));
        let all = arguments![by, values, self.slice(&along), &gradient, kernel.len as u64];
        self.launch("spectral_grad", Shape::flat(kernel.len), all);
    }
}
