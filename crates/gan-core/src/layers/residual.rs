//! Residual blocks, and block families: names for several layers that papers list as one row, into which a list expands them.

use super::read::Entry;
use super::settings::{require, yes};
use super::{AvgPool, BatchNorm, Conv, LeakyRelu, Pad, Relu, Upsample};
use super::{Dual, InferResult, Inferred, Layer, LayerContext, LayerSpec, list};
use crate::graph::{Binary, GraphContext, Value};
use crate::pytorch::{Helper, TorchModule, TorchResult, sequential};
use crate::shape::infer_list;
use candle_core::Result;
use gan_kernels::fused::{Fork, FusedLayer, Join, Swap};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Maximum nesting depth of residual blocks, which bounds recursion over lists. Networks in the literature nest two or three.
pub(crate) const MOST_NESTED: usize = 16;

/// Sum f(x) + g(x) of two lists of layers (He et al. 2015, arXiv:1512.03385). Their parameters are `body.0.weight`, `skip.0.weight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// f.
    #[serde(deserialize_with = "list")]
    pub residual: Vec<Layer>,
    /// g; the identity if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list")]
    pub skip: Vec<Layer>,
}

impl LayerSpec for Residual {
    const NAME: &'static str = "residual";
    const IS_NONLINEAR: bool = false;

    fn infer(&self, input: &[usize]) -> InferResult {
        require(!self.residual.is_empty(), "at least one layer in residual")?;
        let inside = |name: &str, layers: &[Layer]| {
            infer_list(name, input, layers).map_err(|error| format!("layers inside that fit ({error})"))
        };
        let branches = vec![inside("residual", &self.residual)?, inside("skip", &self.skip)?];
        let [body, skip] = [0, 1].map(|i: usize| branches[i].last().map_or(input.to_vec(), |last| last.output.clone()));
        require(body == skip, format!("both ways to make the same, but residual makes {body:?} and skip {skip:?}"))?;
        Ok(Inferred { branches, ..Inferred::new(body) })
    }

    fn forward(&self, x: &Dual, cx: &mut LayerContext) -> Result<Dual> {
        // The skip branch runs first, so it draws its random numbers first.
        let skip = cx.branch(1, x)?;
        cx.branch(0, x)?.add(&skip)
    }

    fn fused(&self, input: &[usize], place: &dyn Fn(usize) -> usize) -> Option<Vec<FusedLayer>> {
        let branches = [&self.residual, &self.skip].map(|layers| infer_list(Self::NAME, input, layers).ok());
        let [body, skip] = [branches[0].as_ref()?, branches[1].as_ref()?];
        // Parameters of the body are placed first, but the skip branch runs first.
        let after = body.iter().map(Inferred::param_count).sum();
        let skip = fused_list(&self.skip, skip, after, place)?;
        let body = fused_list(&self.residual, body, 0, place)?;
        let [fork, swap, join] = [FusedLayer::Fork(Fork), FusedLayer::Swap(Swap), FusedLayer::Join(Join)];
        Some([vec![fork], skip, vec![swap], body, vec![join]].concat())
    }

    fn graph(&self, x: Value, cx: &mut GraphContext) -> Result<Value> {
        let body = cx.branch(0, x)?;
        let skip = cx.branch(1, x)?;
        Ok(cx.binary(Binary::Add, body, skip))
    }

    fn pytorch(&self, input: &[usize]) -> TorchResult {
        let body = sequential(input, &self.residual)?;
        let skip = match self.skip.is_empty() {
            true => TorchModule::new("nn.Identity()"),
            false => sequential(input, &self.skip)?,
        };
        let takes_class = body.takes_class || skip.takes_class;
        let [class, helper] = if takes_class { ["ClassResidual", CLASS_RESIDUAL] } else { ["Residual", RESIDUAL] };
        let indented = |module: &TorchModule| module.expression.replace('\n', "\n    ");
        let expression = format!("{class}(\n    body={},\n    skip={},\n)", indented(&body), indented(&skip));
        let module = TorchModule { expression, takes_class, ..TorchModule::default() };
        Ok(module.with_helpers(&body.helpers).with_helpers(&skip.helpers).with_helpers(&[Helper(helper)]))
    }

    fn with_spectral_norm(self) -> Self {
        let normed = |layers: &[Layer]| layers.iter().map(|layer| layer.with_spectral_norm()).collect();
        Self { residual: normed(&self.residual), skip: normed(&self.skip) }
    }

    fn branches(&self) -> Vec<(&'static str, &[Layer])> {
        vec![("body", &self.residual), ("skip", &self.skip)]
    }
}

const RESIDUAL: &str = r#"class Residual(nn.Module):
    """The sum of two branches."""

    def __init__(self, body, skip):
        super().__init__()
        self.body = body
        self.skip = skip

    def forward(self, x):
        return self.body(x) + self.skip(x)
"#;

