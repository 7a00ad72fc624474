//! Convolutions by cuDNN's legacy interface over channels-last arrays, matrix products by cuBLAS, and plain loops for the rest.
//!
//! The parameters keep weights as `[O, C, kh, kw]`; here they are packed to `[O, kh, kw, C]` in the activations' format. Channels are padded
//! with zeros to a multiple of 16 bytes, without which tensor cores cannot load them. cuDNN pads an image evenly; an image whose padding is
//! uneven is copied with its zeros first. A window as large as its image, and a window of one pixel, is a matrix product. Every other
//! convolution is one after its windows were copied to rows ([`Route::Rows`]): that is the better way for images of a few channels, which
//! cuDNN would pad to several times their size, and the way for what cuDNN does not take. A convolution of several groups is one of cuDNN, or
//! plain loops.
//!
//! In reading order: this file (the ways of a convolution), `sizes`, `weights` (packed weights), `dnn` (cuDNN's
//! calls), `plan` (the choice of an algorithm), `gemm`.

mod dnn;
mod gemm;
mod plan;
mod sizes;
mod weights;

pub(crate) use dnn::Dnn;
pub(crate) use gemm::{BatchedProduct, Matrices};
pub(crate) use sizes::small_count;
pub use weights::WeightCache;

use crate::driver::{Choice, Products};
use crate::launch::Shape;
use crate::memory::{Buffer, Slice, SliceMut, Type};
use crate::{Argument, Cuda};
use dnn::{Key, Plan};
use gan_kernels::backend::{ConvCall, Memory};
use gan_kernels::{Precision, Problem};
use sizes::{
    Product, Sizes, assert_lengths, image, kernel_image, kernel_output, map, output, plain_sizes, product, windows,
};

/// What a convolution computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Forward,
    InputGrad,
    WeightGrad,
}

/// Way of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// By cuDNN, or by plain loops if it does not take the convolution.
    Direct,
    /// As a matrix product over its windows.
    Rows,
}

/// A convolution for which a way is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RouteKey {
    kind: Kind,
    sizes: Sizes,
    of: Type,
    strict: bool,
    choice: Choice,
}

/// Largest workspace of an algorithm, in bytes.
const LARGEST: usize = 1 << 30;

impl Cuda {
    fn is_strict(&self, precision: Precision, of: Type) -> bool {
        of == Type::F32 && (self.products == Products::F32 || precision == Precision::F32Accurate)
    }

    pub(crate) fn forward(&self, call: &ConvCall<Self>, x: Slice<'_>, y: SliceMut<'_>) {
        let p = &call.problem;
        assert_lengths(p, x, y.read());
        let strict = self.is_strict(call.precision, x.of);
        if let Some(product) = product(p) {
            return self.with_packed(call, x.of, p.out_channels, p.in_channels, |weights| {
                self.gemm_forward(&product, x, weights, &y, strict);
            });
        }
        self.by_route(Kind::Forward, p, x.of, strict, |route| match route {
            Route::Direct => self.forward_direct(call, x, &y, strict),
            Route::Rows => self.with_packed(call, x.of, p.out_channels, p.in_channels, |weights| {
                let columns = self.im2col(p, x);
                self.gemm_forward(&windows(p), self.slice(&columns), weights, &y, strict);
            }),
        });
    }

    fn forward_direct(&self, call: &ConvCall<Self>, x: Slice<'_>, y: &SliceMut<'_>, strict: bool) {
        let p = &call.problem;
        let m = map(p, x.of, strict);
        let padded = m.copies_x.map(|at| self.window(x, image(p), kernel_image(&m.sizes), at.map(|v| -v), x.of));
        let x = padded.as_ref().map_or(x, |buffer| self.slice(buffer));
        self.with_packed(call, x.of, m.sizes.o as usize, m.sizes.window_channels(), |weights| {
            if !m.copies_y {
                return self.convolve(Kind::Forward, m.sizes, strict, [x, weights], y);
            }
            let mut wide = self.buffer(m.sizes.y_len(), y.of);
            self.convolve(Kind::Forward, m.sizes, strict, [x, weights], &self.slice_mut(&mut wide));
            self.window_to(self.slice(&wide), kernel_output(&m.sizes), y, output(p), [0, 0]);
        });
    }

