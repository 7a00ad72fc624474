//! Optimizer steps and running averages.

use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut, Type};
use crate::step::{StepBackend, whole};
use crate::{Argument, Cuda};
use gan_kernels::backend::{Memory, Optimizers};
use gan_kernels::update::{Epsilon, Step};

/// An optimizer's step, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Update {
    first_decay: f32,
    second_decay: f32,
    scale: f32,
    root_scale: f32,
    epsilon: f32,
    inside: i32,
    has_first: i32,
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
        let n = values.len;
        let fits = |len: usize| assert_eq!(len, n, "an update has one number of each kind for each of a variable's");
        [gradient.len, second.len].into_iter().for_each(fits);
        first.iter().for_each(|first| fits(first.len));
        assert!(gradient.of == Type::F32 && values.of == Type::F32, "an update is one of f32 values");
        let by = Update {
            first_decay: step.first_decay.unwrap_or(0.0) as f32,
            second_decay: step.second_decay as f32,
            scale: step.scale as f32,
            root_scale: step.root_scale as f32,
            epsilon: step.epsilon as f32,
            inside: i32::from(step.placement == Epsilon::InsideRoot),
            has_first: i32::from(first.is_some() && step.first_decay.is_some()),
        };
        let first = first.as_ref().map(SliceMut::read);
        let addresses = [values.address, gradient.address, first.map_or(0, |first| first.address), second.address];
        let (end, lanes) = Self::lanes(Type::F32, n, &addresses);
        let all = arguments![&values, gradient, first, &second, n as u64, Argument::of(by)];
        self.launch(&format!("update_{end}"), Shape::flat(n / lanes), all);
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
