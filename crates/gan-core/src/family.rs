//! Families of architectures: functions that return layer lists.

mod plain;
mod r3gan;

pub use plain::plain;
pub use r3gan::R3gan;

use crate::Layer;
use crate::layers::{BatchNorm, Conv, ConvTranspose, Dense, Flatten, LeakyRelu, Pad, Pair, Relu, Reshape, Tanh};

/// Returns the generator's and the discriminator's list of the DCGAN of Radford et al. 2015 (arXiv:1511.06434) in the form of PyTorch's
/// tutorial, for any image size that is a base of 4 to 7, doubled repeatedly (28 = 7·2·2, 64 = 4·2⁴, 96×64 = 6·2⁴ × 4·2⁴).
///
/// With k doublings the generator's widths are `width`·2^(k−1), …, `width`; the discriminator's are the same in reverse. The generator's
/// input is `[latent, 1, 1]`. No convolution has a bias.
///
/// # Errors
/// If a side is not of that form, or the sides differ in the number of doublings, with the nearest valid sizes.
pub fn dcgan(
    size: [usize; 2],
    channels: usize,
    latent: usize,
    width: usize,
) -> Result<(Vec<Layer>, Vec<Layer>), String> {
    if channels == 0 || latent == 0 || width == 0 {
        return Err(format!(
            "dcgan needs channels, latent size and width of at least 1, got {channels}, {latent}, {width}"
        ));
    }
    let (base, doublings) = doublings(size)?;
    let Some(widest) = width.checked_shl(doublings as u32 - 1).filter(|w| *w <= 1 << 20) else {
        return Err(format!("dcgan's width {width} doubled {} times is beyond any memory", doublings - 1));
    };
    let widths: Vec<usize> = (0..doublings).map(|i| widest >> i).collect();
    Ok((generator(base, channels, &widths), discriminator(base, &widths)))
}

/// Settings of dense networks.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Activation after each hidden layer.
    pub activation: Layer,
}

impl Mlp {
    fn hidden_layers(&self) -> impl Iterator<Item = Layer> {
        self.hidden.iter().flat_map(|units| [dense(*units), self.activation.clone()])
    }

    /// Returns a dense generator of points `[D]` (with a linear output) or images `[C, H, W]` (with a tanh output).
    pub fn generator(&self, sample: &[usize]) -> Vec<Layer> {
        let mut layers: Vec<Layer> = self.hidden_layers().collect();
        layers.push(dense(sample.iter().product()));
        if sample.len() > 1 {
            layers.extend([Reshape { reshape: sample.to_vec() }.into(), Tanh.into()]);
        }
        layers
    }

    /// Returns a dense discriminator of points `[D]` or images `[C, H, W]`. With `features`, its last hidden layer is linear and has this
    /// width: 2 units form a plane that can be drawn.
    pub fn discriminator(&self, features: Option<usize>, sample: &[usize]) -> Vec<Layer> {
        let flat = (sample.len() > 1).then(|| Layer::from(Flatten));
        flat.into_iter().chain(self.hidden_layers()).chain(features.map(dense)).chain([dense(1)]).collect()
    }
}

fn dense(units: usize) -> Layer {
    Dense::new(units).into()
}

fn generator(base: [usize; 2], channels: usize, widths: &[usize]) -> Vec<Layer> {
    let mut layers = vec![up(widths[0], Pair::Each(base), 1, 0)];
    let next = widths[1..].iter().chain([&channels]);
    for outputs in next {
        layers.extend([BatchNorm::default().into(), Relu.into(), up(*outputs, Pair::Both(4), 2, 1)]);
    }
    layers.push(Tanh.into());
    layers
}

fn discriminator(base: [usize; 2], widths: &[usize]) -> Vec<Layer> {
    let mut layers = vec![];
    for (i, outputs) in widths.iter().rev().enumerate() {
        layers.push(down(*outputs, Pair::Both(4), 2, 1));
        layers.extend((i > 0).then(|| Layer::from(BatchNorm::default())));
        layers.push(LeakyRelu { leaky_relu: 0.2 }.into());
    }
    layers.push(down(1, Pair::Each(base), 1, 0));
    layers
}

fn up(outputs: usize, kernel: Pair, stride: usize, padding: usize) -> Layer {
    ConvTranspose {
        stride: stride.into(),
        padding: Pad::All(padding),
        bias: false,
        ..ConvTranspose::new(outputs, kernel)
    }
    .into()
}