    pub(crate) fn input_grad(&self, call: &ConvCall<Self>, y: Slice<'_>, x: SliceMut<'_>) {
        let p = &call.problem;
        assert_lengths(p, x.read(), y);
        let strict = self.is_strict(call.precision, y.of);
        if let Some(product) = product(p) {
            return self.with_packed(call, y.of, p.out_channels, p.in_channels, |weights| {
                self.gemm_input_grad(&product, y, weights, &x, strict);
            });
        }
        self.by_route(Kind::InputGrad, p, y.of, strict, |route| match route {
            Route::Direct => self.input_grad_direct(call, y, &x, strict),
            Route::Rows => self.with_packed(call, y.of, p.out_channels, p.in_channels, |weights| {
                let product = windows(p);
                // Each pixel's sum of windows is taken before rounding.
                let mut columns = self.buffer(product.rows * product.inner, Type::F32);
                self.gemm_input_grad(&product, y, weights, &self.slice_mut(&mut columns), strict);
                let each = if p.in_channels == 3 { 3 } else { 1 + 3 * usize::from(p.in_channels.is_multiple_of(4)) };
                let name = format!("col2im_{}_{each}", x.of.name());
                let columns = self.slice(&columns);
                let count = small_count(x.len / each);
                let all = &mut [Argument::of(plain_sizes(p)), columns.into(), (&x).into(), count.into()];
                self.launch(&name, Shape::flat(x.len / each), all);
            }),
        });
    }

    fn input_grad_direct(&self, call: &ConvCall<Self>, y: Slice<'_>, x: &SliceMut<'_>, strict: bool) {
        let p = &call.problem;
        let m = map(p, y.of, strict);
        let padded = m.copies_y.then(|| self.window(y, output(p), kernel_output(&m.sizes), [0, 0], y.of));
        let y = padded.as_ref().map_or(y, |buffer| self.slice(buffer));
        self.with_packed(call, y.of, m.sizes.o as usize, m.sizes.window_channels(), |weights| {
            let Some(at) = m.copies_x else {
                return self.convolve(Kind::InputGrad, m.sizes, strict, [y, weights], x);
            };
            let mut wide = self.buffer(m.sizes.x_len(), x.of);
            self.convolve(Kind::InputGrad, m.sizes, strict, [y, weights], &self.slice_mut(&mut wide));
            self.window_to(self.slice(&wide), kernel_image(&m.sizes), x, image(p), at);
        });
    }

    pub(crate) fn weight_grad(&self, p: &Problem, precision: Precision, x: Slice<'_>, dy: Slice<'_>, dw: SliceMut<'_>) {
        assert_lengths(p, x, dy);
        assert!(dw.len == p.weights() && dw.of == Type::F32, "a weight gradient for {p:?}");
        let strict = self.is_strict(precision, x.of);
        self.beside(|cuda| {
            if let Some(product) = product(p) {
                return cuda.weight_grad_product(p, &product, x, dy, &dw, strict);
            }
            cuda.by_route(Kind::WeightGrad, p, x.of, strict, |route| match route {
                Route::Direct => cuda.weight_grad_direct(p, x, dy, &dw, strict),
                Route::Rows => {
                    let columns = cuda.im2col(p, x);
                    cuda.weight_grad_product(p, &windows(p), cuda.slice(&columns), dy, &dw, strict);
                }
            });
        });
    }

    fn weight_grad_product(
        &self,
        p: &Problem,
        product: &Product,
        x: Slice<'_>,
        dy: Slice<'_>,
        dw: &SliceMut<'_>,
        strict: bool,
    ) {
        let taps = p.kernel[0] * p.kernel[1];
        if taps == 1 {
            return self.gemm_weight_grad(product, x, dy, dw, strict);
        }
        let mut packed = self.buffer(dw.len, Type::F32);
        self.gemm_weight_grad(product, x, dy, &self.slice_mut(&mut packed), strict);
        self.transpose(self.slice(&packed), dw, [p.out_channels; 2], taps, p.in_channels, p.in_channels, taps);
    }

