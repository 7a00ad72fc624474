//! Images made from a seed: for benches and tests that must not depend on files.

use crate::{Dataset, Error};
use gan_base::Rng;

/// How many different images there are; image i and image i + `DISTINCT` are the same.
const DISTINCT: usize = 1 << 16;

/// Noise in [−1, 1), the same for the same seed, shape and index. Writing an image is one copy: image i is a window
/// into one strip of noise, starting at value i (modulo 65,536).
#[derive(Clone, Debug)]
pub struct MadeImages {
    noise: Vec<f32>,
    len: usize,
    shape: [usize; 3],
    classes: Vec<String>,
}

impl MadeImages {
    /// `len` images of `shape` = `[C, H, W]`, without classes.
    ///
    /// # Errors
    /// [`Error::Setting`] where there would be no image, no pixel, or more than 2³⁰ values in an image.
    pub fn new(seed: u64, len: usize, shape: [usize; 3]) -> Result<Self, Error> {
        let setting = |found, expected: &str| Error::Setting {
            key: "made images",
            found,
            expected: expected.into(),
            advice: "choose other sizes".into(),
        };
        if len == 0 {
            return Err(setting("0 images".into(), "at least 1"));
        }
        let pixels = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let pixels = pixels
            .filter(|pixels| (1..=1 << 30).contains(pixels))
            .ok_or_else(|| setting(format!("[C, H, W] = {shape:?}"), "1 to 2^30 values an image"))?;
        let mut rng = Rng::stream(seed, "made images");
        let noise = (0..pixels + DISTINCT.min(len)).map(|_| rng.uniform(-1.0, 1.0)).collect();
        Ok(Self { noise, len, shape, classes: Vec::new() })
    }

    /// The same images, in `count` classes: image i is of class i mod `count`. With 0 they have none.
    #[must_use]
    pub fn with_classes(mut self, count: usize) -> Self {
        self.classes = (0..count).map(|class| class.to_string()).collect();
        self
    }
}

impl Dataset for MadeImages {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.to_vec()
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        out.copy_from_slice(&self.noise[index % DISTINCT..][..out.len()]);
        Ok(())
    }

    fn label(&self, index: usize) -> Option<u32> {
        let class = (index < self.len).then(|| index.checked_rem(self.classes.len()))??;
        u32::try_from(class).ok()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(data: &MadeImages, index: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; data.pixels()];
        data.write(index, &mut out).unwrap();
        out
    }

    #[test]
    fn images_depend_on_seed_and_index_alone() {
        let data = MadeImages::new(1, 10, [3, 4, 5]).unwrap();
        let longer = MadeImages::new(1, 1 << 20, [3, 4, 5]).unwrap();
        assert_eq!((data.len(), data.shape(), data.pixels()), (10, vec![3, 4, 5], 60));
        assert_eq!(image(&data, 9), image(&longer, 9));
        assert_ne!(image(&data, 0), image(&data, 1));
        assert_ne!(image(&data, 0), image(&MadeImages::new(2, 10, [3, 4, 5]).unwrap(), 0));
        assert_eq!(image(&longer, 3), image(&longer, 3 + DISTINCT));
        assert!(image(&longer, (1 << 20) - 1).iter().all(|x| (-1.0..1.0).contains(x)));
        assert!(data.write(10, &mut [0.0; 60]).is_err());
    }

    #[test]
    fn classes_take_turns() {
        let data = MadeImages::new(1, 10, [1, 2, 2]).unwrap();
        assert_eq!((data.label(4), data.classes().len()), (None, 0));
        let data = data.with_classes(3);
        assert_eq!((data.label(4), data.label(10), data.classes().len()), (Some(1), None, 3));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for (len, shape) in [(0, [1, 2, 2]), (1, [1, 0, 2]), (1, [usize::MAX, 2, 2])] {
            let message = MadeImages::new(1, len, shape).unwrap_err().to_string();
            assert!(message.contains("found") && message.contains("expected"), "{message}");
        }
    }
}
