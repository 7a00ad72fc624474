//! Arrays that the host sends to the device, each of which stays where recorded work reads it.

use super::step::Engine;
use gan_core::Side;
use gan_cuda::step::StepBackend;

/// An array that the host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Input {
    Latents,
    Real,
    /// Samples that were generated with running averages, as they are.
    Fake,
    /// Gradients of the loss by D's outputs.
    Slopes,
    /// What the derivative of each output counts in a penalty.
    Weights(usize),
    /// Transformations of the samples of a side, as [`gan_kernels::ops::ImageTransform::numbers`].
    Transforms(Side),
    /// A number of its own for each update, from which dropout's random numbers are drawn.
    Clock,
}

impl<B: StepBackend> Engine<B> {
    /// Sends numbers to where segments read them.
    pub fn send_input(&mut self, input: Input, values: &[f32]) {
        let backend = self.backend.clone();
        backend.stage(values, backend.slice_mut(self.place_of(input, values.len())));
    }

    /// Returns the place of an input of this length.
    pub fn place_of(&mut self, input: Input, len: usize) -> &mut B::Buffer {
        self.lengths.insert(input, len);
        self.inputs.entry((input, len)).or_insert_with(|| self.backend.f32_zeros(len))
    }

    /// Returns whether something was sent.
    pub fn has_input(&self, input: Input) -> bool {
        self.lengths.contains_key(&input)
    }

    /// Returns what was sent.
    pub fn input(&self, input: Input) -> B::Slice<'_> {
        self.backend.slice(&self.inputs[&(input, self.lengths[&input])])
    }

    /// Returns what was sent, in the format of activations.
    pub fn narrow_input(&self, input: Input) -> B::Buffer {
        self.discriminator.narrow(self.input(input))
    }
}