fn down(outputs: usize, kernel: Pair, stride: usize, padding: usize) -> Layer {
    Conv { stride: stride.into(), padding: Pad::All(padding), bias: false, ..Conv::new(outputs, kernel) }.into()
}

/// Returns the bases and the number of doublings.
fn doublings(size: [usize; 2]) -> Result<([usize; 2], usize), String> {
    let split = |side: usize| (1..28).find(|k| (4..8).contains(&(side >> k)) && (side >> k) << k == side);
    match size.map(split) {
        [Some(a), Some(b)] if a == b => Ok(([size[0] >> a, size[1] >> b], a)),
        [Some(_), Some(_)] => Err(format!(
            "dcgan cannot make images of {}×{}: both sides must double equally often from a base of 4 to 7, so neither may be \
             twice the other or more",
            size[0], size[1]
        )),
        _ => {
            let bad = if split(size[0]).is_none() { size[0] } else { size[1] };
            let near = |mut side: Box<dyn Iterator<Item = usize>>| side.find(|s| split(*s).is_some());
            let below = near(Box::new((8..bad).rev())).map(|s| s.to_string());
            let above = near(Box::new(bad.max(8)..bad.saturating_mul(2).max(17))).map(|s| s.to_string());
            let sizes: Vec<String> = below.into_iter().chain(above).collect();
            Err(format!(
                "dcgan cannot make a side of {bad}: it must be 4, 5, 6 or 7 doubled at least once; nearest: {}",
                sizes.join(" or ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(network: &str, input: &[usize], layers: &[Layer]) -> crate::Result<Vec<Vec<usize>>> {
        Ok(crate::shape::infer(network, input, layers)?.into_iter().map(|layer| layer.output).collect())
    }

    #[test]
    fn any_size_of_the_form_fits_both_ways() {
        for size in [[28, 28], [64, 64], [32, 32], [8, 8], [96, 64], [40, 48], [112, 112], [128, 128]] {
            let (g, d) = dcgan(size, 3, 10, 4).unwrap();
            let out = infer("generator", &[10, 1, 1], &g).unwrap();
            assert_eq!(out.last().unwrap(), &[3, size[0], size[1]]);
            let out = infer("discriminator", &[3, size[0], size[1]], &d).unwrap();
            assert_eq!(out.last().unwrap(), &[1, 1, 1]);
        }
    }

    #[test]
    fn dense_networks_follow_their_hidden_sizes() {
        let mlp = Mlp { hidden: vec![16, 8], activation: LeakyRelu { leaky_relu: 0.2 }.into() };
        let written = |l: Vec<Layer>| l.iter().map(|layer| layer.name()).collect::<Vec<_>>().join(" ");
        let g = mlp.generator(&[2]);
        assert_eq!(written(g.clone()), "dense leaky_relu dense leaky_relu dense");
        assert_eq!(infer("generator", &[5], &g).unwrap(), [[16], [16], [8], [8], [2]]);
        assert_eq!(infer("generator", &[5], &mlp.generator(&[1, 4, 3])).unwrap().last().unwrap(), &[1, 4, 3]);
        let d = mlp.discriminator(Some(2), &[1, 4, 3]);
        assert_eq!(written(d.clone()), "flatten dense leaky_relu dense leaky_relu dense dense");
        assert_eq!(infer("discriminator", &[1, 4, 3], &d).unwrap()[5..], [[2], [1]]);
    }

    #[test]
    fn other_sizes_name_the_nearest_that_work() {
        let error = dcgan([27, 27], 1, 100, 64).unwrap_err();
        assert!(error.contains("27") && error.contains("24 or 28"), "{error}");
        assert!(dcgan([64, 128], 1, 100, 64).unwrap_err().contains("equally often"));
        assert!(dcgan([0, 28], 1, 100, 64).is_err());
    }

    #[test]
    fn the_tutorials_parameter_counts_come_out() {
        let (g, d) = dcgan([64, 64], 3, 100, 64).unwrap();
        let count = |input: &[usize], l: &[Layer]| crate::summary::Summary::new("", input, l).unwrap().totals().0;
        assert_eq!(count(&[100, 1, 1], &g), 3_576_704);
        assert_eq!(count(&[3, 64, 64], &d), 2_765_568);
    }
}
