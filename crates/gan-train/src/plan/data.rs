//! `[data]` checked, as far as that goes without opening it.

use super::within;
use crate::config::DataConfig;
use crate::error::{Error, Result};

/// Largest side of a box to cut out: JPEG's.
const MOST: usize = 65_535;
/// The most images that are made: their order alone takes 8 bytes each.
const MOST_MADE: usize = 100_000_000;

pub(super) fn check(data: &DataConfig) -> Result<()> {
    within("data.workers", data.workers, 0, 64)?;
    data.limit.map_or(Ok(()), |limit| within("data.limit", limit, 1, usize::MAX))?;
    data.count.map_or(Ok(()), |count| within("data.count", count, 1, MOST_MADE))?;
    data.window.map_or(Ok(()), |window| within("data.window", window, 1, usize::MAX))?;
    if data.window.is_some() && data.replacement {
        let problem = "images that are drawn with data.replacement have no order: remove one of the two";
        return Err(Error::config("data.window", problem));
    }
    only_of_its_set(data)?;
    if data.name == "folder" && data.split.is_some() {
        let problem = "a folder of images has no splits: remove it, and name the folder of one with data.dir";
        return Err(Error::config("data.split", problem));
    }
    match data.size.map(|size| size.get()) {
        None => check_points(data),
        Some(sides) => check_images(data, sides),
    }
}

/// What says how one set's samples are made is wrong beside another's name.
pub(crate) fn only_of_its_set(data: &DataConfig) -> Result<()> {
    // What benches put in place of any images takes their number too.
    let made = data.name == "made";
    let given = [
        ("curve", data.curve.is_some(), "curve"),
        ("ring", data.ring.is_some(), "ring"),
        ("grid", data.grid.is_some(), "grid"),
        ("count", data.count.is_some() && !made, "stacked-mnist"),
    ];
    let misplaced = given.into_iter().find(|(_, given, name)| *given && *name != data.name);
    misplaced.map_or(Ok(()), |(key, _, name)| {
        let problem = format!("is for data.name = \"{name}\", found \"{}\": remove it", data.name);
        Err(Error::config(format!("data.{key}"), problem))
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layering, presets};

    /// The `[data]` of a preset with `assignments` over it, checked.
    fn checked(preset: &str, assignments: &[&str]) -> Result<()> {
        let mut table = layering::from_preset(presets::get(preset)?)?;
        assignments.iter().try_for_each(|assignment| layering::set(&mut table, assignment))?;
        check(&layering::read(table)?.data)
    }

    #[test]
    fn settings_of_one_set_are_refused_beside_any_other_name() {
        for (preset, set, key, name) in [
            ("dcgan-mnist", "data.ring.modes=3", "data.ring", "ring"),
            ("dcgan-mnist", "data.grid.side=3", "data.grid", "grid"),
            ("dcgan-cifar10", "data.curve={x=[0,1], curves=[{polynomial=[1]}]}", "data.curve", "curve"),
            ("grid2d", "data.ring.modes=3", "data.ring", "ring"),
            ("dcgan-mnist", "data.count=3", "data.count", "stacked-mnist"),
            ("ring2d", "data.count=3", "data.count", "stacked-mnist"),
        ] {
            let message = checked(preset, &[set]).unwrap_err().to_string();
            let words = format!("{key}: is for data.name = \"{name}\", found ");
            assert!(message.contains(&words) && message.contains("remove it"), "{preset}, {set}: {message}");
        }
    }

    #[test]
    fn windows_of_nothing_or_of_draws_are_refused() {
        let message = |assignments: &[&str]| checked("dcgan-mnist", assignments).unwrap_err().to_string();
        assert!(message(&["data.window=0"]).starts_with("data.window: "), "{}", message(&["data.window=0"]));
        let both = message(&["data.window=100", "data.replacement=true"]);
        assert!(both.contains("data.window: images that are drawn with data.replacement have no order"), "{both}");
        checked("dcgan-mnist", &["data.window=100"]).unwrap();
    }

    #[test]
    fn settings_of_the_set_itself_are_taken() {
        checked("ring2d", &["data.ring.modes=3"]).unwrap();
        checked("curve2d", &["data.curve.x=[0, 3]"]).unwrap();
        checked("dcgan-mnist", &["data.name=stacked-mnist", "data.count=300"]).unwrap();
        checked("dcgan-mnist", &["data.name=made", "data.count=300"]).unwrap();
        let message = checked("dcgan-mnist", &["data.name=stacked-mnist", "data.count=0"]).unwrap_err().to_string();
        assert!(message.contains("data.count: 0 cannot be used: expected 1 to 100000000"), "{message}");
    }
}
