//! Optimizer steps and running averages.

use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut, Type};
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
        if x.len == 0 {
            return 0.0;
        }
        let blocks = Shape::flat(x.len).grid.0.min(256);
        let shape = Shape { grid: (blocks, 1, 1), ..Shape::flat(x.len) };
        let partial = self.buffer(2 * blocks as usize, Type::F32);
        let to = self.slice(&partial);
        self.launch("squares", shape, arguments![x, x.len as u64, to]);
        let halves = self.download(to);
        // The kernel writes f64.
        let whole = |pair: &[f32]| f64::from_bits(u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32);
        halves.chunks_exact(2).map(whole).sum()
    }
}
