//! Arrays of images, `[N, C, H, W]`: what is checked before anything is made of them.

use super::{NpyFile, Numbers, refused, spread};
use crate::Error;
use crate::dataset::scale;
use std::path::Path;

/// What float32 arithmetic may add to −1 and 1.
const ROUNDING: f32 = 1e-3;
/// Images looked at together.
const AT_ONCE: usize = 64;

/// Images in a `.npy` file: floating point from −1 to 1, or uint8, whose bytes go from 0 to 255.
#[derive(Debug)]
pub struct ImageArray {
    file: NpyFile,
    shape: [usize; 3],
    /// The images that are used.
    indices: Vec<usize>,
    /// The smallest and the largest number in them.
    range: [f32; 2],
}

impl ImageArray {
    /// Opens the array and looks at every number of the images that are used: all, or `most` at even distances.
    ///
    /// # Errors
    /// Those of [`NpyFile::open`]; [`Error::File`] where the shape is not `[N, C, H, W]` with 1 or 3 channels and at least one image,
    /// the numbers are neither floating point nor uint8, or they are not finite or outside of −1 to 1.
    pub fn open(path: &Path, most: Option<usize>) -> Result<Self, Error> {
        Self::of(NpyFile::open(path)?, most)
    }

    /// As [`ImageArray::open`], of a file that is open already.
    ///
    /// # Errors
    /// As [`ImageArray::open`].
    pub fn of(file: NpyFile, most: Option<usize>) -> Result<Self, Error> {
        let shape = layout(&file, None)?;
        Self::of_shape(file, shape, most)
    }

    /// As [`ImageArray::open`], all images, which must be of `shape` = `[C, H, W]`.
    ///
    /// # Errors
    /// As [`ImageArray::open`]; [`Error::File`] where the images have another shape.
    pub fn open_as(path: &Path, shape: [usize; 3]) -> Result<Self, Error> {
        let file = NpyFile::open(path)?;
        layout(&file, Some(shape))?;
        Self::of_shape(file, shape, None)
    }

    fn of_shape(file: NpyFile, shape: [usize; 3], most: Option<usize>) -> Result<Self, Error> {
        if !matches!(file.numbers(), Numbers::Float(_) | Numbers::Unsigned(1)) {
            let expected = "floating point numbers from -1 to 1, or uint8 from 0 to 255";
            let advice = "save x.astype('u1') where the numbers go from 0 to 255, else numbers from -1 to 1 as float32";
            return Err(refused(&file, "type of the numbers", file.numbers().to_string(), expected, advice));
        }
        let all = file.rows();
        let indices = spread(all, most.map_or(all, |most| most.min(all)));
        let mut array = Self { file, shape, indices, range: [f32::INFINITY, f32::NEG_INFINITY] };
        array.check_numbers()?;
        Ok(array)
    }

    /// How many images are used.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether the array is empty; it never is.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// `[C, H, W]`
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Images `from` to `from + count`: C·H·W values each in [−1, 1], channel by channel.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read(&mut self, from: usize, count: usize) -> Result<Vec<f32>, Error> {
        let mut values = self.file.read_rows(&self.indices[from..from + count])?;
        if self.is_bytes() {
            values.iter_mut().for_each(|value| *value = scale(*value as u8));
        }
        Ok(values)
    }

    /// Whether floating point numbers are all from 0 to 1, which is half of the range that images have here.
    pub fn is_within_zero_and_one(&self) -> bool {
        !self.is_bytes() && self.range[0] >= 0.0
    }

    fn is_bytes(&self) -> bool {
        self.file.numbers() == Numbers::Unsigned(1)
    }

    fn check_numbers(&mut self) -> Result<(), Error> {
        if self.is_bytes() {
            return Ok(());
        }
        let row_len = self.file.row_len();
        for from in (0..self.len()).step_by(AT_ONCE) {
            let count = AT_ONCE.min(self.len() - from);
            let values = self.file.read_rows(&self.indices[from..from + count])?;
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let found = format!("{} in image {}", values[at], self.indices[from + at / row_len]);
                let advice = "nothing can be measured or searched for with that: look at how the array was made";
                return Err(refused(&self.file, "numbers of the array", found, "finite numbers", advice));
            }
            let [low, high] = self.range;
            self.range = values.iter().fold([low, high], |[low, high], value| [low.min(*value), high.max(*value)]);
        }
        let [low, high] = self.range;
        if low >= -1.0 - ROUNDING && high <= 1.0 + ROUNDING {
            return Ok(());
        }
        let advice = match low >= 0.0 && high <= 255.0 {
            true => "they look like bytes: save x.astype('u1'), or x / 127.5 - 1",
            false => "bring them to that range, as the generator's tanh does",
        };
        let found = format!("numbers from {low} to {high}");
        Err(refused(&self.file, "range of the array", found, "numbers from -1 to 1", advice))
    }
}

/// `[C, H, W]` of an array that is laid out as images are, and has the shape that is wanted.
fn layout(file: &NpyFile, wanted: Option<[usize; 3]>) -> Result<[usize; 3], Error> {
    let expected = match wanted {
        Some([c, h, w]) => format!("[N, {c}, {h}, {w}]"),
        None => "[N, C, H, W] with C = 1 (grey) or 3 (colour)".into(),
    };
    let advice = match *file.shape() {
        [n, c @ (1 | 3), h, w] if n * h * w > 0 => match wanted {
            Some(wanted) if wanted != [c, h, w] => "the images must have the shape of the generator's samples",
            _ => return Ok([c, h, w]),
        },
        [_, 1 | 3, _, _] => "there has to be an image, and a pixel in it",
        [_, _, _, 1 | 3] => "it looks like [N, H, W, C]: transpose it with x.transpose(0, 3, 1, 2)",
        [_, _, _, 4] => {
            "it looks like [N, H, W, C] with transparency: save x[..., :3].transpose(0, 3, 1, 2), without the fourth channel"
        }
        [_, _, _, _] => "choose 1 or 3 channels, in the second place of the shape",
        [_, _, 1 | 3] => "it looks like one image [H, W, C]: save x.transpose(2, 0, 1)[None]",
        [1 | 3, _, _] => "it looks like one image [C, H, W]: save x[None]",
        [_, _, _] => "it looks like grey images [N, H, W]: save x[:, None]",
        _ => "save the images as one array of four axes",
    };
    let found = format!("an array of shape {:?}", file.shape());
    Err(refused(file, "shape of the array", found, &expected, advice))
}
