//! Convolutions, activations and layouts of the fused engine.

use crate::Cuda;
use crate::conv::{WeightCache, small_count};
use crate::launch::{Shape, arguments};
use crate::memory::{Buffer, Slice, SliceMut, Type};
use gan_kernels::backend::{Activation, Backend, ConvCall, InputActivation, Memory};
use gan_kernels::fused::Reuse;
use gan_kernels::{Precision, Problem};

/// Returns an activation's number in the kernels, and its slope.
pub(crate) fn code(act: Activation) -> (i32, f32) {
    match act {
        Activation::Identity => (0, 0.0),
        Activation::LeakyRelu(slope) => (1, slope),
        Activation::Tanh => (2, 0.0),
    }
}

/// Returns an activation's number in the kernels, and its slope or factor.
pub(crate) fn input_code(act: InputActivation) -> (i32, f32) {
    match act {
        InputActivation::LeakyRelu(slope) => (1, slope),
        InputActivation::Sigmoid => (3, 0.0),
        InputActivation::Elu(alpha) => (4, alpha),
        InputActivation::Silu => (5, 0.0),
        InputActivation::Gelu => (6, 0.0),
    }
}

impl Type {
    /// Returns how many numbers a lane of 16 bytes has.
    fn lanes(self) -> usize {
        16 / self.bytes()
    }
}

impl Cuda {
    /// Returns the end of a kernel's name and its numbers per lane for arrays at `addresses` of which `len` numbers belong together.
    pub(crate) fn lanes(of: Type, len: usize, addresses: &[u64]) -> (&'static str, usize) {
        let wide = len.is_multiple_of(of.lanes()) && addresses.iter().all(|address| address.is_multiple_of(16));
        match (of, wide) {
            (Type::F32, false) => ("f32", 1),
            (Type::F32, true) => ("f32v", 4),
            (Type::Bf16, false) => ("bf16", 1),
            (Type::Bf16, true) => ("bf16v", 8),
        }
    }

    /// Launches an elementwise kernel that reads x and updates y, which have the same length.
    fn each(&self, name: &str, x: Slice<'_>, y: &SliceMut<'_>, act: (i32, f32)) {
        assert!(x.len == y.len && x.of == y.of, "{name} of arrays that differ: {x:?}, {y:?}");
        if x.len == 0 {
            return;
        }
        let (end, lanes) = Self::lanes(x.of, x.len, &[x.address, y.address]);
        let shape = Shape::flat(x.len / lanes);
        self.launch(&format!("{name}_{end}"), shape, arguments![x, y, x.len as u64, act.0, act.1]);
    }
}

impl Backend for Cuda {
    type WeightCache = WeightCache;

    const HAS_GROUPS: bool = true;
    const LINEARIZES: bool = true;

    fn weight_cache(&self, reuse: Reuse) -> WeightCache {
        WeightCache::new(reuse)
    }

    fn weights_changed(&self, cache: &WeightCache) {
        cache.changed();
    }

    fn run<R: Send>(&self, _: usize, pass: impl FnOnce() -> R + Send) -> R {
        pass()
    }

    fn channels_last(&self, x: Slice<'_>, channels: usize, pixels: usize) -> Buffer {
        let mut y = self.uninit(x.len);
        let samples = x.len / (channels * pixels).max(1);
        self.transpose(x, &self.slice_mut(&mut y), [samples; 2], channels, pixels, pixels, channels);
        y
    }

    fn channels_first(&self, x: Slice<'_>, channels: usize, pixels: usize, y: SliceMut<'_>) {
        let samples = x.len / (channels * pixels).max(1);
        self.transpose(x, &y, [samples; 2], pixels, channels, channels, pixels);
    }

    fn conv(&self, call: &ConvCall<Self>, x: Slice<'_>, y: SliceMut<'_>) {
        self.forward(call, x, y);
    }

