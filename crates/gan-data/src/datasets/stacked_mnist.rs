//! Stacked MNIST: three digits as the red, green and blue of one image, which makes a thousand classes.
//!
//! Source: Metz, Poole, Pfau, Sohl-Dickstein 2016, arXiv:1611.02163, section 3.3.1; in the form of PacGAN (Lin et al. 2018,
//! arXiv:1712.04086, section 4.2): 128,000 training images, 26,000 samples for evaluation. A test of mode collapse: there
//! are 1,000 modes, and a classifier of digits recognises which of them a sample belongs to.
//!
//! Nothing is stored: image i is three digits drawn with replacement, which depend only on the seed and i. PacGAN's public code draws from
//! training and test digits together; here each split draws from its own digits.

use super::byte_images::ByteImages;
use super::{Classifier, DatasetSpec, Info, Mnist, NeedsFiles, OpenOptions, SampleSizes, check_count, mnist};
use crate::Error;
use crate::dataset::{Dataset, Split};
use gan_base::Rng;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// Stacked MNIST: images `[3, 28, 28]` in a thousand classes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackedMnist {
    /// The digits to draw from; the training digits by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Number of images; by default 128,000 of the training split or 26,000 of the test split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

impl DatasetSpec for StackedMnist {
    const NAME: &'static str = "stacked-mnist";

    const INFO: Info = Info {
        holds: "three digits of MNIST as one colour image, 28×28, 1,000 classes",
        files: NeedsFiles::Found { folder: Mnist::NAME, what: "the files of mnist" },
        sizes: SampleSizes::One,
        classifier: Some(Classifier::StackedDigits),
        // By the protocol of Metz et al. 2016.
        evaluation_samples: Some(TEST),
        ..Info::IMAGES
    };

    fn check(&self) -> Result<(), Error> {
        self.count.map_or(Ok(()), check_count)
    }

    fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Dataset>, Error> {
        options.fit(Arc::new(StackedDigits::load(self, options.dir.as_deref(), options.seed)?))
    }

    fn split_mut(&mut self) -> Option<&mut Option<Split>> {
        Some(&mut self.split)
    }
}

/// Images to train on, unless the settings name another number.
const TRAINING: usize = 128_000;
/// Images of the test split, unless the settings name another number.
const TEST: usize = 26_000;

/// Digits an image.
const STACK: usize = 3;

/// Images `[3, H, W]` of three digits, of class 100·a + 10·b + c.
#[derive(Clone, Debug)]
struct StackedDigits {
    digits: ByteImages,
    len: usize,
    seed: u64,
    /// The stream of random numbers: each split has its own.
    stream: &'static str,
    classes: Vec<String>,
}

impl StackedDigits {
    /// Reads the digits; `seed` decides which of them meet.
    ///
    /// # Errors
    /// Those of [`mnist::load`]; [`Error::Setting`] if there would be no image, or there is no digit to make one from.
    fn load(spec: &StackedMnist, dir: Option<&Path>, seed: u64) -> Result<Self, Error> {
        let split = spec.split.unwrap_or_default();
        let digits = mnist::load::<Mnist>(dir, split, [""; 10])?;
        let (len, stream) = match split {
            Split::Test => (TEST, "stacked test digits"),
            Split::Train | Split::Valid | Split::All => (TRAINING, "stacked training digits"),
        };
        let len = spec.count.unwrap_or(len);
        if len == 0 || digits.is_empty() {
            let found = format!("{len} images of {} digits", digits.len());
            let advice = "choose a larger number, or another data.dir";
            return Err(Error::setting("data.count", found, "at least 1 of each", advice));
        }
        let classes = (0..1000).map(|class| format!("{class:03}")).collect();
        Ok(Self { digits, len, seed, stream, classes })
    }

    /// Which digits image `index` is made of: their numbers in MNIST, red first.
    fn parts(&self, index: usize) -> [usize; STACK] {
        let mut rng = Rng::numbered(self.seed, self.stream, index as u64);
        std::array::from_fn(|_| rng.below(self.digits.len()))
    }
}

impl Dataset for StackedDigits {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> Vec<usize> {
        let [_, height, width] = self.digits.shape;
        vec![STACK, height, width]
    }

