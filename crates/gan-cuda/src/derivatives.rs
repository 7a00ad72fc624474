//! Derivatives of directional derivatives through layers whose slopes change with the values.

use crate::Cuda;
use crate::backend::{code, input_code};
use crate::conv::small_count;
use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut};
use gan_kernels::backend::{Activation, Derivatives, InputActivation, JvpAdjoints, PixelMap, size};

/// Checks that adjoints before a layer have the sizes and the format of its values x, and those after it `after` numbers.
#[track_caller]
pub(crate) fn assert_adjoints(adjoints: &JvpAdjoints<Cuda>, to: &[SliceMut<'_>; 2], after: usize) {
    let JvpAdjoints { x, tangent, of_values, of_tangent } = *adjoints;
    let fits = |of: Slice<'_>, len: usize| of.len == len && of.of == x.of;
    assert!(fits(tangent, x.len) && to.iter().all(|to| fits(to.read(), x.len)), "adjoints before a layer: {to:?}");
    assert!(
        fits(of_tangent, after) && of_values.is_none_or(|g| fits(g, after)),
        "adjoints after a layer: {of_tangent:?}"
    );
}

/// Returns the addresses of all arrays of a layer's adjoints, for the choice of lanes.
pub(crate) fn addresses(adjoints: &JvpAdjoints<Cuda>, to: &[SliceMut<'_>; 2]) -> [u64; 6] {
    let JvpAdjoints { x, tangent, of_values, of_tangent } = *adjoints;
    let of_values = of_values.map_or(0, |g| g.address);
    [x.address, tangent.address, of_tangent.address, of_values, to[0].address, to[1].address]
}

impl Cuda {
    fn act_jvp_grad(&self, act: (i32, f32), adjoints: &JvpAdjoints<Self>, to: [SliceMut<'_>; 2]) {
        let JvpAdjoints { x, tangent, of_values, of_tangent } = *adjoints;
        assert_adjoints(adjoints, &to, x.len);
        if x.len == 0 {
            return;
        }
        let (end, lanes) = Self::lanes(x.of, x.len, &addresses(adjoints, &to));
        let all = arguments![x, tangent, of_tangent, of_values, &to[0], &to[1], x.len as u64, act.0, act.1];
        self.launch(&format!("act_jvp_grad_{end}"), Shape::flat(x.len / lanes), all);
    }
}

impl Derivatives for Cuda {
    const HAS_DERIVATIVES: bool = true;

    fn activation_jvp_grad(&self, act: Activation, adjoints: &JvpAdjoints<Self>, to: [SliceMut<'_>; 2]) {
        assert_eq!(act, Activation::Tanh, "the slopes of other activations do not change with the values");
        self.act_jvp_grad(code(act), adjoints, to);
    }

    fn input_activation_jvp_grad(&self, act: InputActivation, adjoints: &JvpAdjoints<Self>, to: [SliceMut<'_>; 2]) {
        self.act_jvp_grad(input_code(act), adjoints, to);
    }

    fn global_max_pool_jvp(&self, map: &PixelMap, [x, t]: [Slice<'_>; 2], [y, of_tangents]: [SliceMut<'_>; 2]) {
        let [h, w, c] = map.input;
        assert!(x.len == map.samples * size(map.input) && t.len == x.len && t.of == x.of, "a maximum of {x:?}");
        assert!(y.len == map.samples * c && of_tangents.len == y.len && y.of == x.of, "a maximum {y:?}");
        let all = arguments![x, t, &y, &of_tangents, small_count(y.len), h * w, c];
        self.launch(&format!("max_pool_jvp_{}", x.of.name()), Shape::flat(y.len), all);
    }
}
