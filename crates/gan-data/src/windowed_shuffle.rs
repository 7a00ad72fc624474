//! A random order of very many images that needs little memory and reads them nearly in a row.
//!
//! The images stand in blocks of [`BLOCK`]; the blocks are put in a random order, the images in that order are cut into windows, and each
//! window is shuffled again. Memory grows with the number of blocks and the window's size, time with the number of images requested.

use gan_base::Rng;

/// Images that are read together.
pub(crate) const BLOCK: usize = 1024;

/// The order of one epoch, the last one that was requested.
#[derive(Clone, Debug)]
pub(crate) struct WindowedShuffle {
    len: usize,
    window: usize,
    seed: u64,
    epoch: u64,
    /// The whole blocks in their order. What is left over stays last.
    blocks: Vec<usize>,
    /// The window that was requested last.
    open: Option<(usize, Vec<usize>)>,
}

impl WindowedShuffle {
    /// Of `len` images, shuffled within `window`, at least 1, of them.
    pub(crate) fn new(len: usize, window: usize, seed: u64, epoch: u64) -> Self {
        let mut blocks: Vec<usize> = (0..len / BLOCK).collect();
        Rng::numbered(seed, "data order", epoch).shuffle(&mut blocks);
        Self { len, window, seed, epoch, blocks, open: None }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The image at `place` of the epoch. Goes fast where places stay in one window.
    pub(crate) fn at(&mut self, place: usize) -> usize {
        let number = place / self.window;
        let images = match self.open.take() {
            Some((open, images)) if open == number => images,
            _ => self.shuffled(number),
        };
        let image = images[place % self.window];
        self.open = Some((number, images));
        image
    }

    fn shuffled(&self, number: usize) -> Vec<usize> {
        let start = number * self.window;
        let image = |place: usize| self.blocks.get(place / BLOCK).map_or(place, |block| block * BLOCK + place % BLOCK);
        let mut images: Vec<usize> = (start..(start + self.window).min(self.len)).map(image).collect();
        let windows = self.len.div_ceil(self.window) as u64;
        Rng::numbered(self.seed, "data window", self.epoch * windows + number as u64).shuffle(&mut images);
        images
    }
}
