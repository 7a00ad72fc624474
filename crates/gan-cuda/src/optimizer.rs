//! Optimizer steps and running averages.

use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut, Type};
use crate::step::{StepBackend, whole};
use crate::{Argument, Cuda};
use gan_kernels::backend::{Memory, Optimizers};
use gan_kernels::update::{Epsilon, Step};

/// Coefficients that do not change from step to step, as the kernel reads them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Update {
    first_decay: f32,
    second_decay: f32,
    epsilon: f32,
    inside: i32,
    has_first: i32,
}

impl Cuda {
    /// Updates all numbers of a variable from the sum of one or two gradients. With `coefficients` in device memory, a learning rate and a
    /// factor of the root that change from step to step are read there: a captured step can then be replayed.
    #[allow(clippy::too_many_arguments)]
    pub fn update(
        &self,
        step: &Step,
        values: SliceMut<'_>,
        gradients: [Option<Slice<'_>>; 2],
        first: Option<SliceMut<'_>>,
        second: SliceMut<'_>,
        coefficients: Option<Slice<'_>>,
    ) {
        let n = values.len;
        let fits = |len: usize| assert_eq!(len, n, "an update has one number of each kind for each of a variable's");
        gradients.iter().flatten().for_each(|g| fits(g.len));
        fits(second.len);
        first.iter().for_each(|first| fits(first.len));
        assert!(gradients[0].is_some() && values.of == Type::F32, "an update needs a gradient and f32 values");
        let by = Update {
            first_decay: step.first_decay.unwrap_or(0.0) as f32,
            second_decay: step.second_decay as f32,
            epsilon: step.epsilon as f32,
            inside: i32::from(step.placement == Epsilon::InsideRoot),
            has_first: i32::from(first.is_some() && step.first_decay.is_some()),
        };
        let [gradient, more] = gradients;
        let first = first.as_ref().map_or(0u64, |first| first.address);
        let of = |gradient: Option<Slice<'_>>| gradient.map_or(0, |g| g.address);
        let (end, lanes) = Self::lanes(Type::F32, n, &[values.address, of(gradient), of(more), first, second.address]);
        self.launch(
            &format!("update_{end}"),
            Shape::flat(n / lanes),
            &mut [
                (&values).into(),
                gradient.into(),
                more.into(),
                first.into(),
                (&second).into(),
                (n as u64).into(),
                Argument::of(by),
                coefficients.into(),
                (step.scale as f32).into(),
                (step.root_scale as f32).into(),
            ],
        );
    }
}

impl Cuda {
    /// Writes the sums of the squares of parts of x, which are f64.
    pub(crate) fn partial_squares(&self, x: Slice<'_>, to: SliceMut<'_>) {
        assert!(to.of == Type::F32 && to.len == <Self as StepBackend>::SQUARES, "squares of {x:?} in {to:?}");
        if x.of != Type::F32 {
            let mut wide = self.buffer(x.len, Type::F32);
            self.convert(x, &self.slice_mut(&mut wide));
            return self.partial_squares(self.slice(&wide), to);
        }
        let most = to.len / 2;
        let blocks = Shape::flat(x.len).grid.0.clamp(1, most as u32);
        if (blocks as usize) < most {
            self.clear(&to);
        }
        let shape = Shape { grid: (blocks, 1, 1), ..Shape::flat(x.len) };
        self.launch("squares", shape, arguments![x, x.len as u64, to.read()]);
    }

    /// Returns the sum of what [`Cuda::partial_squares`] has written.
    pub(crate) fn sum_of_partials(&self, from: Slice<'_>) -> f64 {
        self.download(from).chunks_exact(2).map(whole).sum()
    }
}

impl Optimizers for Cuda {
    fn optimizer_step(
        &self,
        step: &Step,
        values: SliceMut<'_>,
        gradient: Slice<'_>,
        first: Option<SliceMut<'_>>,
        second: SliceMut<'_>,
    ) {
        self.update(step, values, [Some(gradient), None], first, second, None);
    }

    fn follow(&self, weight: f32, x: Slice<'_>, average: SliceMut<'_>) {
        assert_eq!(x.len, average.len, "an average has the size of its values");
        self.launch("follow", Shape::flat(x.len), arguments![x, &average, x.len as u64, weight]);
    }

    fn sum_of_squares(&self, x: Slice<'_>) -> f64 {
        let mut partial = self.buffer(<Self as StepBackend>::SQUARES, Type::F32);
        self.partial_squares(x, self.slice_mut(&mut partial));
        self.sum_of_partials(self.slice(&partial))
    }
}
