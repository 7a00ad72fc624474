//! A transformation of each image of a batch: affine in the values of its pixels, shifted, and with a rectangle of zeros.

use crate::cpu::parallel;
use crate::storage::elements;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, WithDType, bail};
use std::ops::Range;
use std::sync::Arc;

/// Transformation of an image x `[C, H, W]`, of whose channels the first ones are colors and the others are not, e.g. alpha.
///
/// Colors become pixel·x + gray·(mean of the pixel's colors) + mean·(mean of all colors) + alpha·(the channel after them) + bias. Then all
/// channels are shifted by `down` rows and `across` columns, with zeros shifted in, and the rectangle `cut` is set to zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageTransform {
    /// Factor of a number itself.
    pub pixel: f32,
    /// Factor of the mean over the colors of its pixel.
    pub gray: f32,
    /// Factor of the mean over all colors of the image.
    pub mean: f32,
    /// Factor of the channel after the colors, if there is one.
    pub alpha: f32,
    /// What is added.
    pub bias: f32,
    /// Number of rows by which the image moves down.
    pub down: i32,
    /// Number of columns by which the image moves to the right.
    pub across: i32,
    /// Rows and columns that become zero: the first, and the one after the last, which may lie outside of the image.
    pub cut: [[i32; 2]; 2],
}

impl ImageTransform {
    /// Leaves an image as it is.
    pub const IDENTITY: Self =
        Self { pixel: 1.0, gray: 0.0, mean: 0.0, alpha: 0.0, bias: 0.0, down: 0, across: 0, cut: [[0; 2]; 2] };
    /// Number of numbers of [`ImageTransform::numbers`].
    pub const LEN: usize = 11;

    /// Returns all fields, in their order.
    pub fn numbers(&self) -> [f32; Self::LEN] {
        let [[top, bottom], [left, right]] = self.cut.map(|ends| ends.map(|end| end as f32));
        let [down, across] = [self.down, self.across].map(|by| by as f32);
        [self.pixel, self.gray, self.mean, self.alpha, self.bias, down, across, top, bottom, left, right]
    }

    /// Returns the fields from their numbers.
    pub fn from_numbers(all: &[f32]) -> Self {
        let of = |i: usize| all[i] as i32;
        let cut = [[of(7), of(8)], [of(9), of(10)]];
        let [pixel, gray, mean, alpha, bias] = [all[0], all[1], all[2], all[3], all[4]];
        Self { pixel, gray, mean, alpha, bias, down: of(5), across: of(6), cut }
    }
}

/// Where the numbers of an image lie.
#[derive(Clone, Copy, Debug)]
pub struct ImageLayout {
    /// Height, width and channels.
    pub sides: [usize; 3],
    /// Number of channels that are colors.
    pub colors: usize,
    /// Whether the channels of a pixel are neighbors, `[H, W, C]`; otherwise, `[C, H, W]`.
    pub is_channels_last: bool,
}

impl ImageLayout {
    /// Returns the distances between neighboring columns and channels.
    fn strides(&self) -> [usize; 2] {
        let [h, w, c] = self.sides;
        if self.is_channels_last { [c, 1] } else { [1, h * w] }
    }

    /// Writes the transformed image to y, whose numbers may be anything.
    pub fn transform<T: WithDType>(&self, by: &ImageTransform, x: &[T], y: &mut [T]) {
        let mut colored = x.to_vec();
        self.color(by, &mut colored);
        self.shift([by.down, by.across], &colored, y);
        self.cut(by.cut, y);
    }

    /// Writes the gradient by the image to dx, from that by the transformed one.
    pub fn transform_grad<T: WithDType>(&self, by: &ImageTransform, g: &[T], dx: &mut [T]) {
        let mut kept = g.to_vec();
        self.cut(by.cut, &mut kept);
        self.shift([-by.down, -by.across], &kept, dx);
        let [step, between] = self.strides();
        if by.alpha != 0.0 && self.has_more() {
            for at in 0..dx.len() / self.sides[2] {
                let sum: f64 = (0..self.colors).map(|c| dx[at * step + c * between].to_f64()).sum();
                let of_alpha = &mut dx[at * step + self.colors * between];
                *of_alpha = T::from_f64(of_alpha.to_f64() + f64::from(by.alpha) * sum);
            }
        }
        // Means are symmetric: the gradient of a mean is the mean of the gradients.
        self.color(&ImageTransform { alpha: 0.0, bias: 0.0, ..*by }, dx);
    }

    /// Returns whether there is a channel after the colors.
    fn has_more(&self) -> bool {
        self.colors < self.sides[2]
    }

