//! Networks for tests.

use gan_kernels::fused::{
    Activation, BatchNorm, ConcatClass, Conv, Dropout, Fork, FusedLayer, GlobalMaxPool, Join, Projection, Resample,
    Reshape, Swap, Weights,
};
use gan_kernels::{ConvSpec, Padding};

#[path = "layer_networks.rs"]
pub mod layers;

/// Layers with their parameters' initial values.
pub struct Net {
    pub layers: Vec<FusedLayer>,
    pub values: Vec<f32>,
    channels: usize,
    side: usize,
    /// Channels and sides of the values that residual blocks hold.
    waiting: Vec<[usize; 2]>,
    state: u64,
}

impl Net {
    pub fn new(channels: usize, side: usize, seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { layers: vec![], values: vec![], channels, side, waiting: vec![], state }
    }

    fn normal(&mut self, n: usize, spread: f32) -> usize {
        let start = self.values.len();
        for value in random(&mut self.state, n) {
            self.values.push(value * spread * 1.73);
        }
        start
    }

    fn constant(&mut self, n: usize, value: f32) -> usize {
        let start = self.values.len();
        self.values.resize(start + n, value);
        start
    }

    fn weights(&mut self, n: usize, outputs: usize, bias: bool) -> Weights {
        let spread = if n > 1 << 16 { 0.02 } else { (1.0 / (n / outputs.max(1)) as f32).sqrt().min(0.1) };
        let weight = self.normal(n, spread);
        let bias = bias.then(|| self.constant(outputs, 0.01));
        Weights { weight, bias }
    }

    pub fn conv(self, outputs: usize, kernel: usize, stride: usize, padding: Padding, bias: bool) -> Self {
        self.grouped(1, outputs, kernel, stride, padding, bias)
    }

    pub fn grouped(
        mut self,
        groups: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: Padding,
        bias: bool,
    ) -> Self {
        let weights = self.weights(outputs * self.channels / groups * kernel * kernel, outputs, bias);
        let spec = ConvSpec { padding, ..ConvSpec::square(stride, 0) };
        let kernel = [kernel; 2];
        self.layers.push(FusedLayer::Conv(Conv { weights, outputs, groups, kernel, spec, transposed: None }));
        self.side = spec.output_size([self.side; 2], kernel).unwrap()[0];
        self.channels = outputs;
        self
    }

    pub fn same(self, outputs: usize, kernel: usize, stride: usize) -> Self {
        let padding = Padding::same([self.side; 2], [kernel; 2], [stride; 2], [1; 2]);
        self.conv(outputs, kernel, stride, padding, true)
    }

    pub fn transposed(mut self, outputs: usize, kernel: usize, stride: usize, padding: usize, bias: bool) -> Self {
        let weights = self.weights(outputs * self.channels * kernel * kernel, outputs, bias);
        let spec = ConvSpec::square(stride, padding);
        let transposed = Some([0, 0]);
        self.layers.push(FusedLayer::Conv(Conv { weights, outputs, groups: 1, kernel: [kernel; 2], spec, transposed }));
        self.side = spec.transposed_size([self.side; 2], [kernel; 2], [0, 0]).unwrap()[0];
        self.channels = outputs;
        self
    }

    pub fn dense(mut self, outputs: usize) -> Self {
        let weights = self.weights(outputs * self.channels, outputs, true);
        let spec = ConvSpec::default();
        self.layers.push(FusedLayer::Conv(Conv {
            weights,
            outputs,
            groups: 1,
            kernel: [1; 2],
            spec,
            transposed: None,
        }));
        self.channels = outputs;
        self
    }

    pub fn norm(mut self, eps: f64) -> Self {
        let channels = self.channels;
        let scale = self.constant(channels, 1.0);
        let shift = self.constant(channels, 0.0);
        self.layers.push(FusedLayer::BatchNorm(BatchNorm { scale, shift, eps }));
        self
    }

    pub fn leaky(mut self, slope: f32) -> Self {
        self.layers.push(FusedLayer::Activation(Activation::LeakyRelu(slope)));
        self
    }

    pub fn tanh(mut self) -> Self {
        self.layers.push(FusedLayer::Activation(Activation::Tanh));
        self
    }

