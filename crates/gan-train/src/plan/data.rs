//! `[data]` checked, as far as that goes without opening it.

use super::within;
use crate::config::DataConfig;
use crate::error::{Error, Result};

/// Largest side of a box to cut out: JPEG's.
const MOST: usize = 65_535;

pub(super) fn check(data: &DataConfig) -> Result<()> {
    within("data.workers", data.workers, 0, 64)?;
    if data.name == "folder" && data.split.is_some() {
        let problem = "a folder of images has no splits: remove it, and name the folder of one with data.dir";
        return Err(Error::config("data.split", problem));
    }
    match data.size.map(|size| size.get()) {
        None => check_points(data),
        Some(sides) => check_images(data, sides),
    }
}

fn check_images(data: &DataConfig, sides: [usize; 2]) -> Result<()> {
    if ![1, 3].contains(&data.channels) {
        let problem = format!("{} cannot be used: expected 1 (grey) or 3 (colour)", data.channels);
        return Err(Error::config("data.channels", problem));
    }
    sides.into_iter().try_for_each(|side| within("data.size", side, 1, 4096))?;
    data.crop.map_or([1, 1], |crop| crop.get()).into_iter().try_for_each(|side| within("data.crop", side, 1, MOST))
}

/// What has no size is points, which cannot be treated as images are.
fn check_points(data: &DataConfig) -> Result<()> {
    let given = [("crop", data.crop.is_some()), ("flip", data.flip), ("split", data.split.is_some())];
    if let Some((key, _)) = given.iter().find(|(_, given)| *given) {
        let problem = "is for images, which need data.size: remove it, or set data.size";
        return Err(Error::config(format!("data.{key}"), problem));
    }
    within("data.channels", data.channels, 1, 1 << 16)
}
