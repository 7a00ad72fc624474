//! The presets, embedded in the library so that a binary needs no files beside it.

use crate::error::{Error, Result};
use gan_core::wording::choose;

/// A preset's name and TOML text.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// As in `gan train NAME`.
    pub name: &'static str,
    /// The file as it stands in `presets/`.
    pub text: &'static str,
}

macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, text: include_str!(concat!("../../../presets/", $name, ".toml")) }
    };
}

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

/// The preset called `name`, if there is one.
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|p| p.name == name)
}

/// The preset called `name`.
///
/// # Errors
/// If there is none; the message names the nearest.
pub fn get(name: &str) -> Result<&'static Preset> {
    find(name).ok_or_else(|| {
        let all: Vec<&str> = ALL.iter().map(|p| p.name).collect();
        Error::config(
            format!("preset \"{name}\""),
            format!("there is none of that name, nor a file{}", choose(name, &all)),
        )
    })
}
