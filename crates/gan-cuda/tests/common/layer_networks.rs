//! Networks of layers that few presets have.

use super::Net;
use gan_kernels::Padding;
use gan_kernels::backend::{InputActivation, Resample};
use gan_kernels::fused::{
    Attention, FusedLayer, Glu, LearnedSlope, MinibatchStd, OwnFactors, PixelNorm, SampleNorm, SlopeApplies,
};

impl Net {
    fn sample_norm(mut self, of: OwnFactors) -> Self {
        let rows = match of {
            OwnFactors::Statistics { .. } => 1,
            OwnFactors::Affine { classes } => classes,
        };
        let affine = Some([self.normal(rows * self.channels, 0.7), self.normal(rows * self.channels, 0.3)]);
        self.layers.push(FusedLayer::SampleNorm(SampleNorm { of, affine, eps: 1e-4 }));
        self
    }

    fn group_norm(self, groups: usize) -> Self {
        self.sample_norm(OwnFactors::Statistics { groups })
    }

    /// A norm of each channel of each sample, without parameters.
    fn instance_norm(mut self) -> Self {
        let of = OwnFactors::Statistics { groups: self.channels };
        self.layers.push(FusedLayer::SampleNorm(SampleNorm { of, affine: None, eps: 1e-4 }));
        self
    }

    fn pixel_norm(mut self) -> Self {
        self.layers.push(FusedLayer::PixelNorm(PixelNorm { eps: 1e-4 }));
        self
    }

    fn curve(mut self, act: InputActivation) -> Self {
        self.layers.push(FusedLayer::InputActivation(act));
        self
    }

    fn slope(mut self, applies: SlopeApplies) -> Self {
        let slope = self.constant(1, 0.3);
        self.layers.push(FusedLayer::LearnedSlope(LearnedSlope { slope, applies }));
        self
    }

    fn gate(mut self) -> Self {
        self.layers.push(FusedLayer::Glu(Glu));
        self.channels /= 2;
        self
    }

    fn deviation(mut self, group: usize) -> Self {
        self.layers.push(FusedLayer::MinibatchStd(MinibatchStd { group }));
        self.channels += 1;
        self
    }

    fn attention(mut self, keys: usize) -> Self {
        self.layers.push(FusedLayer::Attention(Attention { keys }));
        self.channels -= 2 * keys;
        self
    }
}

/// A discriminator with every layer that few presets have, for images of 3×8×8 numbers; with `known` classes if they are given.
pub fn everything(known: Option<usize>) -> Net {
    let of = known.map_or(OwnFactors::Statistics { groups: 4 }, |classes| OwnFactors::Affine { classes });
    let pad = Padding::all(1);
    let none = Padding::all(0);
    let d = Net::new(3, 8, 6).conv(8, 3, 1, pad, true).group_norm(2).leaky(0.2);
    let d = d.fork().conv(12, 1, 1, none, false).attention(2).conv(8, 1, 1, none, false);
    let d = d.slope(SlopeApplies::Everywhere).swap().join().curve(InputActivation::Elu(0.7));
    let d = d.conv(16, 3, 1, pad, true).gate().pixel_norm().conv(8, 3, 2, pad, true);
    let d = d.sample_norm(of).leaky(0.1).curve(InputActivation::Gelu);
    let d = d.conv(10, 3, 1, pad, true).instance_norm().curve(InputActivation::Silu);
    let d = d.conv(6, 1, 1, none, true).slope(SlopeApplies::BelowZero).deviation(4).conv(8, 3, 1, pad, true).tanh();
    d.group_norm(1).max().dense(5).curve(InputActivation::Sigmoid).dense(1)
}

/// A discriminator that is linear around each sample, for images of 3×8×8 numbers of `known` classes.
pub fn piecewise_linear(known: usize) -> Net {
    let pad = Padding::all(1);
    let d = Net::new(3, 8, 8).concat_class(known, 5).conv(8, 3, 1, pad, true).leaky(0.2).conv(8, 3, 2, pad, false);
    let d = d.curve(InputActivation::LeakyRelu(-0.3)).conv(7, 3, 1, pad, true).leaky(0.0);
    d.resample(Resample::AvgPool([4, 4]), 7, 1).flatten().projection(known)
}
