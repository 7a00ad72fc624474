//! A value with an optional tangent: layers written over it have a directional derivative without further work.

use candle_core::{D, Module, Result, Tensor};
use gan_kernels::ops;

/// A value x with its tangent ẋ, of the same shape; without a tangent it is constant.
#[derive(Clone, Debug)]
pub struct Dual {
    /// x.
    pub value: Tensor,
    /// ẋ.
    pub change: Option<Tensor>,
}

impl Dual {
    /// Returns a value without a tangent.
    pub fn constant(value: Tensor) -> Self {
        Self { value, change: None }
    }

    /// Returns a linear map of x (`-> A·x`).
    pub fn linear(&self, map: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(Self { value: map(&self.value)?, change: self.change.as_ref().map(&map).transpose()? })
    }

    /// Applies f elementwise, with its slope f'(x).
    fn curve(
        &self,
        f: impl Fn(&Tensor) -> Result<Tensor>,
        slope: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Self> {
        let value = f(&self.value)?;
        let change = self.change.as_ref().map(|t| t * slope(&self.value, &value)?).transpose()?;
        Ok(Self { value, change })
    }

    /// Returns the sum of both tangents, with the shape of `like`.
    fn sum(a: Option<Tensor>, b: Option<Tensor>, like: &Tensor) -> Result<Option<Tensor>> {
        let sum = match (a, b) {
            (Some(a), Some(b)) => Some(a.broadcast_add(&b)?),
            (a, b) => a.or(b),
        };
        // Even a broadcast to the same shape would be an operation on the tape, whose gradient is a copy.
        let whole =
            |t: Tensor| if t.dims() == like.dims() { Ok(t) } else { t.broadcast_as(like.shape())?.contiguous() };
        sum.map(whole).transpose()
    }

    /// Applies an affine module of candle-nn, such as a linear layer or a convolution: `-> A·x + b`.
    pub fn affine_module(&self, module: &impl Module) -> Result<Self> {
        let value = module.forward(&self.value)?;
        // The module maps 0 to b.
        let linear = |t: &Tensor| module.forward(t)? - module.forward(&t.zeros_like()?)?;
        Ok(Self { value, change: self.change.as_ref().map(linear).transpose()? })
    }

    /// Returns the sum, elementwise with broadcasting.
    pub fn add(&self, other: &Self) -> Result<Self> {
        let value = self.value.broadcast_add(&other.value)?;
        let change = Self::sum(self.change.clone(), other.change.clone(), &value)?;
        Ok(Self { value, change })
    }

    /// Returns the difference, elementwise with broadcasting.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        self.add(&other.affine(-1.0, 0.0)?)
    }

    /// Returns the product, elementwise with broadcasting.
    pub fn mul(&self, other: &Self) -> Result<Self> {
        self.product(other, Tensor::broadcast_mul)
    }

    /// Returns the matrix product over the last two axes.
    pub fn matmul(&self, other: &Self) -> Result<Self> {
        self.product(other, Tensor::matmul)
    }

    fn product(&self, other: &Self, of: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) -> Result<Self> {
        let value = of(&self.value, &other.value)?;
        let left = self.change.as_ref().map(|t| of(t, &other.value)).transpose()?;
        let right = other.change.as_ref().map(|t| of(&self.value, t)).transpose()?;
        let change = Self::sum(left, right, &value)?;
        Ok(Self { value, change })
    }

    /// Returns a·x + b.
    pub fn affine(&self, a: f64, b: f64) -> Result<Self> {
        let change = self.change.as_ref().map(|t| t * a).transpose()?;
        Ok(Self { value: self.value.affine(a, b)?, change })
    }

    /// Returns x².
    pub fn sqr(&self) -> Result<Self> {
        self.curve(Tensor::sqr, |x, _| x * 2.0)
    }

    /// Returns 1/√x.
    pub fn rsqrt(&self) -> Result<Self> {
        self.curve(|x| x.sqrt()?.recip(), |x, y| y.div(x)? * -0.5)
    }

    /// Returns √x.
    pub fn sqrt(&self) -> Result<Self> {
        self.curve(Tensor::sqrt, |_, y| y.recip()? * 0.5)
    }

    /// Returns eˣ.
    pub fn exp(&self) -> Result<Self> {
        self.curve(Tensor::exp, |_, y| Ok(y.clone()))
    }

    /// Returns 1/x.
    pub fn recip(&self) -> Result<Self> {
        self.curve(Tensor::recip, |_, y| y.sqr()?.neg())
    }

    /// Returns 1 / (1 + e⁻ˣ).
    pub fn sigmoid(&self) -> Result<Self> {
        self.curve(ops::sigmoid, |_, y| y * y.affine(-1.0, 1.0)?)
    }

    /// Returns the error function, whose slope is 2/√π·exp(−x²).
    pub fn erf(&self) -> Result<Self> {
        self.curve(Tensor::erf, |x, _| x.sqr()?.neg()?.exp()? * std::f64::consts::FRAC_2_SQRT_PI)
    }

    /// Returns x where it is above 0, else slope·x.
    pub fn leaky_relu(&self, slope: f64) -> Result<Self> {
        let slopes = ops::slopes(&self.value, slope)?;
        self.linear(|x| x * &slopes)
    }

    /// Returns the hyperbolic tangent.
    pub fn tanh(&self) -> Result<Self> {
        self.curve(Tensor::tanh, |_, y| y.sqr()?.affine(-1.0, 1.0))
    }

    /// Returns the mean over some axes, which stay with length 1.
    pub fn mean(&self, axes: &[usize]) -> Result<Self> {
        self.linear(|x| x.mean_keepdim(axes))
    }

    /// Returns exp(x) / Σ exp(x) over the last axis.
    pub fn softmax(&self) -> Result<Self> {
        // The maximum is subtracted so that nothing overflows; it cancels out.
        let largest = Self::constant(self.value.max_keepdim(D::Minus1)?.detach());
        let powers = self.sub(&largest)?.exp()?;
        let sum = powers.linear(|x| x.sum_keepdim(D::Minus1))?;
        powers.mul(&sum.recip()?)
    }

    /// Concatenates x along `axis` with a constant.
    pub fn join(&self, other: &Self, axis: usize) -> Result<Self> {
        let value = Tensor::cat(&[&self.value, &other.value], axis)?;
        let filled = |x: &Self| x.change.clone().map_or_else(|| x.value.zeros_like(), Ok);
        let change = match (&self.change, &other.change) {
            (None, None) => None,
            _ => Some(Tensor::cat(&[filled(self)?, filled(other)?], axis)?),
        };
        Ok(Self { value, change })
    }
}
