//! Maps of pixels without weights, as weighted sums along each axis.

use crate::spec::Padding;

/// Map of pixels without weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resample {
    /// Repeats every pixel, `[vertical, horizontal]` times.
    Upsample([usize; 2]),
    /// Adds zeros around the image.
    ZeroPad(Padding),
    /// Mean over adjacent windows of the height and width.
    AvgPool([usize; 2]),
    /// Bilinear upsampling by whole factors, `[vertical, horizontal]`, as PyTorch's `align_corners=False`.
    Bilinear([usize; 2]),
    /// Every s-th pixel after a blur with [1, 3, 3, 1]/8 in both directions, with zero padding.
    BlurPool(usize),
    /// Rearranges channels into s·s pixels each.
    PixelShuffle(usize),
}

impl Resample {
    /// Returns the weights of the inputs of every output along one axis (0 vertical), if the map treats each channel and each axis by
    /// itself.
    pub fn axis(self, axis: usize, input: usize, output: usize) -> Option<Axis> {
        Some(match self {
            Self::Upsample(factors) => Axis::new(output, |out| [(out / factors[axis], 1.0)]),
            Self::ZeroPad(padding) => Axis::new(output, |out| {
                let at = out.checked_sub(padding.before()[axis]).filter(|at| *at < input);
                at.map(|at| (at, 1.0))
            }),
            Self::AvgPool(window) => {
                let side = window[axis];
                Axis::new(output, |out| (out * side..(out + 1) * side).map(move |at| (at, 1.0 / side as f32)))
            }
            Self::Bilinear(factors) => Axis::new(output, |out| {
                let at = ((out as f64 + 0.5) / factors[axis] as f64 - 0.5).max(0.0);
                let [low, high] = [0, 1].map(|next| (at.floor() as usize + next).min(input - 1));
                let part = at.fract() as f32;
                let two = [(low, 1.0 - part), (high, part)];
                // At the ends, both are the same pixel.
                if low == high { vec![(low, 1.0)] } else { two.into_iter().filter(|tap| tap.1 > 0.0).collect() }
            }),
            Self::BlurPool(step) => Axis::new(output, |out| {
                let taps = [0.125, 0.375, 0.375, 0.125].into_iter().enumerate();
                let taps =
                    taps.filter_map(move |(i, weight)| Some(((out * step + step / 2 + i).checked_sub(2)?, weight)));
                taps.filter(move |tap| tap.0 < input)
            }),
            Self::PixelShuffle(_) => return None,
        })
    }
}

/// Inputs of each output of a linear map along one axis, with their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Index of each output's first tap, and the number of taps at the end.
    starts: Vec<usize>,
    taps: Vec<(usize, f32)>,
}

impl Axis {
    fn new<T: IntoIterator<Item = (usize, f32)>>(outputs: usize, taps_of: impl Fn(usize) -> T) -> Self {
        let mut axis = Self { starts: vec![0], taps: vec![] };
        for out in 0..outputs {
            axis.taps.extend(taps_of(out));
            axis.starts.push(axis.taps.len());
        }
        axis
    }

    /// Returns the inputs of an output, with their weights.
    pub fn taps(&self, output: usize) -> &[(usize, f32)] {
        &self.taps[self.starts[output]..self.starts[output + 1]]
    }

    /// Returns the map of gradients: the outputs of each of `inputs` inputs.
    #[must_use]
    pub fn transposed(&self, inputs: usize) -> Self {
        let mut back = vec![vec![]; inputs];
        for output in 0..self.starts.len() - 1 {
            self.taps(output).iter().for_each(|(input, weight)| back[*input].push((output, *weight)));
        }
        Self::new(inputs, |input| back[input].clone())
    }
}
