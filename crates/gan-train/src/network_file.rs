//! One network in a TOML file, without the settings of a training: its input, layers and latent space.

use crate::config::{NetworkConfig, RunConfig};
use crate::error::{Error, Result, refuse_if};
use crate::layering::{self, Table};
use gan_core::{Distribution, Latent, Layer};
use serde::Deserialize;
use std::path::Path;
use toml::Value;

/// A network as a file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkFile {
    /// Shape of one input, without the batch.
    pub input: Vec<usize>,
    /// The layers.
    pub layers: Vec<Layer>,
    /// Latent space of the generator.
    pub latent: Latent,
}

/// Tables of a file that lists only some of the settings of a run.
#[derive(Deserialize)]
struct Latents {
    latent: Option<Latent>,
}

/// Size of latent vectors that a discriminator's file need not name.
const LATENT: usize = 100;

impl NetworkFile {
    /// Reads the network called `network`, "generator" or "discriminator", from the file at `path`: from the keys `input`, `layers` and `latent` at its
    /// top, or from its tables `[generator]`, `[discriminator]` and `[latent]`, as the settings of a run have them.
    ///
    /// # Errors
    /// If the file cannot be read, lists no layers, or has a key or value of another kind.
    pub fn read(path: &Path, network: &str) -> Result<Self> {
        let table = layering::from_file(path)?;
        Self::of_table(table, network).map_err(|error| match error {
            Error::Config { key, problem } => Error::config(format!("{}: {key}", path.display()), problem),
            other => other,
        })
    }

    fn of_table(mut table: Table, network: &str) -> Result<Self> {
        let own = table.get(network).and_then(Value::as_table).cloned();
        let is_family = own.as_ref().is_some_and(|own| own.contains_key("family"));
        if is_family {
            // Families make their layers from the data's size and other settings.
            let plan = layering::read(table).and_then(RunConfig::check)?;
            let architecture = if network == "discriminator" { &plan.discriminator } else { &plan.generator };
            let latent = plan.config().latent;
            return Ok(Self { input: architecture.input.clone(), layers: architecture.layers.clone(), latent });
        }
        let latent = table.remove("latent").map(|latent| Table::from_iter([("latent".to_string(), latent)]));
        let latent = latent.map(layering::read_as::<Latents>).transpose()?.and_then(|read| read.latent);
        let config: NetworkConfig = match own {
            Some(own) => layering::read_as(own)?,
            None => layering::read_as(table)?,
        };
        let missing = "is missing; list them as in a preset (gan preset show --full dcgan-mnist)";
        let layers = config.layers.ok_or_else(|| Error::config("layers", missing))?;
        let is_generator = network == "generator";
        let missing = "is missing: the shape of one input without the batch, [100] or [100, 1, 1] for a generator, [channels, height, width] for \
                       a discriminator";
        let input = match (config.input, latent) {
            (Some(input), _) => input,
            (None, Some(latent)) if is_generator => vec![latent.dim],
            (None, _) => return Err(Error::config("input", missing)),
        };
        let size = input.iter().try_fold(1usize, |size, side| size.checked_mul(*side)).unwrap_or(usize::MAX);
        let dim = if is_generator { size } else { LATENT };
        let latent = latent.unwrap_or(Latent { dim, distribution: Distribution::Normal, truncation: None });
        let problem = format!("is {}, but the input {input:?} has {size} numbers", latent.dim);
        refuse_if(is_generator && latent.dim != size, "latent.dim", problem)?;
        let layers = match config.spectral_norm {
            true => layers.iter().map(|layer| layer.with_spectral_norm()).collect(),
            false => layers,
        };
        Ok(Self { input, layers, latent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, network: &str) -> Result<NetworkFile> {
        NetworkFile::of_table(text.parse().unwrap(), network)
    }

    #[test]
    fn keys_at_the_top_and_tables_describe_the_same() {
        let top = read(
            "input = [4]\nlayers = [{ dense = 2 }]\nlatent = { dim = 4, distribution = \"uniform\" }",
            "generator",
        )
        .unwrap();
        let tables = "[latent]\ndim = 4\ndistribution = \"uniform\"\n[generator]\nlayers = [{ dense = 2 }]\n\
                      [discriminator]\ninput = [2]\nlayers = [{ dense = 1 }]\nspectral_norm = true";
        assert_eq!(read(tables, "generator").unwrap(), top);
        let d = read(tables, "discriminator").unwrap();
        assert_eq!(d.layers[0].written(), "{ dense = 1, spectral_norm = true }");
        assert_eq!(read("input = [3, 1, 1]\nlayers = [\"tanh\"]", "generator").unwrap().latent.dim, 3);
    }

    #[test]
    fn incomplete_files_are_refused() {
        for (text, words) in [
            ("input = [4]", "layers: is missing"),
            ("layers = [\"tanh\"]", "input: is missing"),
            (
                "input = [4]\nlatent = { dim = 5 }\nlayers = [\"tanh\"]",
                "latent.dim: is 5, but the input [4] has 4 numbers",
            ),
            ("input = [4]\nlayers = [{ dens = 1 }]", "layers"),
            ("inputs = [4]\nlayers = [\"tanh\"]", "input"),
            ("[generator]\nfamily = \"dcgan\"", "is missing"),
        ] {
            let message = read(text, "generator").unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