    fn conv_input_grad(&self, call: &ConvCall<Self>, y: Slice<'_>, x: SliceMut<'_>) {
        self.input_grad(call, y, x);
    }

    fn conv_weight_grad(&self, problem: &Problem, precision: Precision, x: Slice<'_>, dy: Slice<'_>, dw: SliceMut<'_>) {
        self.weight_grad(problem, precision, x, dy, dw);
    }

    fn bias_activation(&self, act: Activation, bias: Option<Slice<'_>>, x: SliceMut<'_>, channels: usize) {
        if act == Activation::Identity && bias.is_none() || x.len == 0 {
            return;
        }
        let rows = x.len / channels;
        assert!(
            rows * channels == x.len && bias.is_none_or(|bias| bias.len == channels && bias.of == Type::F32),
            "a bias has one number per channel"
        );
        let (end, lanes) = Self::lanes(x.of, channels, &[x.address]);
        let shape = Shape::rows(rows, channels, lanes, 4, 132 * 8);
        let (act, slope) = code(act);
        self.launch(&format!("bias_act_{end}"), shape, arguments![&x, bias, rows, channels, act, slope]);
    }

    fn activation_grad(&self, act: Activation, y: Slice<'_>, g: SliceMut<'_>) {
        if act != Activation::Identity {
            self.each("act_grad", y, &g, code(act));
        }
    }

    fn add(&self, x: Slice<'_>, y: SliceMut<'_>) {
        assert!(x.len == y.len && x.of == y.of, "a sum of arrays that differ: {x:?}, {y:?}");
        if x.len == 0 {
            return;
        }
        let (end, lanes) = Self::lanes(x.of, x.len, &[x.address, y.address]);
        self.launch(&format!("add_to_{end}"), Shape::flat(x.len / lanes), arguments![x, &y, x.len as u64]);
    }

    fn scale_samples(&self, scales: Slice<'_>, x: Option<Slice<'_>>, y: SliceMut<'_>) {
        let one = y.len / scales.len.max(1);
        assert!(one * scales.len == y.len && x.is_none_or(|x| x.len == y.len), "samples of {y:?} for {scales:?}");
        assert!(scales.of == y.of && x.is_none_or(|x| x.of == y.of), "scaled samples have one number format");
        if y.len == 0 {
            return;
        }
        // A gradient of weights beside the rest may still read y.
        self.join();
        let (end, lanes) = Self::lanes(y.of, one, &[x.map_or(0, |x| x.address), y.address]);
        let all = arguments![scales, x, &y, small_count(y.len), one];
        self.launch(&format!("scale_samples_{end}"), Shape::flat(y.len / lanes), all);
    }

    fn column_sums(&self, g: Slice<'_>, channels: usize, sums: SliceMut<'_>) {
        assert_eq!(sums.len, channels, "one sum per channel");
        self.sums_to(g, None, channels, Some(&sums), None);
    }

    fn input_activation(&self, act: InputActivation, x: Slice<'_>, y: SliceMut<'_>) {
        self.each("in_act", x, &y, input_code(act));
    }

    fn input_activation_grad(&self, act: InputActivation, x: Slice<'_>, g: SliceMut<'_>) {
        self.each("in_act_grad", x, &g, input_code(act));
    }

    fn dropout(&self, rate: f64, uniform: Slice<'_>, x: Slice<'_>, y: SliceMut<'_>) {
        assert!(uniform.len == x.len && y.len == x.len, "a dropout's arrays differ in length");
        assert!(uniform.of == x.of && y.of == x.of, "a dropout has one number format");
        if x.len == 0 {
            return;
        }
        let (end, lanes) = Self::lanes(x.of, x.len, &[uniform.address, x.address, y.address]);
        let scale = (1.0 / (1.0 - rate)) as f32;
        let shape = Shape::flat(x.len / lanes);
        self.launch(&format!("dropout_{end}"), shape, arguments![uniform, x, &y, x.len as u64, rate as f32, scale]);
    }
}
