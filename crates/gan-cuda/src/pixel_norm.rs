//! Pixel norm: y = x·r with r = 1/√(E[x²] + ε), where the mean E is taken over the channels of a pixel.
//!
//! With P(u) = u − r²·E[xu]·x, dx = r·P(g) and the tangent is r·P(t). For an adjoint τ̄ of the tangent, with a = r·E[xt], b = r·E[xτ̄] and
//! K = E[τ̄t] − ab: t̄ = r·P(τ̄) and x̄ = −r²·(a·τ̄ + b·t) + r³·(2ab − K)·x. An adjoint of the values adds the ordinary gradient.

use crate::Cuda;
use crate::derivatives::{addresses, assert_adjoints};
use crate::launch::{Shape, arguments};
use crate::memory::{Slice, SliceMut};
use gan_kernels::backend::JvpAdjoints;

impl Cuda {
    /// Returns the end of a kernel's name, its threads and the number of rows of `channels` numbers in `x`.
    #[track_caller]
    fn rows_of(x: Slice<'_>, channels: usize, addresses: &[u64]) -> (&'static str, Shape, u64) {
        let rows = x.len / channels.max(1);
        assert_eq!(rows * channels, x.len, "rows of {channels} channels");
        let (end, lanes) = Self::lanes(x.of, channels, addresses);
        (end, Shape::thread_rows(rows, channels / lanes), rows as u64)
    }

    pub(crate) fn norm_of_pixels(&self, channels: usize, eps: f64, x: Slice<'_>, y: &SliceMut<'_>) {
        assert!(x.len == y.len && x.of == y.of, "a norm's output is as large as its input");
        let (end, shape, rows) = Self::rows_of(x, channels, &[x.address, y.address]);
        self.launch(&format!("pixel_norm_{end}"), shape, arguments![x, y, rows, channels, eps as f32]);
    }

    pub(crate) fn project_pixels(&self, channels: usize, eps: f64, x: Slice<'_>, u: &SliceMut<'_>) {
        assert!(x.len == u.len && x.of == u.of, "a gradient has the size of its values");
        let (end, shape, rows) = Self::rows_of(x, channels, &[x.address, u.address]);
        self.launch(&format!("pixel_norm_grad_{end}"), shape, arguments![x, u, rows, channels, eps as f32]);
    }

    pub(crate) fn bend_pixels(&self, channels: usize, eps: f64, adjoints: &JvpAdjoints<Self>, to: &[SliceMut<'_>; 2]) {
        let JvpAdjoints { x, tangent, of_values, of_tangent } = *adjoints;
        assert_adjoints(adjoints, to, x.len);
        let (end, shape, rows) = Self::rows_of(x, channels, &addresses(adjoints, to));
        let all = arguments![x, tangent, of_tangent, of_values, &to[0], &to[1], rows, channels, eps as f32];
        self.launch(&format!("pixel_norm_jvp_grad_{end}"), shape, all);
    }
}
