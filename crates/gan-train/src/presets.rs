//! The presets, embedded in the library so that a binary needs no files beside it.

use crate::error::{Error, Result};
use gan_base::messages::choose;

/// Name and TOML text of a preset.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name, as in `gan train NAME`.
    pub name: &'static str,
    /// Text of the file in this crate's folder `presets`.
    pub text: &'static str,
}

macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, text: include_str!(concat!("../presets/", $name, ".toml")) }
    };
}

/// The recipe for a folder of images on a CPU.
pub const OWN_IMAGES: &str = "own-images";
/// The recipes for a folder of images.
pub const RECIPES: [&str; 2] = [OWN_IMAGES, "r3gan-images"];

/// Every preset, in the order in which they are listed.
pub const ALL: &[Preset] = &[
    preset!("mnist"),
    preset!("dcgan-mnist"),
    preset!("keras-mnist"),
    preset!("upsample-mnist"),
    preset!("upsample-mnist-as-printed"),
    preset!("mlp-mnist"),
    preset!("wgan-mnist"),
    preset!("wgan-gp-mnist"),
    preset!("lsgan-mnist"),
    preset!("hinge-sn-mnist"),
    preset!("cgan-mnist"),
    preset!("acgan-mnist"),
    preset!("r3gan-mnist"),
    preset!("stacked-mnist"),
    preset!("dcgan-celeba"),
    preset!("dcgan-cifar10"),
    preset!("sngan-cifar10"),
    preset!("r3gan-cifar10"),
    preset!("own-images"),
    preset!("r3gan-images"),
    preset!("dcgan-folder"),
    preset!("curve2d"),
    preset!("sine2d"),
    preset!("cosine2d"),
    preset!("poly2d"),
    preset!("two-curves2d"),
    preset!("curve3d"),
    preset!("ring2d"),
    preset!("grid2d"),
];

/// Returns the preset called `name`, if there is one.
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|p| p.name == name)
}

/// Returns the preset called `name`.
///
/// # Errors
/// If there is none; the message suggests the nearest.
pub fn get(name: &str) -> Result<&'static Preset> {
    find(name).ok_or_else(|| {
        let all: Vec<&str> = ALL.iter().map(|p| p.name).collect();
        Error::config(
            format!("preset \"{name}\""),
            format!("there is none of that name, nor a file{}", choose(name, &all)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plan, layering};

    fn is_toml_1_0(text: &str) -> std::result::Result<(), String> {
        text.parse::<toml_1_0::Table>().map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn every_parser_of_toml_1_0_reads_presets_and_what_runs_write() {
        assert!(is_toml_1_0("a = { b = 1,\n c = 2 }").is_err(), "the parser of this test takes TOML 1.1");
        for preset in ALL {
            is_toml_1_0(preset.text).unwrap_or_else(|problem| panic!("{}: {problem}", preset.name));
            let config = layering::read(layering::from_preset(preset).unwrap()).unwrap();
            is_toml_1_0(&toml::to_string(&config).unwrap())
                .unwrap_or_else(|problem| panic!("{}: {problem}", preset.name));
        }
    }

    #[test]
    fn full_settings_describe_the_same_networks() {
        for preset in ALL {
            let plan = Plan::preset(preset.name).unwrap();
            let text = toml::to_string(&plan.full_config()).unwrap();
            let again = layering::read(toml::from_str(&text).unwrap()).unwrap().check().unwrap();
            assert!(!text.contains("family") && !text.contains("repeat"), "{}", preset.name);
            assert_eq!(again.generator, plan.generator, "{}", preset.name);
            assert_eq!(again.discriminator, plan.discriminator, "{}", preset.name);
        }
    }
}
