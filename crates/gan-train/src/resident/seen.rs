//! What D sees of samples: they are augmented, by transformations that the host draws, and packed (PacGAN), on the device.

use super::inputs::Input;
use super::step::Engine;
use crate::step::Objective;
use gan_base::Rng;
use gan_core::{Augment, Side};
use gan_cuda::step::StepBackend;
use gan_kernels::backend::Sides;
use gan_kernels::fused::Value;
use gan_kernels::ops::{ImageLayout, ImageTransform};

impl<B: StepBackend> Engine<B> {
    /// Draws the transformations of these numbers of real and generated samples, and sends them.
    pub fn send_transforms(&mut self, objective: &Objective, counts: [usize; 2], rng: &mut Rng) {
        let augment = &objective.view.augment;
        if augment.is_none() {
            return;
        }
        let [h, w, c] = self.one_sample();
        for (side, count) in [Side::Real, Side::Fake].into_iter().zip(counts).filter(|(_, count)| *count > 0) {
            let all = augment.draws(count, [c, h, w], rng);
            let numbers: Vec<f32> = all.iter().flat_map(ImageTransform::numbers).collect();
            self.send_input(Input::Transforms(side), &numbers);
        }
    }

    /// Returns the real samples that were sent, in the layout and format of activations.
    pub fn real(&self) -> Value<B> {
        let [h, w, c] = self.one_sample();
        self.backend.channels_last(self.input(Input::Real), c, h * w).into()
    }

    /// Returns what D sees of samples of a side.
    pub fn seen(&self, side: Side, x: Value<B>) -> Value<B> {
        let backend = &self.backend;
        let sides = self.one_sample();
        let x = match self.has_input(Input::Transforms(side)) {
            false => x,
            true => {
                let x = backend.slice(&x);
                let mut y = backend.uninit(backend.len(x));
                let by = self.input(Input::Transforms(side));
                backend.transform_images(&layout(sides), by, x, backend.slice_mut(&mut y));
                y.into()
            }
        };
        let [h, w, c] = sides;
        if self.pack == 1 { x } else { self.regrouped(&x, [c, c * self.pack], h * w).into() }
    }

    /// Returns the gradient by samples of a side from that by what D sees of them.
    pub fn seen_grad(&self, side: Side, g: B::Buffer) -> B::Buffer {
        let backend = &self.backend;
        let [h, w, c] = self.one_sample();
        let g = if self.pack == 1 { g } else { self.regrouped(&g, [c * self.pack, c], h * w) };
        if !self.has_input(Input::Transforms(side)) {
            return g;
        }
        let g = backend.slice(&g);
        let mut dx = backend.uninit(backend.len(g));
        let by = self.input(Input::Transforms(side));
        backend.transform_images_grad(&layout([h, w, c]), by, g, backend.slice_mut(&mut dx));
        dx
    }

    /// Returns `[N, P, C]` in groups of other numbers of channels: as `[N, C, P]`, neighboring samples are one with the channels of all.
    fn regrouped(&self, x: &B::Buffer, [from, to]: [usize; 2], pixels: usize) -> B::Buffer {
        let backend = &self.backend;
        let x = backend.slice(x);
        let mut first = backend.uninit(backend.len(x));
        backend.channels_first(x, from, pixels, backend.slice_mut(&mut first));
        backend.channels_last(backend.slice(&first), to, pixels)
    }

    /// Returns the sides of one sample, of which D may see several together.
    fn one_sample(&self) -> Sides {
        let [h, w, c] = self.discriminator.plan.input();
        [h, w, c / self.pack]
    }
}

fn layout(sides: Sides) -> ImageLayout {
    ImageLayout { sides, colors: Augment::colors(sides[2]), is_channels_last: true }
}