    pub fn dropout(mut self, rate: f64) -> Self {
        self.layers.push(FusedLayer::Dropout(Dropout(rate)));
        self
    }

    pub fn reshape(mut self, channels: usize, side: usize) -> Self {
        self.layers.push(FusedLayer::Reshape(Reshape(vec![channels, side, side])));
        self.channels = channels;
        self.side = side;
        self
    }

    pub fn flatten(mut self) -> Self {
        self.channels *= self.side * self.side;
        self.side = 1;
        self.layers.push(FusedLayer::Reshape(Reshape(vec![self.channels])));
        self
    }

    pub fn upsample(mut self) -> Self {
        self.layers.push(FusedLayer::Resample(Resample::Upsample([2, 2])));
        self.side *= 2;
        self
    }

    pub fn pad(mut self, padding: Padding) -> Self {
        self.layers.push(FusedLayer::Resample(Resample::ZeroPad(padding)));
        self.side += padding.total()[0];
        self
    }

    /// Resamples to images of `side`² pixels.
    pub fn resample(mut self, by: Resample, channels: usize, side: usize) -> Self {
        self.layers.push(FusedLayer::Resample(by));
        self.channels = channels;
        self.side = side;
        self
    }

    pub fn fork(mut self) -> Self {
        self.layers.push(FusedLayer::Fork(Fork));
        self.waiting.push([self.channels, self.side]);
        self
    }

    pub fn swap(mut self) -> Self {
        self.layers.push(FusedLayer::Swap(Swap));
        let [channels, side] = self.waiting.pop().unwrap();
        self.waiting.push([self.channels, self.side]);
        self.channels = channels;
        self.side = side;
        self
    }

    pub fn join(mut self) -> Self {
        self.layers.push(FusedLayer::Join(Join));
        self.waiting.pop();
        self
    }

    pub fn concat_class(mut self, known: usize, width: usize) -> Self {
        let start = self.normal(known * width, 0.5);
        self.layers.push(FusedLayer::ConcatClass(ConcatClass { known, embedding: Some((start, width)) }));
        self.channels += width;
        self
    }

    pub fn projection(mut self, known: usize) -> Self {
        let weight = self.normal(self.channels, 0.3);
        let bias = self.constant(1, 0.1);
        let embed = self.normal(known * self.channels, 0.3);
        self.layers.push(FusedLayer::Projection(Projection { known, weight, bias, embed }));
        self.channels = 1;
        self
    }

    pub fn max(mut self) -> Self {
        self.layers.push(FusedLayer::GlobalMaxPool(GlobalMaxPool));
        self.side = 1;
        self
    }
}

/// Returns pseudorandom numbers in [-1, 1).
pub fn random(state: &mut u64, n: usize) -> Vec<f32> {
    let mut one = || {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..n).map(|_| one()).collect()
}

/// The discriminator of a DCGAN for images of three channels that are 4·2^doublings pixels wide.
pub fn dcgan(width: usize, doublings: u32) -> Net {
    let mut d = Net::new(3, 4 << doublings, 2).conv(width, 4, 2, Padding::all(1), false).leaky(0.2);
    for i in 1..doublings {
        d = d.conv(width << i, 4, 2, Padding::all(1), false).norm(1e-5).leaky(0.2);
    }
    d.conv(1, 4, 1, Padding::all(0), false)
}

/// A discriminator with residual blocks, groups and classes, for images of 3×8×8 numbers.
pub fn conditional(known: usize) -> Net {
    let pad = Padding::all(1);
    let d = Net::new(3, 8, 4).concat_class(known, 5).conv(8, 3, 1, pad, true);
    let d = d.fork().leaky(0.0).grouped(4, 8, 3, 1, pad, true).norm(1e-5).leaky(0.2).fork().leaky(0.1);
    let d = d.conv(8, 3, 1, pad, true).swap().join().resample(Resample::BlurPool(2), 8, 4).swap();
    let d = d.conv(8, 1, 1, Padding::all(0), true).resample(Resample::AvgPool([2, 2]), 8, 4).join().leaky(0.2);
    d.resample(Resample::AvgPool([4, 4]), 8, 1).flatten().projection(known)
}
