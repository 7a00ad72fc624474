//! Features without a network: points as they are, and images as thumbnails of their pixels.

use super::{Embedder, EmbedderInfo, Embedding, FeatureSpace};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};

/// Name of coordinates on cards.
pub(super) const COORDINATES: &str = "coordinates";
/// Name of thumbnails on cards.
pub(super) const THUMBNAILS: &str = "thumbnails";

/// Maximum side of a thumbnail.
const SIDE: usize = 8;

/// Points in their own units.
#[derive(Clone, Debug)]
pub struct Coordinates {
    info: EmbedderInfo,
    units: Vec<[f64; 2]>,
}

impl Coordinates {
    /// Returns the embedder of points `[N, D]` in [−1, 1], where −1 and 1 stand for `[low, high]` of each coordinate.
    pub fn new(units: Vec<[f64; 2]>) -> Self {
        Self { info: EmbedderInfo::new(COORDINATES, "none", FeatureSpace::Coordinates, units.len()), units }
    }
}

impl Embedder for Coordinates {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&self, points: &Tensor) -> Result<Embedding> {
        let d = self.units.len();
        if points.rank() != 2 || points.dim(1)? != d {
            let found = format!("{:?}", points.dims());
            return Err(Error::mismatch("points", found, format!("[N, {d}]"), "compare like with like"));
        }
        let scale: Vec<f32> = self.units.iter().map(|[low, high]| ((high - low) / 2.0) as f32).collect();
        let middle: Vec<f32> = self.units.iter().map(|[low, high]| ((high + low) / 2.0) as f32).collect();
        let [scale, middle] = [scale, middle].map(|v| Tensor::from_vec(v, (1, d), &Device::Cpu));
        let features = points.to_device(&Device::Cpu)?.broadcast_mul(&scale?)?.broadcast_add(&middle?)?;
        Ok(Embedding { features, logits: None })
    }
}

/// Images shrunk to at most 8×8 by means over areas, for data that no network fits. They contain colours, brightness and
/// coarse layout, but no detail.
#[derive(Clone, Debug)]
pub struct Thumbnails {
    info: EmbedderInfo,
    shape: [usize; 3],
    /// Rows and columns of a thumbnail.
    sides: [usize; 2],
}

impl Thumbnails {
    /// Returns the embedder of images `[C, H, W]`.
    pub fn new(shape: [usize; 3]) -> Self {
        let sides = [shape[1].clamp(1, SIDE), shape[2].clamp(1, SIDE)];
        let dim = shape[0] * sides[0] * sides[1];
        let mut info = EmbedderInfo::new(THUMBNAILS, "none", FeatureSpace::Thumbnails, dim);
        info.card.resize = Some("means over 8×8 areas".into());
        Self { info, shape, sides }
    }
}

impl Embedder for Thumbnails {
    fn info(&self) -> &EmbedderInfo {
        &self.info
    }

    fn embed(&self, images: &Tensor) -> Result<Embedding> {
        let [c, h, w] = self.shape;
        if images.rank() != 4 || images.dims()[1..] != self.shape {
            let found = format!("{:?}", images.dims());
            return Err(Error::mismatch("images", found, format!("[N, {c}, {h}, {w}]"), "compare like with like"));
        }
        let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
        let means = area_means(&values, [h, w], self.sides);
        let features = Tensor::from_vec(means, (images.dim(0)?, self.info.card.dim), &Device::Cpu)?;
        Ok(Embedding { features, logits: None })
    }
}

/// Returns the means of planes `[H, W]` over areas, `rows` × `columns` of each. Areas of a plane with fewer pixels repeat pixels.
pub(crate) fn area_means(planes: &[f32], [h, w]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let span = |i: usize, side: usize, parts: usize| {
        let start = i * side / parts;
        [start, ((i + 1) * side / parts).max(start + 1)]
    };
    let mut means = Vec::with_capacity(planes.len() / (h * w).max(1) * rows * columns);
    for plane in planes.chunks_exact((h * w).max(1)) {
        for i in 0..rows {
            for j in 0..columns {
                means.push(mean(plane, w, span(i, h, rows), span(j, w, columns)));
            }
        }
    }
    means
}

/// Returns the mean over some rows and columns of a plane that is `width` wide.
fn mean(plane: &[f32], width: usize, [top, bottom]: [usize; 2], [left, right]: [usize; 2]) -> f32 {
    let rows = (top..bottom).map(|row| plane[row * width + left..row * width + right].iter().sum::<f32>());
    rows.sum::<f32>() / ((bottom - top) * (right - left)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;

    #[test]
    fn coordinates_are_not_rescaled() {
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
        assert_eq!(Thumbnails::new([1, 4, 4]).info().card.dim, 16);
    }
}
