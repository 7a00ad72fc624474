//! `train.from`: initial weights from another run, also one with another image size, other classes or channels.
//!
//! Parameters are matched in the order of the layers. If both networks have the same number of parameters, they are matched one by one;
//! otherwise the longest common subsequence of their shapes is, so that a network for larger images reuses the layers of a smaller one.

use crate::checkpoint;
use crate::ema::Ema;
use crate::error::{Error, Result};
use crate::layering;
use crate::plan::Plan;
use crate::trainer::Trainer;
use candle_core::{Device, Tensor};
use gan_base::messages::counted;
use gan_core::{Param, Role, weights};
use std::path::{Path, PathBuf};

/// Result of [`Trainer::start_from`]: how much of each network was transferred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightTransfer {
    /// G's parameters.
    pub generator: TransferredParams,
    /// D's parameters; nothing is transferred if the source is a generator only.
    pub discriminator: TransferredParams,
}

/// Number of transferred parameters of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferredParams {
    /// Number of all values.
    pub all: usize,
    /// Number of transferred values.
    pub transferred: usize,
    /// Names of the parameters that keep their initial values, wholly or in part.
    pub fresh: Vec<String>,
}

impl Trainer {
    /// Applies `train.from`. A missing file is an error only in a new run, because a resumed run has its own weights.
    pub(crate) fn load_initial_weights(&mut self) -> Result<()> {
        let Some(from) = self.plan.config().train.from.clone() else { return Ok(()) };
        if !from.exists() {
            let problem = format!("{} does not exist: name a run's folder or a weight file", from.display());
            self.missing_start = Some(problem);
            return Ok(());
        }
        let start = self.start_from(&from)?;
        let percent = |of: &TransferredParams| 100.0 * of.transferred as f64 / of.all.max(1) as f64;
        tracing::info!(
            "begins with {:.0} % of the generator and {:.0} % of the discriminator of {}",
            percent(&start.generator),
            percent(&start.discriminator),
            from.display()
        );
        Ok(())
    }

    /// Sets the weights of both networks to those of `from`, a run's folder or a generator's weight file, where they fit. G takes the average
    /// of the other G's weights if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, or nothing in it fits.
    pub fn start_from(&mut self, from: &Path) -> Result<WeightTransfer> {
        let mut start = WeightTransfer::default();
        let file = if from.is_dir() { generator_file(from)? } else { from.to_path_buf() };
        let (_, generator) = weights::read_generator(&file, &Device::Cpu)?;
        start.generator = transfer(&self.generator.params(), &source(gan_core::Generator::params(&generator))?)?;
        if from.is_dir() {
            start.discriminator = transfer(&self.discriminator.params(), &discriminator_of(from)?)?;
        }
        if start.generator.transferred == 0 {
            let problem = "no layer of its generator has the shape of one of this run's: use the same family and width";
            return Err(Error::config("train.from", format!("{}: {problem}", from.display())));
        }
        self.ema.iter().try_for_each(Ema::restart)?;
        self.changed();
        Ok(start)
    }
}

/// Returns a sentence for the user if `train.from` of the plan makes images of other channels.
pub fn other_channels(plan: &Plan) -> Option<String> {
    let from = plan.config().train.from.as_ref()?;
    let file = if from.is_dir() { generator_file(from).ok()? } else { from.clone() };
    // A file that cannot be read is an error of the trainer.
    let theirs = *weights::read_description(&file).ok()?.data.shape.first()?;
    let own = *plan.sample().first()?;
    let from = from.display();
    let theirs_in_words = counted(theirs, "channel");
    (theirs != own).then(|| {
        format!(
            "{from}: makes images of {theirs_in_words}, and this run of {own}: layers next to the image are transferred in part"
        )
    })
}

/// A parameter of the network that is the source.
struct Source {
    role: Role,
    tensor: Tensor,
}

fn source(params: Vec<Param>) -> Result<Vec<Source>> {
    params.iter().map(|param| Ok(Source { role: param.role, tensor: param.tensor()? })).collect()
}

