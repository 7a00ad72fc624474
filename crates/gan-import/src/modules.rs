//! The tensors of one module of a network, and the names by which files tell networks apart.

use crate::contents::StateDict;
use crate::tensor::ForeignTensor;

/// A network of a GAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// From latent vectors to samples.
    Generator,
    /// From samples to logits.
    Discriminator,
}

impl NetworkKind {
    /// Returns its name in [`gan_core::weights::Description::network`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }

    /// Returns the network for which a key of a checkpoint stands: `netG`, `G_state_dict`, `model.discriminator`.
    pub fn of_key(key: &str) -> Option<Self> {
        let last = key.rsplit('.').find(|part| !STATE.contains(part)).unwrap_or_default().to_lowercase();
        let mut core = last.as_str();
        for ending in ["_state_dict", "_state", "_weights", "_params", "_model", "_net"] {
            core = core.strip_suffix(ending).unwrap_or(core);
        }
        for beginning in ["state_dict_", "model_", "net_"] {
            core = core.strip_prefix(beginning).unwrap_or(core);
        }
        match core.replace(['_', '-'], "").as_str() {
            "g" | "gen" | "generator" | "netg" | "gnet" | "modelg" | "gmodel" | "gema" | "emag" | "generatorema" => {
                Some(Self::Generator)
            }
            "d" | "dis" | "disc" | "discriminator" | "netd" | "dnet" | "modeld" | "dmodel" | "critic" | "c" => {
                Some(Self::Discriminator)
            }
            _ => None,
        }
    }
}

/// Keys that say nothing of a network.
const STATE: [&str; 5] = ["state_dict", "model_state_dict", "model", "weights", "params"];

/// Prefixes that wrappers of PyTorch add to every name: `DataParallel` and `torch.compile`.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Names of tensors of a batch norm that are not needed.
const COUNT: &str = "num_batches_tracked";

/// Kernel of a module.
pub(crate) const WEIGHT: &str = "weight";

/// Direction of spectral norm, the left singular vector.
pub(crate) const DIRECTION: &str = "weight_u";

/// The tensors of one module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Module<'f, 'a> {
    /// Name of the module, with which its tensors' names begin.
    pub name: String,
    /// Its parameters and running averages, by their kind (`weight`), without what spectral norm adds.
    pub tensors: Vec<(&'f str, &'f ForeignTensor<'a>)>,
    /// Vectors of spectral norm, if its kernel is to be divided by its largest singular value.
    pub spectral: Option<SpectralVectors<'f, 'a>>,
    /// Whether its kernel is a direction and a length (weight norm).
    pub has_weight_norm: bool,
}

/// Vectors of spectral norm as PyTorch saves them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SpectralVectors<'f, 'a> {
    /// Left singular vector.
    pub u: Option<&'f ForeignTensor<'a>>,
    /// Right singular vector.
    pub v: Option<&'f ForeignTensor<'a>>,
}

impl<'f, 'a> Module<'f, 'a> {
    /// Returns the tensor of a kind.
    pub fn get(&self, kind: &str) -> Option<&'f ForeignTensor<'a>> {
        self.tensors.iter().find(|(found, _)| *found == kind).map(|(_, tensor)| *tensor)
    }
}

/// Role of a tensor in its module.
enum Part<'f> {
    Tensor(&'f str),
    NormalizedKernel,
    U,
    V,
    WeightNorm,
    Count,
}

/// Number of modules in which the next tensor is searched, so that many of them take no quadratic time.
const RECENT: usize = 64;

/// Splits a name into that of the module and the role in it.
fn split(name: &str) -> (&str, Part<'_>) {
    if let Some((module, part)) = name.rsplit_once("parametrizations.weight.") {
        let part = match part {
            "original" => Part::NormalizedKernel,
            "0._u" => Part::U,
            "0._v" => Part::V,
            _ => Part::WeightNorm,
        };
        return (module.trim_end_matches('.'), part);
    }
    let (module, kind) = name.rsplit_once('.').unwrap_or(("", name));
    let part = match kind {
        COUNT => Part::Count,
        "weight_orig" | "weight_bar" => Part::NormalizedKernel,
        DIRECTION => Part::U,
        "weight_v" => Part::V,
        "weight_g" => Part::WeightNorm,
        kind => Part::Tensor(kind),
    };
    (module, part)
}

/// Returns the modules of a state dict in their order, without those that have no parameters.
pub(crate) fn modules<'f, 'a>(dict: &'f StateDict<'a>) -> Vec<Module<'f, 'a>> {
    let mut modules: Vec<Module> = vec![];
    for tensor in &dict.tensors {
        let (name, part) = split(&tensor.name);
        // The implementation of spectral norm before PyTorch's own was a module around the layer.
        let name = name.strip_suffix(".module").filter(|_| !matches!(part, Part::Tensor(_))).unwrap_or(name);
        // The tensors of a module may be apart in a sorted file, by those of modules inside it.
        let recent = modules.len().saturating_sub(RECENT);
        let at = modules[recent..].iter().rposition(|module| module.name == name).map(|at| recent + at);
        let at = at.unwrap_or_else(|| {
            modules.push(Module { name: name.into(), ..Module::default() });
            modules.len() - 1
        });
        let module = &mut modules[at];
        match part {
            Part::Tensor(kind) => module.tensors.push((kind, tensor)),
            Part::NormalizedKernel => {
                module.tensors.push((WEIGHT, tensor));
                module.spectral.get_or_insert_default();
            }
            Part::U => module.spectral.get_or_insert_default().u = Some(tensor),
            Part::V => module.spectral.get_or_insert_default().v = Some(tensor),
            Part::WeightNorm => module.has_weight_norm = true,
            Part::Count => {}
        }
    }
    // A kernel that PyTorch 0.4 saves in both forms.
    for module in modules.iter_mut().filter(|module| module.spectral.is_some()) {
        let is_normalized = |tensor: &ForeignTensor| !matches!(split(&tensor.name).1, Part::Tensor(_));
        if module.tensors.iter().any(|(kind, tensor)| *kind == WEIGHT && is_normalized(tensor)) {
            module.tensors.retain(|(kind, tensor)| *kind != WEIGHT || is_normalized(tensor));
        }
    }
    modules.retain(|module| !module.tensors.is_empty() || module.has_weight_norm);
    modules
}

/// Returns the names of modules without the prefixes that all of them share: `0`, `1`, `3` for `module.netG.main.0`, ….
pub(crate) fn without_prefix<'f>(modules: &'f [Module]) -> Vec<&'f str> {
    let mut names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
    for name in &mut names {
        while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
            *name = rest;
        }
    }
    while let Some((first, _)) = names.first().and_then(|name| name.split_once('.')) {
        let rest = |name: &'f str| name.strip_prefix(first)?.strip_prefix('.');
        let Some(shorter) = names.iter().map(|name| rest(name)).collect::<Option<Vec<_>>>() else { break };
        names = shorter;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_checkpoints_name_networks() {
        for key in [
            "netG",
            "G",
            "generator",
            "G_state_dict",
            "model_G",
            "generator_state_dict",
            "state_dict.generator",
            "g_ema",
            "netG.state_dict",
        ] {
            assert_eq!(NetworkKind::of_key(key), Some(NetworkKind::Generator), "{key}");
        }
        for key in ["netD", "critic", "D_state_dict", "disc", "model.discriminator"] {
            assert_eq!(NetworkKind::of_key(key), Some(NetworkKind::Discriminator), "{key}");
        }
        for key in ["", "state_dict", "model", "epoch", "main"] {
            assert_eq!(NetworkKind::of_key(key), None, "{key}");
        }
    }
}