    fn color<T: WithDType>(&self, by: &ImageTransform, values: &mut [T]) {
        let [h, w, _] = self.sides;
        let [step, between] = self.strides();
        let Self { colors, .. } = *self;
        let alpha = if self.has_more() { by.alpha } else { 0.0 };
        if [by.pixel, by.gray, by.mean, alpha, by.bias] == [1.0, 0.0, 0.0, 0.0, 0.0] || colors == 0 {
            return;
        }
        let [pixel, gray, mean, alpha, bias] = [by.pixel, by.gray, by.mean, alpha, by.bias].map(f64::from);
        let channels = move |at: usize| (0..colors).map(move |c| at * step + c * between);
        let sum = |values: &[T], at: usize| channels(at).map(|i| values[i].to_f64()).sum::<f64>();
        let whole: f64 = if mean == 0.0 { 0.0 } else { (0..h * w).map(|at| sum(values, at)).sum() };
        let constant = mean * whole / (h * w * colors) as f64 + bias;
        for at in 0..h * w {
            let of_alpha = if alpha == 0.0 { 0.0 } else { alpha * values[at * step + colors * between].to_f64() };
            let more = constant + gray * sum(values, at) / colors as f64 + of_alpha;
            channels(at).for_each(|i| values[i] = T::from_f64(pixel * values[i].to_f64() + more));
        }
    }

    fn shift<T: WithDType>(&self, by: [i32; 2], x: &[T], y: &mut [T]) {
        let [h, w, c] = self.sides;
        let [step, between] = self.strides();
        y.fill(T::zero());
        // What stays inside, before it moves.
        let inside = |side: usize, by: i32| -> Range<usize> {
            let by = by as isize;
            let side = side as isize;
            (-by).clamp(0, side) as usize..(side - by).clamp(0, side) as usize
        };
        let columns = inside(w, by[1]);
        for i in inside(h, by[0]) {
            let to = (i as isize + by[0] as isize) as usize * w;
            for c in 0..if self.is_channels_last { 1 } else { c } {
                let from = (i * w + columns.start) * step + c * between;
                let to = (to as isize + columns.start as isize + by[1] as isize) as usize * step + c * between;
                let len = columns.len() * step;
                y[to..to + len].copy_from_slice(&x[from..from + len]);
            }
        }
    }

    fn cut<T: WithDType>(&self, [rows, columns]: [[i32; 2]; 2], values: &mut [T]) {
        let [h, w, c] = self.sides;
        let [step, between] = self.strides();
        let inside = |side: usize, [from, to]: [i32; 2]| {
            let side = side as i32;
            from.clamp(0, side) as usize..to.clamp(0, side) as usize
        };
        for i in inside(h, rows) {
            for j in inside(w, columns) {
                (0..c).for_each(|c| values[(i * w + j) * step + c * between] = T::zero());
            }
        }
    }
}

/// Transforms each image: x `[N, C, H, W]`, of whose channels the first `colors` are colors -> `[N, C, H, W]`, differentiable by x.
///
/// It is computed on the CPU, also for x on another device.
///
/// # Errors
/// If x is not `[N, C, H, W]`, does not have a transformation for each image, or has fewer channels than `colors`.
pub fn transform_images(x: &Tensor, transforms: Vec<ImageTransform>, colors: usize) -> Result<Tensor> {
    let (n, c, ..) = x.dims4()?;
    if transforms.len() != n || colors > c {
        bail!("{} transformations of {colors} color channels do not fit images {:?}", transforms.len(), x.dims());
    }
    let op = TransformImages { transforms: transforms.into(), colors, is_grad: false };
    x.to_device(&Device::Cpu)?.apply_op1(op)?.to_device(x.device())
}

/// A transformation of images, or its gradient by them.
struct TransformImages {
    transforms: Arc<[ImageTransform]>,
    colors: usize,
    is_grad: bool,
}

impl TransformImages {
    fn run<T: WithDType>(&self, x: &[T], dims: [usize; 4]) -> Vec<T> {
        let [n, c, h, w] = dims;
        let layout = ImageLayout { sides: [h, w, c], colors: self.colors, is_channels_last: false };
        let len = c * h * w;
        let all = parallel::map(n, |sample| {
            let mut y = vec![T::zero(); len];
            let x = &x[sample * len..(sample + 1) * len];
            let by = &self.transforms[sample];
            if self.is_grad {
                layout.transform_grad(by, x, &mut y)
            } else {
                layout.transform(by, x, &mut y)
            }
            y
        });
        all.concat()
    }
}