    fn write(&self, index: usize, out: &mut [f32]) -> Result<(), Error> {
        self.check(index, out.len())?;
        let planes = out.chunks_exact_mut(self.digits.pixels());
        self.parts(index).into_iter().zip(planes).try_for_each(|(digit, plane)| self.digits.write(digit, plane))
    }

    fn label(&self, index: usize) -> Option<u32> {
        let digits = (index < self.len).then(|| self.parts(index))?;
        digits.into_iter().try_fold(0, |class, digit| Some(10 * class + self.digits.label(digit)?))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacked(split: Split, count: Option<usize>, seed: u64) -> StackedDigits {
        StackedDigits::load(&StackedMnist { split: Some(split), count }, None, seed).unwrap()
    }

    fn image(data: &dyn Dataset, index: usize) -> Vec<f32> {
        let mut out = vec![f32::NAN; data.pixels()];
        data.write(index, &mut out).unwrap();
        out
    }

    #[test]
    fn an_image_is_its_three_digits_and_its_class_their_number() {
        let data = stacked(Split::Test, None, 3);
        assert_eq!((data.len(), data.shape(), data.classes().len()), (TEST, vec![3, 28, 28], 1000));
        for index in [0, 1, TEST - 1] {
            let (made, parts) = (image(&data, index), data.parts(index));
            let [a, b, c] = parts.map(|digit| data.digits.label(digit).unwrap());
            assert_eq!(data.label(index), Some(100 * a + 10 * b + c));
            assert_eq!(data.classes()[data.label(index).unwrap() as usize], format!("{a}{b}{c}"));
            for (plane, digit) in made.chunks_exact(784).zip(parts) {
                assert_eq!(plane, image(&data.digits, digit));
            }
        }
        assert_eq!(data.label(TEST), None);
        assert!(data.write(TEST, &mut [0.0; 3 * 784]).is_err() && data.write(0, &mut [0.0; 784]).is_err());
    }

    #[test]
    fn images_depend_on_seed_split_and_number_alone() {
        let parts = |data: &StackedDigits| (0..100).map(|i| data.parts(i)).collect::<Vec<_>>();
        let data = stacked(Split::Test, None, 3);
        assert_eq!(parts(&data), parts(&stacked(Split::Test, Some(500), 3)));
        assert_ne!(parts(&data), parts(&stacked(Split::Test, None, 4)));
        let training = stacked(Split::Train, None, 3);
        assert_eq!((training.len(), stacked(Split::Train, Some(7), 3).len()), (TRAINING, 7));
        // More digits to draw from, and other numbers: not the test split's drawn wider.
        let tenth = |parts: Vec<[usize; 3]>| parts.into_iter().flatten().map(|i| i * 10 / 60_000).collect::<Vec<_>>();
        let wider = parts(&data).into_iter().flatten().map(|i| i * 10 / 10_000).collect::<Vec<_>>();
        assert_ne!(tenth(parts(&training)), wider);
    }

    #[test]
    fn all_thousand_classes_are_there_in_the_digits_shares() {
        let data = stacked(Split::Train, None, 1);
        let mut counts = [0usize; 1000];
        (0..data.len()).for_each(|i| counts[data.label(i).unwrap() as usize] += 1);
        let mut digits = [0.0; 10];
        (0..60_000).for_each(|i| digits[data.digits.label(i).unwrap() as usize] += 1.0 / 60_000.0);
        for (class, &count) in counts.iter().enumerate() {
            let share = digits[class / 100] * digits[class / 10 % 10] * digits[class % 10];
            let expected = TRAINING as f64 * share;
            // Five deviations of a binomial number.
            assert!((count as f64 - expected).abs() < 5.0 * expected.sqrt(), "class {class}: {count}, {expected}");
        }
    }

    #[test]
    fn no_images_and_other_splits_are_refused() {
        let refused = |split, count| {
            StackedDigits::load(&StackedMnist { split: Some(split), count }, None, 0).unwrap_err().to_string()
        };
        assert!(refused(Split::Train, Some(0)).contains("data.count: found 0 images"));
        assert!(refused(Split::All, None).contains("data.split: found \"all\""));
    }
}
