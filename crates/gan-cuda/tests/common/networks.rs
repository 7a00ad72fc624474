//! The networks of the presets whose step is plain, and small ones for tests.

use gan_cuda::step::{Adam, Plain};
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

/// A plain GAN and its initial parameters.
pub struct Made {
    pub plain: Plain,
    pub initial: [Vec<f32>; 2],
}

fn made(latent_shape: Vec<usize>, image: [usize; 3], batch: usize, [g, d]: [Net; 2]) -> Made {
    let adam = Adam { lr: 2e-4, betas: [0.5, 0.999], epsilon: 1e-8 };
    let plain = Plain {
        latent: latent_shape[0],
        latent_shape,
        image,
        generator: g.layers,
        discriminator: d.layers,
        batch,
        labels: [1.0, 0.0],
        adam: [adam; 2],
        momentum: 0.1,
        seed: 7,
        joint: true,
    };
    Made { plain, initial: [g.values, d.values] }
}

/// A DCGAN whose images are 4·2^doublings pixels wide.
pub fn dcgan(channels: usize, width: usize, doublings: u32, latent: usize, batch: usize) -> Made {
    let top = width << (doublings - 1);
    let mut g = Net::new(latent, 1, 1).transposed(top, 4, 1, 0, false).norm(1e-5).leaky(0.0);
    for i in 1..doublings {
        g = g.transposed(top >> i, 4, 2, 1, false).norm(1e-5).leaky(0.0);
    }
    let g = g.transposed(channels, 4, 2, 1, false).tanh();
    let side = 4 << doublings;
    let mut d = Net::new(channels, side, 2).conv(width, 4, 2, Padding::all(1), false).leaky(0.2);
    for i in 1..doublings {
        d = d.conv(width << i, 4, 2, Padding::all(1), false).norm(1e-5).leaky(0.2);
    }
    let d = d.conv(1, 4, 1, Padding::all(0), false);
    made(vec![latent, 1, 1], [channels, side, side], batch, [g, d])
}

/// The preset `dcgan-mnist`, with another width and latent.
pub fn dcgan_mnist(width: usize, latent: usize, batch: usize) -> Made {
    let g = Net::new(latent, 1, 1).transposed(2 * width, 7, 1, 0, false).norm(1e-5).leaky(0.0);
    let g = g.transposed(width, 4, 2, 1, false).norm(1e-5).leaky(0.0).transposed(1, 4, 2, 1, false).tanh();
    let d = Net::new(1, 28, 2).conv(width, 4, 2, Padding::all(1), false).leaky(0.2);
    let d = d.conv(2 * width, 4, 2, Padding::all(1), false).norm(1e-5).leaky(0.2).conv(1, 7, 1, Padding::all(0), false);
    made(vec![latent, 1, 1], [1, 28, 28], batch, [g, d])
}

/// The preset `mnist`, without its classes and its penalty.
pub fn mnist(batch: usize) -> Made {
    let g = Net::new(110, 1, 1).transposed(64, 7, 1, 0, false).norm(1e-5).leaky(0.0);
    let g = g.transposed(32, 4, 2, 1, false).norm(1e-5).leaky(0.0).transposed(1, 4, 2, 1, false).tanh();
    let d = Net::new(1, 28, 2).conv(32, 4, 2, Padding::all(1), true).leaky(0.2);
    let d = d.conv(64, 4, 2, Padding::all(1), true).leaky(0.2).conv(128, 3, 2, Padding::all(1), true).leaky(0.2);
    let d = d.flatten().dense(64).leaky(0.2).dense(1);
    made(vec![110, 1, 1], [1, 28, 28], batch, [g, d])
}

/// The preset `keras-mnist` with other widths, its fakes made as in training.
pub fn keras_mnist(width: usize, latent: usize, batch: usize) -> Made {
    let g = Net::new(latent, 1, 1).dense(49 * width).reshape(width, 7);
    let g = g.transposed(width, 4, 2, 1, true).norm(1e-3).leaky(0.01);
    let g = g.transposed(width, 4, 2, 1, true).norm(1e-3).leaky(0.01).same(1, 7, 1).tanh();
    let d = Net::new(1, 28, 2).same(width / 2, 3, 2).leaky(0.01).same(width, 3, 2).leaky(0.01).max().dense(1);
    let mut made = made(vec![latent], [1, 28, 28], batch, [g, d]);
    made.plain.labels = [0.9, 0.0];
    made
}

/// The preset `upsample-mnist` with other widths.
pub fn upsample_mnist(width: usize, latent: usize, batch: usize) -> Made {
    let g = Net::new(latent, 1, 1).dense(49 * width).leaky(0.0).reshape(width, 7);
    let g = g.upsample().same(width, 3, 1).leaky(0.0).norm(1e-3);
    let g = g.upsample().same(width / 2, 3, 1).leaky(0.0).norm(1e-3).same(1, 3, 1).tanh();
    let d = Net::new(1, 28, 2).same(width / 4, 3, 2).leaky(0.2).dropout(0.25);
    let corner = Padding { top: 0, bottom: 1, left: 0, right: 1 };
    let d = d.same(width / 2, 3, 2).pad(corner).norm(1e-3).leaky(0.2).dropout(0.25);
    let d = d.same(width, 3, 2).norm(1e-3).leaky(0.2).dropout(0.25);
    let d = d.same(2 * width, 3, 1).norm(1e-3).leaky(0.2).dropout(0.25).flatten().dense(1);
    made(vec![latent], [1, 28, 28], batch, [g, d])
}

/// A GAN of residual blocks for images of 16×16 pixels.
pub fn residual(width: usize, latent: usize, batch: usize) -> Made {
    let pad = Padding::all(1);
    let g = Net::new(latent, 1, 1).transposed(width, 4, 1, 0, false);
    let g = g.fork().norm(1e-5).leaky(0.0).upsample().conv(width, 3, 1, pad, false).norm(1e-5).leaky(0.0);
    let g = g.conv(width, 3, 1, pad, false).swap().resample(Resample::Bilinear([2, 2]), width, 8).join();
    let g = g.norm(1e-5).leaky(0.0).conv(12, 3, 1, pad, true).resample(Resample::PixelShuffle(2), 3, 16).tanh();
    let d = Net::new(3, 16, 2).conv(width, 3, 1, pad, true);
    let d = d.fork().leaky(0.2).grouped(2, width, 3, 1, pad, true).leaky(0.2).conv(2 * width, 3, 1, pad, true);
    let d = d.resample(Resample::BlurPool(2), 2 * width, 8).swap().conv(2 * width, 1, 1, Padding::all(0), true);
    let d = d.resample(Resample::AvgPool([2, 2]), 2 * width, 8).join().leaky(0.2).flatten().dense(1);
    made(vec![latent, 1, 1], [3, 16, 16], batch, [g, d])
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

/// Returns a batch of smooth images `[N, C, H, W]`.
pub fn images(made: &Made) -> Vec<f32> {
    let [c, h, w] = made.plain.image;
    // Smooth images: a wave for each sample and channel.
    let wave = |i: usize| {
        let [sample, channel, row, column] = [i / (c * h * w), i / (h * w) % c, i / w % h, i % w];
        let phase = sample as f32 * 0.7 + channel as f32;
        ((row as f32 * 0.2 + phase).sin() * (column as f32 * 0.15 + phase).cos()).clamp(-1.0, 1.0)
    };
    (0..made.plain.batch * c * h * w).map(wave).collect()
}

/// Returns the latents of a step.
pub fn latents(made: &Made, step: u64) -> Vec<f32> {
    random(&mut ((step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), made.plain.batch * made.plain.latent)
}