impl CustomOp1 for TransformImages {
    fn name(&self) -> &'static str {
        if self.is_grad { "transform_images_grad" } else { "transform_images" }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let dims = [n, c, h, w];
        let y = match x {
            CpuStorage::F32(_) => CpuStorage::F32(self.run(&elements::<f32>(x, layout)?, dims)),
            CpuStorage::F64(_) => CpuStorage::F64(self.run(&elements::<f64>(x, layout)?, dims)),
            _ => bail!("images to transform must be f32 or f64"),
        };
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        // The gradient of the gradient has no bias, like a tangent.
        let unbiased = |by: &ImageTransform| ImageTransform { bias: 0.0, ..*by };
        let transforms = self.transforms.iter().map(unbiased).collect();
        Ok(Some(g.apply_op1(Self { transforms, colors: self.colors, is_grad: !self.is_grad })?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLORS: ImageTransform =
        ImageTransform { pixel: 0.5, gray: -0.25, mean: 0.75, alpha: 0.375, bias: 0.1, ..ImageTransform::IDENTITY };
    const MOVED: ImageTransform = ImageTransform { down: 1, across: -2, cut: [[2, 9], [-3, 2]], ..COLORS };

    fn numbers(n: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0).collect()
    }

    /// The formula, pixel by pixel.
    fn plain(layout: &ImageLayout, by: &ImageTransform, x: &[f64]) -> Vec<f64> {
        let [h, w, c] = layout.sides;
        let at = |c_at: usize, i: usize, j: usize| match layout.is_channels_last {
            true => (i * w + j) * c + c_at,
            false => (c_at * h + i) * w + j,
        };
        let mut y = vec![0.0; x.len()];
        let colors = layout.colors;
        let all = (0..h).flat_map(|i| (0..w).map(move |j| (i, j)));
        let gray = |(i, j): (usize, usize)| (0..colors).map(|c| x[at(c, i, j)]).sum::<f64>() / colors.max(1) as f64;
        let mean = all.clone().map(gray).sum::<f64>() / (h * w) as f64;
        let [pixel, own_gray, of_mean, of_alpha, bias] = [by.pixel, by.gray, by.mean, by.alpha, by.bias].map(f64::from);
        for (i, j) in all {
            let from = (i as i32 - by.down, j as i32 - by.across);
            let is_inside = (0..h as i32).contains(&from.0) && (0..w as i32).contains(&from.1);
            let [rows, columns] = by.cut;
            let is_cut = (rows[0]..rows[1]).contains(&(i as i32)) && (columns[0]..columns[1]).contains(&(j as i32));
            if !is_inside || is_cut {
                continue;
            }
            let from = (from.0 as usize, from.1 as usize);
            let value = |channel: usize| x[at(channel, from.0, from.1)];
            let alpha = if colors < c { value(colors) } else { 0.0 };
            let more = own_gray * gray(from) + of_mean * mean + of_alpha * alpha + bias;
            for channel in 0..c {
                let x = value(channel);
                y[at(channel, i, j)] = if channel < colors { pixel * x + more } else { x };
            }
        }
        y
    }

    #[test]
    fn equals_the_formula_in_both_layouts() {
        for is_channels_last in [false, true] {
            for colors in [0, 1, 3, 4] {
                let layout = ImageLayout { sides: [5, 6, 4], colors, is_channels_last };
                let x = numbers(120);
                for by in [ImageTransform::IDENTITY, COLORS, MOVED, ImageTransform { down: -9, ..MOVED }] {
                    let mut y = vec![7.0; 120];
                    layout.transform(&by, &x, &mut y);
                    let expected = plain(&layout, &by, &x);
                    assert!(y.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{layout:?} {by:?}");
                }
            }
        }
    }

    #[test]
    fn the_gradient_is_the_transpose() {
        let layout = ImageLayout { sides: [5, 6, 4], colors: 3, is_channels_last: true };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let x = numbers(120);
        let g: Vec<f64> = x.iter().rev().map(|v| v * v).collect();
        let by = ImageTransform { bias: 0.0, ..MOVED };
        let [mut y, mut dx] = [0, 1].map(|_| vec![0.0; 120]);
        layout.transform(&by, &x, &mut y);
        layout.transform_grad(&by, &g, &mut dx);
        assert!((dot(&y, &g) - dot(&x, &dx)).abs() < 1e-12);
    }

    #[test]
    fn gradients_and_their_gradients_are_those_of_the_formula() -> Result<()> {
        let dims = (2, 3, 4, 5);
        let x = candle_core::Var::from_vec(numbers(120), dims, &Device::Cpu)?;
        let weights = Tensor::from_vec(numbers(120), dims, &Device::Cpu)?.sqr()?;
        let transforms = [MOVED, COLORS];
        let layout = ImageLayout { sides: [4, 5, 3], colors: 3, is_channels_last: false };
        let w = weights.flatten_all()?.to_vec1::<f64>()?;
        for is_grad in [false, true] {
            let op = TransformImages { transforms: transforms.into(), colors: 3, is_grad };
            let loss = (x.apply_op1(op)? * &weights)?.sum_all()?;
            let found = loss.backward()?.get(&x).expect("x has a gradient").flatten_all()?.to_vec1::<f64>()?;
            for (i, by) in transforms.iter().enumerate() {
                let part = i * 60..(i + 1) * 60;
                let mut expected = vec![0.0; 60];
                match is_grad {
                    true => layout.transform(&ImageTransform { bias: 0.0, ..*by }, &w[part.clone()], &mut expected),
                    false => layout.transform_grad(by, &w[part.clone()], &mut expected),
                }
                assert_eq!(found[part], expected[..]);
            }
        }
        Ok(())
    }
}
