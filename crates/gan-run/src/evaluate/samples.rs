//! Samples of one side of a comparison: images as they reach the network (as the set returns them, in their own sizes, or in one size),
//! and existing samples to evaluate.

use super::AT_ONCE;
use crate::error::Result;
use candle_core::{Device, Tensor};
use gan_data::Dataset;
use gan_data::images::{Filter, Fit, Fitting, Pixels, Small, fit};
use gan_data::npy::ImageArray;
use gan_metrics::{ImageSizes, ResizedTo};
use gan_train::config::DataConfig;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Maximum number of values in a batch of images in their own sizes: 128 MiB.
pub(super) const VALUES_AT_ONCE: usize = 1 << 25;

/// A set of samples and the way in which they are read.
#[derive(Clone)]
pub(super) struct Images {
    pub set: Arc<dyn Dataset>,
    pub way: Way,
}

/// Way in which samples are read from their set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    /// In the set's shape: points, and images at the training size.
    AsGiven,
    /// In the size in which each is stored.
    Own,
    /// Resized to one size.
    Fitted(Fitting),
}

/// Minimum and maximum height and width of some images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeRange {
    pub smallest: [usize; 2],
    pub largest: [usize; 2],
}

impl SizeRange {
    /// Returns the range of images that all have this size.
    pub fn one(size: [usize; 2]) -> Self {
        Self { smallest: size, largest: size }
    }

    fn and(self, other: Self) -> Self {
        Self {
            smallest: [0, 1].map(|i| self.smallest[i].min(other.smallest[i])),
            largest: [0, 1].map(|i| self.largest[i].max(other.largest[i])),
        }
    }

    /// Returns the description for a card, with the new size if images are resized.
    pub fn card(self, way: Way, shape: &[usize], settings: &DataConfig) -> ImageSizes {
        let size = match way {
            Way::Own => None,
            Way::Fitted(fitting) => Some(fitting.size),
            Way::AsGiven => shape.get(1..3).map(|sides| [sides[0], sides[1]]),
        };
        let cut = settings.crop.map(|crop| format!("centre box of {}×{}", crop.get()[0], crop.get()[1]));
        let size = size.filter(|size| self != Self::one(*size));
        let how: Vec<String> = cut.into_iter().chain(size.map(|_| how(settings))).collect();
        let size = size.unwrap_or(self.smallest);
        let resized = (!how.is_empty()).then(|| ResizedTo { size, how: how.join(", ") });
        ImageSizes { smallest: self.smallest, largest: self.largest, resized }
    }
}

/// Describes how the settings resize.
fn how(settings: &DataConfig) -> String {
    let filter = match settings.filter {
        // ignore-tidy-names: a filter, not the layer
        Filter::Bilinear => "bilinear",
        Filter::Bicubic => "bicubic",
        Filter::Lanczos => "Lanczos",
    };
    let fit = match settings.fit {
        Fit::Crop => "centre crop",
        Fit::Pad => "padded",
        Fit::Stretch => "stretched",
    };
    format!("{filter}, {fit}")
}

/// Returns the resizing to `size` with the settings' method, after the crop of `data.crop`.
pub(super) fn fitting(settings: &DataConfig, size: [usize; 2]) -> Fitting {
    let DataConfig { fit, filter, background, .. } = settings;
    Fitting { size, crop: None, fit: *fit, filter: *filter, background: background.0, small: Small::Upscale }
}

impl Images {
    /// Returns the sizes of the images as they are stored; `None` for points.
    pub fn sizes(&self) -> Option<SizeRange> {
        let shape = self.set.shape();
        let &[_, height, width] = &shape[..] else { return None };
        let sizes = (0..self.set.len()).map(|index| self.set.stored_size(index).unwrap_or([height, width]));
        sizes.map(SizeRange::one).reduce(SizeRange::and)
    }

    /// Divides the numbers of `order` into batches that can be embedded at once: images in their own sizes are grouped by size.
    pub fn batches(&self, order: &[usize]) -> Vec<Vec<usize>> {
        if self.way != Way::Own {
            return order.chunks(AT_ONCE).map(<[usize]>::to_vec).collect();
        }
        let mut by_size: BTreeMap<Option<[usize; 2]>, Vec<usize>> = BTreeMap::new();
        order.iter().for_each(|index| by_size.entry(self.set.stored_size(*index)).or_default().push(*index));
        let batches = by_size.into_iter().flat_map(|(size, indices)| {
            let values = size.map_or(self.set.pixels(), |[h, w]| self.set.shape()[0] * h * w);
            let at_once = (VALUES_AT_ONCE / values.max(1)).clamp(1, AT_ONCE);
            indices.chunks(at_once).map(<[usize]>::to_vec).collect::<Vec<_>>()
        });
        batches.collect()
    }

    /// Reads a batch, `[N, C, H, W]` or `[N, D]`, without images whose files are damaged; `None` if all are.
    pub fn read(&self, indices: &[usize]) -> Result<Option<Tensor>> {
        let is_stored = indices.first().is_some_and(|index| self.set.stored_size(*index).is_some());
        if self.way == Way::AsGiven || !is_stored {
            let samples = gan_train::data::samples(self.set.as_ref(), indices)?;
            return match self.way {
                Way::Fitted(fitting) => fitted(&samples, &fitting).map(Some),
                Way::AsGiven | Way::Own => Ok(Some(samples)),
            };
        }
        let mut values: Vec<f32> = Vec::new();
        let mut shape = None;
        let mut count = 0;
        for index in indices {
            let Some(image) = self.set.stored(*index)? else { continue };
            let image = match self.way {
                Way::Fitted(fitting) => fit(image, &fitting),
                Way::AsGiven | Way::Own => image,
            };
            let from = values.len();
            values.resize(from + image.bytes.len(), 0.0);
            image.scale_into(&mut values[from..]);
            shape = Some((image.channels, image.size));
            count += 1;
        }
        let Some((channels, [height, width])) = shape else { return Ok(None) };
        Ok(Some(Tensor::from_vec(values, (count, channels, height, width), &Device::Cpu)?))
    }
}

