//! Features without a network: points as they are, and images as thumbnails of their pixels.

use super::{Embedder, Embedding, FeatureSpace};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};

/// What cards call coordinates, and thumbnails.
pub(super) const COORDINATES: &str = "coordinates";
pub(super) const THUMBNAILS: &str = "thumbnails";

/// Side of a thumbnail.
const SIDE: usize = 8;

/// Points in their own units.
#[derive(Clone, Debug)]
pub struct Coordinates {
    /// What −1 and 1 stand for, by coordinate.
    units: Vec<[f64; 2]>,
}

impl Coordinates {
    /// For points `[N, D]` in [−1, 1], where −1 and 1 stand for `[low, high]`, by coordinate.
    pub fn new(units: Vec<[f64; 2]>) -> Self {
        Self { units }
    }
}

impl Embedder for Coordinates {
    fn name(&self) -> &str {
        COORDINATES
    }
    fn feature_space(&self) -> FeatureSpace {
        FeatureSpace::Coordinates
    }
    fn hash(&self) -> &str {
        "none"
    }
    fn resizing(&self) -> Option<&str> {
        None
    }
    fn dim(&self) -> usize {
        self.units.len()
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn embed(&self, points: &Tensor) -> Result<Embedding> {
        let d = self.units.len();
        if points.rank() != 2 || points.dim(1)? != d {
            let (found, expected) = (format!("{:?}", points.dims()), format!("[N, {d}]"));
            return Err(Error::Mismatch {
                what: "points".into(),
                found,
                expected,
                advice: "compare like with like".into(),
            });
        }
        let scale: Vec<f32> = self.units.iter().map(|[low, high]| ((high - low) / 2.0) as f32).collect();
        let middle: Vec<f32> = self.units.iter().map(|[low, high]| ((high + low) / 2.0) as f32).collect();
        let [scale, middle] = [scale, middle].map(|v| Tensor::from_vec(v, (1, d), &Device::Cpu));
        let features = points.to_device(&Device::Cpu)?.broadcast_mul(&scale?)?.broadcast_add(&middle?)?;
        Ok(Embedding { features, logits: None })
    }
}

/// Images shrunk to at most 8×8 by means over areas: what is left to compare by where no network fits the data. Sees colours, brightness and
/// coarse layout, no detail.
#[derive(Clone, Debug)]
pub struct Thumbnails {
    shape: [usize; 3],
}

impl Thumbnails {
    /// For images `[C, H, W]`.
    pub fn new(shape: [usize; 3]) -> Self {
        Self { shape }
    }

    /// Rows and columns of a thumbnail.
    fn sides(&self) -> [usize; 2] {
        [self.shape[1].clamp(1, SIDE), self.shape[2].clamp(1, SIDE)]
    }
}

impl Embedder for Thumbnails {
    fn name(&self) -> &str {
        THUMBNAILS
    }
    fn feature_space(&self) -> FeatureSpace {
        FeatureSpace::Thumbnails
    }
    fn hash(&self) -> &str {
        "none"
    }
    fn resizing(&self) -> Option<&str> {
        Some("means over 8×8 areas")
    }
    fn dim(&self) -> usize {
        let [rows, columns] = self.sides();
        self.shape[0] * rows * columns
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        let [c, h, w] = self.shape;
        if images.rank() != 4 || images.dims()[1..] != self.shape {
            let (found, expected) = (format!("{:?}", images.dims()), format!("[N, {c}, {h}, {w}]"));
            return Err(Error::Mismatch {
                what: "images".into(),
                found,
                expected,
                advice: "compare like with like".into(),
            });
        }
        let (n, [rows, columns]) = (images.dim(0)?, self.sides());
        let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
        let mut made = Vec::with_capacity(n * self.dim());
        for plane in values.chunks_exact(h * w) {
            for i in 0..rows {
                for j in 0..columns {
                    made.push(mean(
                        plane,
                        w,
                        [i * h / rows, (i + 1) * h / rows],
                        [j * w / columns, (j + 1) * w / columns],
                    ));
                }
            }
        }
        Ok(Embedding { features: Tensor::from_vec(made, (n, self.dim()), &Device::Cpu)?, logits: None })
    }
}

/// The mean over some rows and columns of a plane that is `width` wide.
fn mean(plane: &[f32], width: usize, [top, bottom]: [usize; 2], [left, right]: [usize; 2]) -> f32 {
    let rows = (top..bottom).map(|row| plane[row * width + left..row * width + right].iter().sum::<f32>());
    rows.sum::<f32>() / ((bottom - top) * (right - left)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    #[test]
    fn coordinates_are_in_their_own_units() {
        let points = Tensor::new(&[[-1f32, 1.0], [0.0, -1.0]], &Device::Cpu).unwrap();
        let made = Coordinates::new(vec![[-50.0, 50.0], [10.0, 20.0]]).embed(&points).unwrap();
        assert_eq!(made.features.to_vec2::<f32>().unwrap(), [[-50.0, 20.0], [0.0, 10.0]]);
        let wrong = Coordinates::new(vec![[0.0, 1.0]]).embed(&points).unwrap_err().to_string();
        assert!(wrong.contains("[2, 2]") && wrong.contains("[N, 1]"), "{wrong}");
    }

    #[test]
    fn thumbnails_are_means_over_areas() {
        let image: Vec<f32> = (0..2 * 16 * 12).map(|i| i as f32).collect();
        let images = Tensor::from_vec(image.clone(), (1, 2, 16, 12), &Device::Cpu).unwrap();
        let thumbnails = Thumbnails::new([2, 16, 12]);
        let made = Features::from_tensor(&thumbnails.embed(&images).unwrap().features).unwrap();
        assert_eq!((made.dim(), made.len()), (128, 1));
        let expected = |c: usize, rows: [usize; 2], columns: [usize; 2]| {
            let all: Vec<f32> = (rows[0]..rows[1])
                .flat_map(|y| (columns[0]..columns[1]).map(move |x| (y, x)))
                .map(|(y, x)| image[c * 192 + y * 12 + x])
                .collect();
            all.iter().sum::<f32>() / all.len() as f32
        };
        assert!((made.row(0)[0] - expected(0, [0, 2], [0, 1])).abs() < 1e-4);
        assert!((made.row(0)[64 + 8 * 3 + 5] - expected(1, [6, 8], [7, 9])).abs() < 1e-4);
        assert_eq!(Thumbnails::new([1, 4, 4]).dim(), 16);
    }
}
