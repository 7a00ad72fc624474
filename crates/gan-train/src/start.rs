//! `train.from`: a run that begins with the weights of another, also of other sizes of images, classes or channels.
//!
//! Parameters are matched in the order of the layers, and by their shapes: first all of them one by one, if both networks have equally many;
//! else the longest common part of both lists, so that a larger image's network takes the layers that a smaller one's has.

use crate::checkpoint;
use crate::ema::Ema;
use crate::error::{Error, Result};
use crate::layering;
use crate::trainer::Trainer;
use candle_core::{Device, Tensor};
use gan_core::{Param, Role, weights};
use std::path::{Path, PathBuf};

/// What a run took over from another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// Numbers of G, and how many of them come from the file.
    pub generator: Taken,
    /// The same for D; none of it if the file holds a generator only.
    pub discriminator: Taken,
}

/// How much of a network was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Numbers of all parameters.
    pub all: usize,
    /// Numbers that were taken over.
    pub taken: usize,
    /// Names of the parameters that were not taken over, or only in part.
    pub fresh: Vec<String>,
}

impl Trainer {
    /// Does what `train.from` says. A file that is not there is an error only if the run really begins: a resumed one has its own weights.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let Some(from) = self.plan.config().train.from.clone() else { return Ok(()) };
        if !from.exists() {
            let problem = format!("{} does not exist: name a run's folder or a weight file", from.display());
            self.missing_start = Some(problem);
            return Ok(());
        }
        let start = self.start_from(&from)?;
        let part = |taken: &Taken| format!("{:.0} %", 100.0 * taken.taken as f64 / taken.all.max(1) as f64);
        tracing::info!(
            "begins with {} of the generator and {} of the discriminator of {}",
            part(&start.generator),
            part(&start.discriminator),
            from.display()
        );
        Ok(())
    }

    /// Sets the weights of both networks to those of `from`, a run's folder or a generator's weight file, where they fit. G takes the average
    /// of the other G's weights if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, or nothing in it fits.
    pub fn start_from(&mut self, from: &Path) -> Result<Start> {
        let mut start = Start::default();
        let file = if from.is_dir() { generator_of(from)? } else { from.to_path_buf() };
        let (_, generator) = weights::read_generator(&file, &Device::Cpu)?;
        start.generator = take(&self.generator.params(), &source(gan_core::Generator::params(&generator))?)?;
        if from.is_dir() {
            start.discriminator = take(&self.discriminator.params(), &discriminator_of(from)?)?;
        }
        if start.generator.taken == 0 {
            let problem = "no layer of its generator has the shape of one of this run's: use the same family and width";
            return Err(Error::config("train.from", format!("{}: {problem}", from.display())));
        }
        self.ema.iter().try_for_each(Ema::restart)?;
        self.changed();
        Ok(start)
    }
}

/// A parameter of the network that is taken from.
struct Source {
    role: Role,
    tensor: Tensor,
}

fn source(params: Vec<Param>) -> Result<Vec<Source>> {
    params.iter().map(|param| Ok(Source { role: param.role, tensor: param.tensor()? })).collect()
}

/// Returns the weight file of a run: the best generator's, else the last one's.
fn generator_of(run: &Path) -> Result<PathBuf> {
    let files = ["generator-best.safetensors", "generator.safetensors"].map(|name| run.join(name));
    let found = files.into_iter().find(|file| file.is_file());
    let problem = || {
        Error::config(
            "train.from",
            format!("{} holds no generator.safetensors: name a run or a weight file", run.display()),
        )
    };
    found.ok_or_else(problem)
}

/// Returns the parameters of the discriminator in a run's newest checkpoint.
fn discriminator_of(run: &Path) -> Result<Vec<Source>> {
    let plan = layering::read(layering::from_file(&run.join("config.toml"))?)?.check()?;
    let d = checkpoint::discriminator(&plan, &run.join("checkpoints"), &Device::Cpu)?;
    source(gan_core::Discriminator::params(&d))
}

/// Sets parameters to those of `sources` that match them.
fn take(params: &[Param], sources: &[Source]) -> Result<Taken> {
    let mut taken = Taken { all: params.iter().map(Param::elem_count).sum(), ..Taken::default() };
    let mut pairs = pairs(params, sources).into_iter().peekable();
    for (index, param) in params.iter().enumerate() {
        let source = pairs.next_if(|pair| pair.0 == index).map(|pair| &sources[pair.1]);
        let copied = source.map_or(Ok(0), |source| copy(param, &source.tensor))?;
        taken.taken += copied;
        if copied < param.elem_count() {
            taken.fresh.push(param.name.clone());
        }
    }
    Ok(taken)
}

