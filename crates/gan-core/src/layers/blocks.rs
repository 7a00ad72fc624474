//! Block families: names for several layers that papers list as one row of a table. A list expands a block into its layers.

use super::read::Entry;
use super::settings::yes;
use super::{AvgPool, BatchNorm, Conv, Layer, LeakyRelu, Pad, Relu, Residual, Upsample};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// All block families.
pub(super) const BLOCKS: &[Entry] = &[Entry::block::<R3Gan>(), Entry::block::<SnganUp>(), Entry::block::<SnganDown>()];

/// A block with its settings. Its first field has the name of the block.
pub(super) trait Block: DeserializeOwned {
    const NAME: &'static str;

    /// Returns the layers of the block.
    fn layers(&self) -> Result<Vec<Layer>, String>;
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
}

impl Block for R3Gan {
    const NAME: &'static str = "r3gan";

    fn layers(&self) -> Result<Vec<Layer>, String> {
        let wide = self.r3gan.saturating_mul(self.expansion);
        if wide == 0 || self.group_width == 0 || !wide.is_multiple_of(self.group_width) {
            return Err(format!("needs a group_width that divides {wide} channels, got {}", self.group_width));
        }
        let slope = || Layer::from(LeakyRelu { leaky_relu: 0.2 });
        let grouped = Conv { padding: Pad::All(1), groups: wide / self.group_width, ..Conv::new(wide, 3) };
        let last = Conv { bias: false, gain: Some(0.0), ..Conv::new(self.r3gan, 1) };
        let residual = vec![Conv::new(wide, 1).into(), slope(), grouped.into(), slope(), last.into()];
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

    fn layers(&self) -> Result<Vec<Layer>, String> {
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

    fn layers(&self) -> Result<Vec<Layer>, String> {
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