/// Returns the weight file of a run: the best generator's, else the last one's.
fn generator_file(run: &Path) -> Result<PathBuf> {
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

/// Copies the matching `sources` into parameters.
fn transfer(params: &[Param], sources: &[Source]) -> Result<TransferredParams> {
    let mut result =
        TransferredParams { all: params.iter().map(Param::elem_count).sum(), ..TransferredParams::default() };
    let mut pairs = pairs(params, sources).into_iter().peekable();
    for (index, param) in params.iter().enumerate() {
        let source = pairs.next_if(|pair| pair.0 == index).map(|pair| &sources[pair.1]);
        let copied = source.map_or(Ok(0), |source| copy(param, &source.tensor))?;
        result.transferred += copied;
        if copied < param.elem_count() {
            result.fresh.push(param.name.clone());
        }
    }
    Ok(result)
}

/// Returns the indices of parameters and their matching sources, in ascending order.
fn pairs(params: &[Param], sources: &[Source]) -> Vec<(usize, usize)> {
    let overlaps = |param: &Param, source: &Source| {
        let own = param.dims();
        let other = source.tensor.dims();
        let differ = own.iter().zip(other).filter(|(a, b)| a != b).count();
        param.role == source.role && own.len() == other.len() && differ <= 1
    };
    let alike = params.len() == sources.len() && params.iter().zip(sources).all(|(a, b)| overlaps(a, b));
    if alike {
        return (0..params.len()).map(|index| (index, index)).collect();
    }
    let fits = |i: usize, j: usize| params[i].role == sources[j].role && params[i].dims() == sources[j].tensor.dims();
    let n = params.len();
    let m = sources.len();
    // longest[i][j]: numbers of the longest common part of params[i..] and sources[j..], in parameters.
    let mut longest = vec![vec![0usize; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            let skipped = longest[i + 1][j].max(longest[i][j + 1]);
            longest[i][j] = if fits(i, j) { skipped.max(longest[i + 1][j + 1] + 1) } else { skipped };
        }
    }
    let mut found = vec![];
    let mut i = 0;
    let mut j = 0;
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

/// Copies the overlapping part of `from` into the parameter, and returns the number of copied values.
fn copy(param: &Param, from: &Tensor) -> Result<usize> {
    let common: Vec<usize> = param.dims().iter().zip(from.dims()).map(|(a, b)| *a.min(b)).collect();
    let mut part = from.clone();
    let mut rest = param.tensor()?.copy()?;
    for (dim, len) in common.iter().enumerate() {
        part = part.narrow(dim, 0, *len)?;
    }
    let count = common.iter().product();
    if count < param.elem_count() {
        // At most one dimension differs. The initial values follow the copied ones.
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
    fn equal_networks_are_copied_whole_and_other_heads_in_part() {
        let own = params(&[&[4, 3], &[3, 2]], 0.0);
        let result = transfer(&own, &source(params(&[&[4, 3], &[3, 2]], 1.0)).unwrap()).unwrap();
        assert_eq!((result.all, result.transferred, result.fresh.len()), (18, 18, 0));
        assert_eq!(sums(&own), [12.0, 6.0]);
        // A last layer of three instead of two outputs, a first one of fewer inputs.
        let own = params(&[&[2, 3], &[3, 3]], 0.0);
        let result = transfer(&own, &source(params(&[&[4, 3], &[3, 2]], 1.0)).unwrap()).unwrap();
        assert_eq!((result.transferred, result.fresh), (12, vec!["1".to_string()]));
        assert_eq!(sums(&own), [6.0, 6.0]);
    }

    #[test]
    fn a_larger_network_reuses_the_layers_that_it_shares() {
        let own = params(&[&[9, 8], &[8, 4], &[4, 2], &[2, 3]], 0.0);
        let result = transfer(&own, &source(params(&[&[9, 4], &[4, 2], &[2, 3]], 1.0)).unwrap()).unwrap();
        assert_eq!(sums(&own), [0.0, 0.0, 8.0, 6.0]);
        assert_eq!(result.fresh, ["0", "1"]);
    }
}