/// Returns which parameters take from which sources, as ascending pairs of indices.
fn pairs(params: &[Param], sources: &[Source]) -> Vec<(usize, usize)> {
    let overlaps = |param: &Param, source: &Source| {
        let (own, other) = (param.dims(), source.tensor.dims());
        let differ = own.iter().zip(other).filter(|(a, b)| a != b).count();
        param.role == source.role && own.len() == other.len() && differ <= 1
    };
    let alike = params.len() == sources.len() && params.iter().zip(sources).all(|(a, b)| overlaps(a, b));
    if alike {
        return (0..params.len()).map(|index| (index, index)).collect();
    }
    let fits = |i: usize, j: usize| params[i].role == sources[j].role && params[i].dims() == sources[j].tensor.dims();
    let (n, m) = (params.len(), sources.len());
    // longest[i][j]: numbers of the longest common part of params[i..] and sources[j..], in parameters.
    let mut longest = vec![vec![0usize; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            let skipped = longest[i + 1][j].max(longest[i][j + 1]);
            longest[i][j] = if fits(i, j) { skipped.max(longest[i + 1][j + 1] + 1) } else { skipped };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, vec![]);
    while i < n && j < m {
        if fits(i, j) && longest[i][j] == longest[i + 1][j + 1] + 1 {
            found.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

/// Copies the part of `from` that the parameter has room for, and returns how many numbers that are.
fn copy(param: &Param, from: &Tensor) -> Result<usize> {
    let common: Vec<usize> = param.dims().iter().zip(from.dims()).map(|(a, b)| *a.min(b)).collect();
    let mut part = from.clone();
    let mut rest = param.tensor()?.copy()?;
    for (dim, len) in common.iter().enumerate() {
        part = part.narrow(dim, 0, *len)?;
    }
    let count = common.iter().product();
    if count < param.elem_count() {
        // At most one dimension differs: what is new follows what is taken over.
        let dim = common.iter().zip(param.dims()).position(|(a, b)| a < b).unwrap_or(0);
        rest = rest.narrow(dim, common[dim], param.dims()[dim] - common[dim])?;
        part = Tensor::cat(&[&part, &rest], dim)?;
    }
    param.set(&part.contiguous()?.to_device(param.var().device())?)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    fn params(shapes: &[&[usize]], value: f32) -> Vec<Param> {
        let var = |shape: &[usize]| Var::from_tensor(&Tensor::full(value, shape, &Device::Cpu).unwrap()).unwrap();
        let param = |(i, shape): (usize, &&[usize])| Param::whole(i.to_string(), var(shape), Role::Weight);
        shapes.iter().enumerate().map(param).collect()
    }

    fn sums(params: &[Param]) -> Vec<f32> {
        params.iter().map(|p| p.tensor().unwrap().sum_all().unwrap().to_scalar().unwrap()).collect()
    }

    #[test]
    fn equal_networks_are_taken_over_whole_and_other_heads_in_part() {
        let own = params(&[&[4, 3], &[3, 2]], 0.0);
        let taken = take(&own, &source(params(&[&[4, 3], &[3, 2]], 1.0)).unwrap()).unwrap();
        assert_eq!((taken.all, taken.taken, taken.fresh.len()), (18, 18, 0));
        assert_eq!(sums(&own), [12.0, 6.0]);
        // A last layer of three instead of two outputs, a first one of fewer inputs.
        let own = params(&[&[2, 3], &[3, 3]], 0.0);
        let taken = take(&own, &source(params(&[&[4, 3], &[3, 2]], 1.0)).unwrap()).unwrap();
        assert_eq!((taken.taken, taken.fresh), (12, vec!["1".to_string()]));
        assert_eq!(sums(&own), [6.0, 6.0]);
    }

    #[test]
    fn a_larger_network_takes_the_layers_that_it_shares() {
        let own = params(&[&[9, 8], &[8, 4], &[4, 2], &[2, 3]], 0.0);
        let taken = take(&own, &source(params(&[&[9, 4], &[4, 2], &[2, 3]], 1.0)).unwrap()).unwrap();
        assert_eq!(sums(&own), [0.0, 0.0, 8.0, 6.0]);
        assert_eq!(taken.fresh, ["0", "1"]);
    }
}
