//! Checks of `[data]` that are possible without opening it.

use super::within;
use crate::config::DataConfig;
use crate::error::{Error, Result};

/// Largest side of a crop box: JPEG's limit.
const MOST: usize = 65_535;

pub(super) fn check(data: &DataConfig) -> Result<()> {
    within("data.workers", data.workers, 0, 64)?;
    data.limit.map_or(Ok(()), |limit| within("data.limit", limit, 1, usize::MAX))?;
    data.window.map_or(Ok(()), |window| within("data.window", window, 1, usize::MAX))?;
    if data.window.is_some() && data.replacement {
        let problem = "images that are drawn with data.replacement have no order: remove one of the two";
        return Err(Error::config("data.window", problem));
    }
    data.set.check()?;
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

/// Refuses settings of images for points, which have no size.
fn check_points(data: &DataConfig) -> Result<()> {
    let given = [("crop", data.crop.is_some()), ("flip", data.flip), ("split", data.set.split().is_some())];
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

    /// Returns the checked `[data]` of a preset with `assignments` over it.
    fn checked(preset: &str, assignments: &[&str]) -> Result<()> {
        let mut table = layering::from_preset(presets::get(preset)?)?;
        assignments.iter().try_for_each(|assignment| layering::set(&mut table, assignment))?;
        check(&layering::read(table)?.data)
    }

    #[test]
    fn settings_of_one_set_are_refused_beside_any_other_name() {
        for (preset, set, key, names) in [
            ("dcgan-mnist", "data.ring.modes=3", "data.ring", "\"ring\""),
            ("dcgan-mnist", "data.grid.side=3", "data.grid", "\"grid\""),
            ("dcgan-cifar10", "data.curve={x=[0,1], curves=[{polynomial=[1]}]}", "data.curve", "\"curve\""),
            ("grid2d", "data.ring.modes=3", "data.ring", "\"ring\""),
            ("dcgan-mnist", "data.count=3", "data.count", "\"stacked-mnist\" or \"synthetic\""),
            ("ring2d", "data.count=3", "data.count", "\"stacked-mnist\" or \"synthetic\""),
        ] {
            let message = checked(preset, &[set]).unwrap_err().to_string();
            let words = format!("{key}: is for data.name = {names}, found ");
            assert!(message.contains(&words) && message.contains("remove it"), "{preset}, {set}: {message}");
        }
    }

    #[test]
    fn another_set_drops_the_settings_of_the_old_one_and_keeps_those_that_it_shares() {
        checked("ring2d", &["data.name=grid"]).unwrap();
        checked("dcgan-celeba", &["data.name=synthetic"]).unwrap();
        checked("dcgan-mnist", &["data.name=stacked-mnist", "data.count=30", "data.name=synthetic"]).unwrap();
    }

    #[test]
    fn the_older_name_of_synthetic_data_is_read_with_all_that_stood_beside_it() {
        let table = |text: &str| crate::layering::Table::from_iter([("data".into(), toml::from_str(text).unwrap())]);
        let old =
            layering::read_data(table("name = 'made'\nchannels = 1\nsize = 8\ncount = 9\nsplit = 'all'")).unwrap();
        let new = layering::read_data(table("name = 'synthetic'\nchannels = 1\nsize = 8\ncount = 9")).unwrap();
        assert_eq!(old, new);
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
        checked("dcgan-mnist", &["data.name=synthetic", "data.count=300"]).unwrap();
        let message = checked("dcgan-mnist", &["data.name=stacked-mnist", "data.count=0"]).unwrap_err().to_string();
        assert!(message.contains("data.count: found 0, expected 1 to 100000000"), "{message}");
    }
}
