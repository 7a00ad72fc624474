//! Arrays of images and of vectors, checked before anything is made of them.

use super::header::Numbers;
use super::{NpyFile, spread};
use crate::Error;
use crate::dataset::scale;

/// Tolerance beyond −1 and 1 for rounding in float32.
const ROUNDING: f32 = 1e-3;
/// Images checked at once.
const AT_ONCE: usize = 64;

/// Images `[N, C, H, W]` in a `.npy` file: floating point from −1 to 1, or uint8 from 0 to 255. The alpha of four channels is straight in
/// files and premultiplied once it is read.
#[derive(Debug)]
pub struct ImageArray {
    file: NpyFile,
    shape: [usize; 3],
    /// The numbers of the images that are used.
    indices: Vec<usize>,
    /// The smallest and the largest number in them.
    range: [f32; 2],
}

impl ImageArray {
    /// Checks every number of the images that are used: all, or `most` at even distances. Images must be of `shape` = `[C, H, W]` if given.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] if the shape is not `[N, C, H, W]` with 1, 3 or 4 channels and at least one image, or not the given
    /// one, if the numbers are neither floating point nor uint8, or if they are not finite or outside of −1 to 1.
    pub fn of(file: NpyFile, most: Option<usize>, shape: Option<[usize; 3]>) -> Result<Self, Error> {
        let shape = layout(&file, shape)?;
        let numbers = file.header.numbers;
        if !matches!(numbers, Numbers::Float(_) | Numbers::Unsigned(1)) {
            let expected = "floating point numbers from -1 to 1, or uint8 from 0 to 255";
            let advice = "save x.astype('u1') where the numbers go from 0 to 255, else numbers from -1 to 1 as float32";
            return Err(file.refused("type of the numbers", numbers.to_string(), expected, advice));
        }
        let all = file.rows();
        let indices = spread(all, most.map_or(all, |most| most.min(all)));
        let mut array = Self { file, shape, indices, range: [f32::INFINITY, f32::NEG_INFINITY] };
        array.check_numbers()?;
        Ok(array)
    }

    /// Number of images that are used, at least 1.
    pub fn count(&self) -> usize {
        self.indices.len()
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
        let [channels, height, width] = self.shape;
        if channels == 4 {
            values.chunks_exact_mut(4 * height * width).for_each(premultiply);
        }
        Ok(values)
    }

    /// Whether the numbers are floating point and none is negative, so that images only use half of the range.
    pub fn is_within_zero_and_one(&self) -> bool {
        !self.is_bytes() && self.range[0] >= 0.0
    }

    fn is_bytes(&self) -> bool {
        self.file.header.numbers == Numbers::Unsigned(1)
    }

    fn check_numbers(&mut self) -> Result<(), Error> {
        if self.is_bytes() {
            return Ok(());
        }
        for from in (0..self.count()).step_by(AT_ONCE) {
            let count = AT_ONCE.min(self.count() - from);
            let values = self.file.read_finite(&self.indices[from..from + count], "image")?;
            self.range = values.iter().fold(self.range, |[low, high], value| [low.min(*value), high.max(*value)]);
        }
        let [low, high] = self.range;
        if low >= -1.0 - ROUNDING && high <= 1.0 + ROUNDING {
            return Ok(());
        }
        let advice = if low >= 0.0 && high <= 255.0 {
            "they look like bytes: save x.astype('u1'), or x / 127.5 - 1"
        } else {
            "bring them to that range, as the generator's tanh does"
        };
        let found = format!("numbers from {low} to {high}");
        Err(self.file.refused("range of the array", found, "numbers from -1 to 1", advice))
    }
}

/// Multiplies the colors of an image `[4, H, W]` in [−1, 1] by its alpha, both taken as numbers from 0 to 1.
fn premultiply(image: &mut [f32]) {
    let (colors, alpha) = image.split_at_mut(image.len() / 4 * 3);
    for plane in colors.chunks_exact_mut(alpha.len()) {
        plane.iter_mut().zip(&*alpha).for_each(|(color, alpha)| *color = (*color + 1.0) * (alpha + 1.0) / 2.0 - 1.0);
    }
}

/// `[C, H, W]` of an array with the layout of images and, if given, the shape `wanted`.
fn layout(file: &NpyFile, wanted: Option<[usize; 3]>) -> Result<[usize; 3], Error> {
    let expected = match wanted {
        Some([c, h, w]) => format!("[N, {c}, {h}, {w}]"),
        None => "[N, C, H, W] with C = 1 (gray), 3 (RGB) or 4 (RGB and alpha)".into(),
    };
    let advice = match *file.shape() {
        [n, c, h, w] if n * c * h * w > 0 && (wanted == Some([c, h, w]) || matches!(c, 1 | 3 | 4)) => match wanted {
            Some(wanted) if wanted != [c, h, w] => "the images must have the shape of the generator's samples",
            _ => return Ok([c, h, w]),
        },
        [_, 1 | 3 | 4, _, _] => "there has to be an image, and a pixel in it",
        [_, _, _, 1 | 3 | 4] => "it looks like [N, H, W, C]: transpose it with x.transpose(0, 3, 1, 2)",
        [_, _, _, _] => "choose 1, 3 or 4 channels, in the second place of the shape",
        [_, _, 1 | 3 | 4] => "it looks like one image [H, W, C]: save x.transpose(2, 0, 1)[None]",
        [1 | 3 | 4, _, _] => "it looks like one image [C, H, W]: save x[None]",
        [_, _, _] => "it looks like grey images [N, H, W]: save x[:, None]",
        _ => "save the images as one array of four axes",
    };
    let found = format!("an array of shape {:?}", file.shape());
    Err(file.refused("shape of the array", found, &expected, advice))
}

/// Vectors `[N, D]` of any number type in a `.npy` file: latent vectors, or points in their own units.
#[derive(Debug)]
pub struct VectorArray(NpyFile);

impl VectorArray {
    /// Checks that the vectors have `dim` numbers each.
    ///
    /// # Errors
    /// [`Error::File`] if the shape is not `[N, dim]`, or the array holds truth values.
    pub fn of(file: NpyFile, dim: usize) -> Result<Self, Error> {
        let advice = match *file.shape() {
            [_, found] if found == dim => "",
            [found, _] if found == dim => "it looks like its transpose: save x.T",
            [found] if found == dim => "it looks like one vector: save x[None]",
            _ => "save one vector a row",
        };
        if !advice.is_empty() {
            let found = format!("an array of shape {:?}", file.shape());
            return Err(file.refused("shape of the array", found, &format!("[N, {dim}]"), advice));
        }
        if file.header.numbers == Numbers::Bool {
            let advice = "save x.astype('f4')";
            return Err(file.refused("type of the numbers", "bool".into(), "floating point numbers", advice));
        }
        Ok(Self(file))
    }

    /// Number of vectors.
    pub fn count(&self) -> usize {
        self.0.rows()
    }

    /// The first `count` vectors, one after the other; at most [`count`](Self::count).
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::File`] if a number is not finite.
    pub fn first(&mut self, count: usize) -> Result<Vec<f32>, Error> {
        self.0.read_finite(&(0..count).collect::<Vec<_>>(), "row")
    }

    /// `count` vectors at even distances, with the errors of [`VectorArray::first`].
    pub fn spread(&mut self, count: usize) -> Result<Vec<f32>, Error> {
        self.0.read_finite(&spread(self.count(), count), "row")
    }
}
