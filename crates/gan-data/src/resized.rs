//! Any set of images at another size.

use crate::Dataset;
use crate::Error;
use crate::images::{Fitting, Pixels, Small, cut_out, fit};
use std::sync::Arc;

/// The images of a set that stores them in one size, brought to a training size as image files are, with their classes.
pub struct Resized {
    inner: Arc<dyn Dataset>,
    fitting: Fitting,
    channels: usize,
    /// `[H, W]` of the other set.
    size: [usize; 2],
}

impl Resized {
    /// The images of `inner` fitted to `fitting.size`.
    ///
    /// # Errors
    /// [`Error::Setting`] if they would have to be enlarged although `fitting` does not allow it, or are points.
    pub fn new(inner: Arc<dyn Dataset>, fitting: Fitting) -> Result<Self, Error> {
        let shape = inner.shape();
        let &[channels, height, width] = &shape[..] else {
            let found = format!("samples of {shape:?}");
            return Err(Error::setting("data.size", found, "images [C, H, W]", "leave data.size out"));
        };
        let size = [height, width];
        if fitting.small != Small::Upscale && fitting.lacks_pixels(size) {
            let [h, w] = fitting.size;
            let found = format!("{h}×{w} for images of {height}×{width}");
            let advice = "choose a smaller one, or enlarge the images with `data.upscale=true`";
            return Err(Error::setting("data.size", found, format!("at most {height}×{width}"), advice));
        }
        Ok(Self { inner, fitting, channels, size })
    }

    /// Image `index` of the other set.
    fn image(&self, index: usize) -> Result<Pixels, Error> {
        let mut values = vec![0.0; self.inner.pixels()];
        self.inner.write(index, &mut values)?;
        Ok(Pixels::of_sample(&values, self.size, self.channels))
    }
}

impl Dataset for Resized {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn shape(&self) -> Vec<usize> {
        let [height, width] = self.fitting.size;
        vec![self.channels, height, width]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        fit(self.image(index)?, &self.fitting).scale_into(out);
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        self.inner.label(index)
    }

    fn classes(&self) -> &[String] {
        self.inner.classes()
    }

    fn stored_size(&self, index: usize) -> Option<[usize; 2]> {
        (index < self.len()).then(|| self.fitting.cut(self.size))
    }

    fn stored(&self, index: usize) -> Result<Option<Pixels>, Error> {
        if index >= self.len() { Ok(None) } else { Ok(Some(cut_out(self.image(index)?, &self.fitting))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DatasetSpec, Mnist, OpenOptions, Split};

    fn digits() -> Arc<dyn Dataset> {
        Mnist { split: Some(Split::Test) }.open(&OpenOptions::default()).unwrap()
    }

    #[test]
    fn digits_are_halved_by_the_filter_and_keep_their_classes() {
        let half = Resized::new(digits(), Fitting::to([14, 14])).unwrap();
        assert_eq!((half.len(), half.shape(), half.classes().len()), (10_000, vec![1, 14, 14], 10));
        let (mut whole, mut small) = ([0.0; 784], [0.0; 196]);
        half.inner.write(3, &mut whole).unwrap();
        half.write(3, &mut small).unwrap();
        let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean(&whole) - mean(&small)).abs() < 0.01);
        assert_eq!(half.label(3), half.inner.label(3));
    }

    #[test]
    fn images_of_the_target_size_are_unchanged() {
        let same = Resized::new(digits(), Fitting::to([28, 28])).unwrap();
        let (mut one, mut other) = ([0.0; 784], [0.0; 784]);
        same.write(7, &mut one).unwrap();
        same.inner.write(7, &mut other).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn enlarging_must_be_requested() {
        let message = Resized::new(digits(), Fitting::to([32, 32])).err().unwrap().to_string();
        for part in ["data.size: found 32×32 for images of 28×28", "data.upscale=true"] {
            assert!(message.contains(part), "{message}");
        }
        let fitting = Fitting { small: Small::Upscale, ..Fitting::to([32, 32]) };
        assert_eq!(Resized::new(digits(), fitting).unwrap().shape(), [1, 32, 32]);
    }
}