/// Resizes images `[N, C, H, W]` by way of bytes; those that already have the size do not change.
pub(super) fn fitted(images: &Tensor, fitting: &Fitting) -> Result<Tensor> {
    let (n, c, h, w) = images.dims4()?;
    if [h, w] == fitting.size {
        return Ok(images.clone());
    }
    let values: Vec<f32> = images.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?;
    let [height, width] = fitting.size;
    let mut made = vec![0.0; n * c * height * width];
    for (from, to) in values.chunks_exact(c * h * w).zip(made.chunks_exact_mut(c * height * width)) {
        fit(Pixels::of_sample(from, [h, w], c), fitting).scale_into(to);
    }
    Ok(Tensor::from_vec(made, (n, c, height, width), &Device::Cpu)?)
}

/// Existing samples.
pub struct Given(pub(super) Kind);

pub(super) enum Kind {
    Images(Images),
    Array(Box<ImageArray>),
    /// `[N, D]` in [−1, 1].
    Points(Tensor),
}

impl Given {
    /// Returns points of the set `like` from a flat list of numbers in their original units.
    pub(super) fn points(values: &[f32], like: &dyn Dataset) -> Result<Self> {
        let dim = like.pixels();
        let scaled: Vec<f32> = match like.units() {
            None => values.to_vec(),
            Some(units) => {
                let rows = values.chunks_exact(dim);
                rows.flat_map(|row| units.scaled(&row.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())).collect()
            }
        };
        Ok(Self(Kind::Points(Tensor::from_vec(scaled, (values.len() / dim, dim), &Device::Cpu)?)))
    }

    /// Returns the number of samples.
    pub fn count(&self) -> usize {
        match &self.0 {
            Kind::Images(images) => images.set.len(),
            Kind::Array(array) => array.count(),
            Kind::Points(points) => points.dims()[0],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_data::ImageFolder;
    use gan_data::images::{Broken, ImageOptions};
    use gan_report::{Colour, Picture};

    /// Returns a folder of gray PNGs of these sizes, with one gray each.
    fn folder(sizes: &[[usize; 2]]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (i, [height, width]) in sizes.iter().enumerate() {
            let pixels = vec![i as u8 * 10; height * width];
            let picture = Picture::new(Colour::Grey, [*width, *height], pixels).unwrap();
            picture.save_png(&dir.path().join(format!("{i}.png"))).unwrap();
        }
        dir
    }

    fn images(dir: &tempfile::TempDir, way: Way) -> Images {
        let options = ImageOptions { channels: 1, fitting: any(), broken: Broken::Skip };
        Images { set: Arc::new(ImageFolder::open(dir.path(), &options).unwrap()), way }
    }

    fn any() -> Fitting {
        Fitting { small: Small::Upscale, ..Fitting::to([1, 1]) }
    }

    #[test]
    fn images_of_several_sizes_are_grouped_by_size() {
        let dir = folder(&[[4, 6], [8, 8], [4, 6], [8, 8], [2, 2]]);
        let images = images(&dir, Way::Own);
        let range = images.sizes().unwrap();
        assert_eq!((range.smallest, range.largest), ([2, 2], [8, 8]));
        let batches = images.batches(&[0, 1, 2, 3, 4]);
        assert_eq!(batches, [vec![4], vec![0, 2], vec![1, 3]]);
        let batch = images.read(&batches[1]).unwrap().unwrap();
        assert_eq!(batch.dims(), [2, 1, 4, 6]);
        let values: Vec<f32> = batch.flatten_all().unwrap().to_vec1().unwrap();
        assert!(values[..24].iter().all(|v| *v == -1.0) && values[24..].iter().all(|v| *v == 20.0 / 127.5 - 1.0));
        // A file that is damaged after its header is skipped.
        let bytes = std::fs::read(dir.path().join("2.png")).unwrap();
        std::fs::write(dir.path().join("2.png"), &bytes[..bytes.len() - 20]).unwrap();
        assert_eq!(images.read(&batches[1]).unwrap().unwrap().dims(), [1, 1, 4, 6]);
    }

    #[test]
    fn images_are_resized_to_one_size_and_the_card_names_it() {
        let dir = folder(&[[4, 6], [8, 8]]);
        let way = Way::Fitted(Fitting { size: [4, 4], ..any() });
        let images = images(&dir, way);
        assert_eq!(images.read(&images.batches(&[0, 1])[0]).unwrap().unwrap().dims(), [2, 1, 4, 4]);
        let settings: DataConfig = serde_json::from_str(r#"{"name": "folder", "channels": 1}"#).unwrap();
        let card = images.sizes().unwrap().card(way, &[], &settings);
        assert_eq!(card.to_string(), "4×6 to 8×8, resized to 4×4 (bilinear, centre crop)");
        assert_eq!(SizeRange::one([4, 4]).card(way, &[], &settings).resized, None);
        let boxed = DataConfig { crop: Some(gan_core::layers::Pair::Each([4, 4])), ..settings };
        let card = SizeRange::one([4, 4]).card(Way::Own, &[], &boxed);
        assert_eq!(card.to_string(), "4×4, resized to 4×4 (centre box of 4×4)");
    }
}
