//! Each set of images, opened as the plan wants it.

use crate::config::DataConfig;
use crate::error::{Error, Result};
use gan_data::{
    Broken, CelebA, CelebAOptions, Cifar10, Cifar10Options, Dataset, Family, Fitting, ImageFolder, ImageOptions, Mnist,
    MnistOptions, Resized, StackedMnist, StackedOptions,
};
use std::sync::Arc;

type Set = Result<Arc<dyn Dataset>>;

pub fn mnist(data: &DataConfig, sample: &[usize], family: Family) -> Set {
    let options = MnistOptions { family, dir: data.dir.clone(), split: data.split.unwrap_or_default() };
    fitted(data, sample, Arc::new(Mnist::load(&options)?))
}

pub fn stacked_mnist(data: &DataConfig, sample: &[usize], seed: u64) -> Set {
    let (dir, split) = (data.dir.clone(), data.split.unwrap_or_default());
    fitted(data, sample, Arc::new(StackedMnist::load(&StackedOptions { dir, split, count: data.count, seed })?))
}

pub fn cifar10(data: &DataConfig, sample: &[usize]) -> Set {
    let options = Cifar10Options { dir: data.dir.clone(), split: data.split.unwrap_or_default() };
    fitted(data, sample, Arc::new(Cifar10::load(&options)?))
}

pub fn celeba(data: &DataConfig) -> Set {
    let options = CelebAOptions { dir: data.dir.clone(), split: data.split, images: options(data)? };
    Ok(Arc::new(CelebA::open(&options)?))
}

pub fn folder(data: &DataConfig) -> Set {
    let options = options(data)?;
    let Some(dir) = &data.dir else {
        return Err(Error::config("data.dir", "is missing: name the folder with the images by --set data.dir=DIR"));
    };
    Ok(Arc::new(ImageFolder::open(dir, &options)?))
}

/// A set of one size brought to the plan's, where it is another. What has other channels is left to the check that follows.
pub fn fitted(data: &DataConfig, wanted: &[usize], set: Arc<dyn Dataset>) -> Set {
    let has = set.shape();
    if wanted.len() != 3 || wanted[0] != has[0] || (wanted == has && data.crop.is_none()) {
        return Ok(set);
    }
    Ok(Arc::new(Resized::new(set, fitting(data)?)?))
}

fn options(data: &DataConfig) -> Result<ImageOptions> {
    let broken = if data.strict { Broken::Refuse } else { Broken::Skip };
    Ok(ImageOptions { channels: data.channels, fitting: fitting(data)?, broken })
}

fn fitting(data: &DataConfig) -> Result<Fitting> {
    let Some(size) = data.size else {
        return Err(Error::config("data.size", format!("is missing; images of {} need one, e.g. 64", data.name)));
    };
    Ok(Fitting {
        size: size.get(),
        crop: data.crop.map(|crop| crop.get()),
        fit: data.fit,
        filter: data.filter,
        background: data.background.0,
        small: data.small,
    })
}