const CLASS_RESIDUAL: &str = r#"class ClassResidual(nn.Module):
    """The sum of two branches, at least one of which reads the samples' classes."""

    takes_class = True

    def __init__(self, body, skip):
        super().__init__()
        self.body = body
        self.skip = skip

    def forward(self, x, classes):
        def branch(module):
            return module(x, classes) if getattr(module, "takes_class", False) else module(x)

        return branch(self.body) + branch(self.skip)
"#;

/// Returns the fused layers of a list whose parameters begin with number `first`.
fn fused_list(
    layers: &[Layer],
    inferred: &[Inferred],
    first: usize,
    place: &dyn Fn(usize) -> usize,
) -> Option<Vec<FusedLayer>> {
    let mut first = first;
    let mut all = vec![];
    for (layer, found) in layers.iter().zip(inferred) {
        all.extend(layer.fused(&found.input, &|i| place(first + i))?);
        first += found.param_count();
    }
    Some(all)
}

/// All block families.
pub(super) const BLOCKS: &[Entry] = &[Entry::block::<R3Gan>(), Entry::block::<SnganUp>(), Entry::block::<SnganDown>()];

/// A block with its settings. Its first field has the name of the block.
pub(super) trait Block: DeserializeOwned {
    const NAME: &'static str;

    /// Returns the layers of the block.
    fn layers(&self) -> std::result::Result<Vec<Layer>, String>;
}

/// Residual block of R3GAN (Huang et al. 2024, arXiv:2501.05441): 1×1 to `expansion` times the channels, 3×3 in groups of `group_width`,
/// 1×1 back with a kernel that is initially 0, leaky ReLU between; no normalization.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct R3Gan {
    /// Input and output channels.
    r3gan: usize,
    #[serde(default = "two")]
    expansion: usize,
    #[serde(default = "sixteen")]
    group_width: usize,
    /// Factor of the initial values of the first two kernels; 1 by default.
    gain: Option<f64>,
}

impl Block for R3Gan {
    const NAME: &'static str = "r3gan";

    fn layers(&self) -> std::result::Result<Vec<Layer>, String> {
        let wide = self.r3gan.saturating_mul(self.expansion);
        if wide == 0 || self.group_width == 0 || !wide.is_multiple_of(self.group_width) {
            return Err(format!("needs a group_width that divides {wide} channels, got {}", self.group_width));
        }
        let slope = || Layer::from(LeakyRelu { leaky_relu: 0.2 });
        let gain = self.gain;
        let first = Conv { gain, ..Conv::new(wide, 1) };
        let grouped = Conv { padding: Pad::All(1), groups: wide / self.group_width, gain, ..Conv::new(wide, 3) };
        let last = Conv { bias: false, gain: Some(0.0), ..Conv::new(self.r3gan, 1) };
        let residual = vec![first.into(), slope(), grouped.into(), slope(), last.into()];
        Ok(vec![Residual { residual, skip: vec![] }.into()])
    }
}

/// Residual block of SNGAN's generator (Miyato et al. 2018, arXiv:1802.05957, table 4), which doubles height and width.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnganUp {
    /// Output channels.
    sngan_up: usize,
}

impl Block for SnganUp {
    const NAME: &'static str = "sngan_up";

    fn layers(&self) -> std::result::Result<Vec<Layer>, String> {
        let norm = || Layer::from(BatchNorm::default());
        let double = || Layer::from(Upsample { upsample: 2.into() });
        let conv = || conv3(self.sngan_up);
        let residual = vec![norm(), Relu.into(), double(), conv(), norm(), Relu.into(), conv()];
        Ok(vec![Residual { residual, skip: vec![double(), Conv::new(self.sngan_up, 1).into()] }.into()])
    }
}

/// Residual block of SNGAN's discriminator (table 4): `downsample` halves height and width; the `first` block of a network has no
/// activation before its first convolution.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SnganDown {
    /// Output channels.
    sngan_down: usize,
    #[serde(default = "yes")]
    downsample: bool,
    #[serde(default)]
    first: bool,
}

impl Block for SnganDown {
    const NAME: &'static str = "sngan_down";

    fn layers(&self) -> std::result::Result<Vec<Layer>, String> {
        let halve = || Layer::from(AvgPool { avg_pool: 2.into() });
        let narrow = || Layer::from(Conv::new(self.sngan_down, 1));
        let mut residual = vec![conv3(self.sngan_down), Relu.into(), conv3(self.sngan_down)];
        if !self.first {
            residual.insert(0, Relu.into());
        }
        let skip = match (self.downsample, self.first) {
            (false, _) => vec![],
            (true, true) => vec![halve(), narrow()],
            (true, false) => vec![narrow(), halve()],
        };
        residual.extend(self.downsample.then(halve));
        Ok(vec![Residual { residual, skip }.into()])
    }
}

fn conv3(outputs: usize) -> Layer {
    Conv { padding: Pad::All(1), ..Conv::new(outputs, 3) }.into()
}

fn two() -> usize {
    2
}
fn sixteen() -> usize {
    16
}