    fn weight_grad_direct(&self, p: &Problem, x: Slice<'_>, dy: Slice<'_>, dw: &SliceMut<'_>, strict: bool) {
        let taps = p.kernel[0] * p.kernel[1];
        let m = map(p, x.of, strict);
        let wide_x = m.copies_x.map(|at| self.window(x, image(p), kernel_image(&m.sizes), at.map(|v| -v), x.of));
        let wide_y = m.copies_y.then(|| self.window(dy, output(p), kernel_output(&m.sizes), [0, 0], dy.of));
        let x = wide_x.as_ref().map_or(x, |buffer| self.slice(buffer));
        let dy = wide_y.as_ref().map_or(dy, |buffer| self.slice(buffer));
        let mut packed = self.buffer(m.sizes.w_len(), x.of);
        self.convolve(Kind::WeightGrad, m.sizes, strict, [x, dy], &self.slice_mut(&mut packed));
        let packed = self.slice(&packed);
        self.transpose(packed, dw, [p.pitch()[1]; 2], taps, p.in_channels, m.sizes.window_channels(), taps);
    }

    /// Copies an image's windows to rows.
    fn im2col(&self, p: &Problem, x: Slice<'_>) -> Buffer {
        let product = windows(p);
        let mut columns = self.buffer(product.rows * product.inner, x.of);
        let to = self.slice_mut(&mut columns);
        if p.in_channels <= 4 {
            let count = product.rows * p.kernel[0];
            let all = &mut [Argument::of(plain_sizes(p)), x.into(), (&to).into(), small_count(count).into()];
            self.launch(&format!("im2col_few_{}", x.of.name()), Shape::flat(count), all);
            return columns;
        }
        let (end, lanes) = Self::lanes(x.of, p.in_channels, &[x.address, to.address]);
        let count = small_count(to.len / lanes);
        let all = &mut [Argument::of(plain_sizes(p)), x.into(), (&to).into(), count.into()];
        self.launch(&format!("im2col_{end}"), Shape::flat(to.len / lanes), all);
        columns
    }

    /// Runs a convolution in the way that was chosen for it; at first use it may be run in all ways, to choose the fastest.
    fn by_route(&self, kind: Kind, p: &Problem, of: Type, strict: bool, run: impl Fn(Route)) {
        if p.groups > 1 || p.samples == 0 || p.positions() == 0 {
            // Groups have one way. Over no windows there is only the weights' gradient.
            return run(Route::Direct);
        }
        let key = RouteKey { kind, sizes: plain_sizes(p), of, strict, choice: self.choice };
        let known = self.dnn().routes.get(&key).copied();
        if let Some(route) = known {
            return run(route);
        }
        let product = windows(p);
        let bytes = 4 * product.rows * product.inner;
        let route = if bytes > LARGEST / 2 {
            Route::Direct
        } else {
            match self.choice {
                Choice::Rows => Route::Rows,
                Choice::Loops => Route::Direct,
                Choice::Timed => {
                    let time = |route| {
                        run(route);
                        self.synchronize();
                        (0..3).map(|_| self.time(|| run(route))).fold(f32::INFINITY, f32::min)
                    };
                    if time(Route::Direct) <= time(Route::Rows) { Route::Direct } else { Route::Rows }
                }
                Choice::Heuristic => {
                    let m = map(p, of, strict);
                    let sizes = m.sizes;
                    let plan = self.plan(Key { kind, sizes, of, strict, choice: self.choice });
                    let narrow = p.in_channels < 16 / of.bytes();
                    if narrow || matches!(plan, Plan::Direct) { Route::Rows } else { Route::Direct }
                }
            }
        };
        self.dnn().routes.insert(key, route);
        run(route);
    }

    /// Returns the ways that were chosen, for people who measure.
    pub fn routes(&self) -> Vec<String> {
        let dnn = self.dnn();
        let mut all: Vec<String> = dnn.routes.iter().map(|(key, route)| format!("{route:?} for {key:?}")).collect();
        all.sort();
        all
    }
}
