//! Sizes of convolutions, as their kernels read them.

use crate::memory::{Slice, Type};
use gan_kernels::Problem;

/// Sizes of a convolution as its kernels read them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sizes {
    pub n: i32,
    pub h: i32,
    pub w: i32,
    pub c: i32,
    pub oh: i32,
    pub ow: i32,
    pub o: i32,
    pub kh: i32,
    pub kw: i32,
    pub top: i32,
    pub left: i32,
    pub down: i32,
    pub across: i32,
    pub dh: i32,
    pub dw: i32,
    pub groups: i32,
}

impl Sizes {
    pub fn x_len(&self) -> usize {
        [self.n, self.h, self.w, self.c].iter().map(|v| *v as usize).product()
    }

    pub fn y_len(&self) -> usize {
        [self.n, self.oh, self.ow, self.o].iter().map(|v| *v as usize).product()
    }

    pub fn w_len(&self) -> usize {
        [self.o, self.kh, self.kw].iter().map(|v| *v as usize).product::<usize>() * self.window_channels()
    }

    /// Returns the number of channels that an output reads: those of its group.
    pub fn window_channels(&self) -> usize {
        (self.c / self.groups) as usize
    }
}

/// Where a convolution's arrays lie in its kernels' sizes.
pub(super) struct Mapped {
    pub sizes: Sizes,
    /// Row and column of the kernel's image at which the caller's begins, if it must be copied.
    pub copies_x: Option<[i32; 2]>,
    pub copies_y: bool,
}

/// Matrix product that a convolution is.
pub(super) struct Product {
    pub rows: usize,
    pub outputs: usize,
    pub inner: usize,
}

#[track_caller]
pub(super) fn assert_lengths(p: &Problem, x: Slice<'_>, y: Slice<'_>) {
    assert_eq!(x.len, p.samples * p.input_len(), "a convolution's images for {p:?}");
    assert_eq!(y.len, p.samples * p.output_len(), "a convolution's outputs for {p:?}");
    assert_eq!(x.of, y.of, "a convolution has one number format");
}

pub(super) fn image(p: &Problem) -> [usize; 4] {
    [p.samples, p.input[0], p.input[1], p.pitch()[0]]
}

pub(super) fn output(p: &Problem) -> [usize; 4] {
    [p.samples, p.output[0], p.output[1], p.pitch()[1]]
}

pub(super) fn kernel_image(s: &Sizes) -> [usize; 4] {
    [s.n, s.h, s.w, s.c].map(|v| v as usize)
}

pub(super) fn kernel_output(s: &Sizes) -> [usize; 4] {
    [s.n, s.oh, s.ow, s.o].map(|v| v as usize)
}

/// Returns the product that a problem is, if it is one.
pub(super) fn product(p: &Problem) -> Option<Product> {
    if p.groups > 1 || p.spec.padding.total() != [0, 0] {
        return None;
    }
    let each_pixel = p.kernel == [1, 1] && p.spec.stride == [1, 1] && p.input == p.output;
    let whole_image = p.output == [1, 1] && p.kernel == p.input && p.spec.dilation == [1, 1];
    if !each_pixel && !whole_image {
        return None;
    }
    let rows = p.samples * p.positions();
    Some(Product { rows, outputs: p.out_channels, inner: p.in_channels * p.kernel[0] * p.kernel[1] })
}

/// Returns a number of values that fits into 32 bits, in which kernels count pixels.
pub(crate) fn small_count(len: usize) -> u64 {
    assert!(len < 1 << 32, "{len} numbers in one kernel: use a smaller batch");
    len as u64
}

/// Returns the product over windows that a problem of one group is.
pub(super) fn windows(p: &Problem) -> Product {
    let inner = p.in_channels * p.kernel[0] * p.kernel[1];
    Product { rows: p.samples * p.positions(), outputs: p.out_channels, inner }
}

/// Returns a problem's own sizes.
pub(super) fn plain_sizes(p: &Problem) -> Sizes {
    let small = |v: usize| i32::try_from(v).expect("a convolution's side fits into 32 bits");
    let before = p.spec.padding.before();
    let [channels, outputs] = p.pitch();
    Sizes {
        n: small(p.samples),
        h: small(p.input[0]),
        w: small(p.input[1]),
        c: small(channels),
        oh: small(p.output[0]),
        ow: small(p.output[1]),
        o: small(outputs),
        kh: small(p.kernel[0]),
        kw: small(p.kernel[1]),
        top: small(before[0]),
        left: small(before[1]),
        down: small(p.spec.stride[0]),
        across: small(p.spec.stride[1]),
        dh: small(p.spec.dilation[0]),
        dw: small(p.spec.dilation[1]),
        groups: small(p.groups),
    }
}

/// Returns the sizes in which cuDNN computes a problem.
pub(super) fn map(p: &Problem, of: Type, strict: bool) -> Mapped {
    // Zeros at the end of the channels would belong to no group.
    let align = if strict || p.groups > 1 { 1 } else { 16 / of.bytes() };
    let small = |v: usize| i32::try_from(v).expect("a convolution's side fits into 32 bits");
    let reach = [0, 1].map(|i| p.spec.dilation[i] * (p.kernel[i] - 1) + 1);
    let before = p.spec.padding.before();
    let even = (0..2).all(|i| {
        let padded = p.input[i] + 2 * before[i];
        padded >= reach[i] && (padded - reach[i]) / p.spec.stride[i] + 1 == p.output[i]
    });
    let needed = [0, 1].map(|i| (p.output[i].max(1) - 1) * p.spec.stride[i] + reach[i]);
    let input = if even { p.input } else { needed };
    let [top, left] = if even { before } else { [0, 0] };
    let [channels, outputs] = p.pitch();
    let [c, o] = [channels, outputs].map(|channels| channels.next_multiple_of(align));
    let sizes = Sizes {
        h: small(input[0]),
        w: small(input[1]),
        c: small(c),
        o: small(o),
        top: small(top),
        left: small(left),
        ..plain_sizes(p)
    };
    let at = if even { [0, 0] } else { before.map(small) };
    let copies_x = (!even || c != channels).then_some(at);
    Mapped { sizes, copies_x, copies_y: o != outputs }
}
