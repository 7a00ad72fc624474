//! Generators that somebody explores, kept in memory.

use crate::index::locked;
use candle_core::{Device, Tensor};
use gan_base::Rng;
use gan_core::weights::Description;
use gan_core::{Distribution, Generator, LayeredGenerator, slerp, weights};
use gan_data::Units;
use gan_export::directions::{Direction, principal};
use gan_run::pictures;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// Number of generators that are kept.
const MOST: usize = 3;

/// Maximum size of a weight file in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// Number of directions, if the latent space has as many dimensions.
const DIRECTIONS: usize = 10;

/// Limits of the offset along a direction, in standard deviations.
const FARTHEST: f32 = 10.0;

/// Generators by file and time of its last change, the most recently used last.
#[derive(Default)]
pub(crate) struct Models(Mutex<Vec<(PathBuf, SystemTime, Arc<Model>)>>);

/// A generator with its directions.
pub(crate) struct Model {
    pub description: Description,
    pub directions: Vec<Direction>,
    generator: LayeredGenerator,
}

/// What a sample is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recipe {
    pub seed: u64,
    pub class: u32,
    /// Truncation, if any.
    pub within: Option<f64>,
    /// Offsets along the first directions.
    pub offsets: Vec<f32>,
}

impl Models {
    /// Reads the generator in `file`, unless it is known. Blocks.
    pub(crate) fn model(&self, file: &Path) -> Result<Arc<Model>, String> {
        let found = std::fs::metadata(file).map_err(|_| "the run has not saved a generator yet".to_string())?;
        let time = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        if found.len() > MOST_BYTES {
            return Err("the weight file is too large to explore".into());
        }
        let mut all = locked(&self.0);
        if let Some(at) = all.iter().position(|(path, at, _)| path == file && *at == time) {
            let known = all.remove(at);
            all.push(known);
        } else {
            let model = Arc::new(Model::read(file).map_err(|problem| problem.to_string())?);
            all.retain(|(path, ..)| path != file);
            if all.len() == MOST {
                all.remove(0);
            }
            all.push((file.to_path_buf(), time, model));
        }
        all.last().map(|(.., model)| model.clone()).ok_or_else(|| "there is no generator".into())
    }
}

impl Model {
    fn read(file: &Path) -> gan_export::Result<Self> {
        let (description, generator) = weights::read_generator(file, &Device::Cpu)?;
        let directions = principal(&generator, &description.latent, DIRECTIONS)?;
        Ok(Self { description, directions, generator })
    }

    /// Returns the number of classes of a conditional generator.
    pub(crate) fn classes(&self) -> Option<usize> {
        self.generator.classes()
    }

    /// Returns the largest truncation that has an effect.
    pub(crate) fn most_within(&self) -> f64 {
        match self.description.latent.distribution {
            Distribution::Normal => 3.0,
            Distribution::Uniform => 1.0,
        }
    }

    /// Returns the PNG of a sample, or of one between two, with `part` from 0 to 1.
    pub(crate) fn png(&self, recipe: &Recipe, other: Option<(&Recipe, f32)>) -> gan_run::Result<Vec<u8>> {
        let (z, class) = match other {
            None => (self.latent(recipe)?, recipe.class),
            Some((to, part)) => {
                let nearest = if part < 0.5 { recipe } else { to };
                (slerp(&self.latent(recipe)?, &self.latent(to)?, part), nearest.class)
            }
        };
        let z = Tensor::from_vec(z, (1, self.description.latent.dim), &Device::Cpu)?;
        let classes = self.classes().map(|_| Tensor::new(&[class], &Device::Cpu)).transpose()?;
        let samples = gan_core::samples(&self.generator, &z, classes.as_ref())?;
        let units = &self.description.data.units;
        let units = (!units.is_empty()).then(|| Units::new(units.clone()));
        let drawn = pictures::singles(&samples, units.as_ref())?;
        let picture = drawn.first().ok_or_else(|| candle_core::Error::Msg("there is no sample".into()))?;
        Ok(picture.to_png()?)
    }

    /// Returns the latent vector that `gan generate` draws for the seed, moved along the directions.
    fn latent(&self, recipe: &Recipe) -> gan_run::Result<Vec<f32>> {
        let latent = &self.description.latent;
        let mut rng = Rng::stream(recipe.seed, "generate");
        let z = match recipe.within {
            Some(most) => latent.sample_within(most, 1, &mut rng, &Device::Cpu)?,
            None => latent.sample(1, &mut rng, &Device::Cpu)?,
        };
        let mut z: Vec<f32> = z.flatten_all()?.to_vec1()?;
        for (direction, offset) in self.directions.iter().zip(&recipe.offsets) {
            z.iter_mut().zip(&direction.vector).for_each(|(z, step)| *z += offset * step);
        }
        Ok(z)
    }

    /// Reads a recipe: `SEED,CLASS,TRUNCATION,OFFSET,…`, with truncation 0 for none.
    pub(crate) fn recipe(&self, text: &str) -> Option<Recipe> {
        let mut parts = text.split(',');
        let seed = parts.next()?.parse().ok()?;
        let class = parts.next()?.parse().ok().filter(|class| (*class as usize) < self.classes().unwrap_or(1))?;
        let within: f64 = parts.next()?.parse().ok()?;
        let within = match within {
            0.0 => None,
            within if (0.05..=100.0).contains(&within) => Some(within),
            _ => return None,
        };
        let offset = |text: &str| text.parse().ok().filter(|offset: &f32| offset.abs() <= FARTHEST);
        let offsets = parts.map(offset).collect::<Option<Vec<f32>>>()?;
        (offsets.len() <= self.directions.len()).then_some(Recipe { seed, class, within, offsets })
    }
}
