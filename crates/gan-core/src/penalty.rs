//! Penalties on the discriminator's gradient by its input, each with its formula. They keep D from becoming too steep for G.
//!
//! A penalty is E[φ(g)] with g = ∇ₓ l(x) at some points x, l being D's logit. Its gradient by D's weights θ is that of E[tᵀ∇ₓ l(x; θ)] with
//! t = φ'(g) held fixed: one backward pass gives g, and one Jacobian-vector product ([`Discriminator::jvp`]) and its backward pass give the
//! rest, exactly.

use crate::forward_context::ForwardContext;
use crate::gan::Discriminator;
use crate::random::RandomTensors;
use candle_core::{Result, Tensor, Var};
use gan_base::Rng;
use serde::{Deserialize, Serialize};

/// Penalty on D's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Penalty {
    /// ½·E[‖g‖²] at real samples (Mescheder et al. 2018, arXiv:1801.04406, equation 9).
    R1,
    /// ½·E[‖g‖²] at generated samples (the same, below equation 9).
    R2,
    /// E[(‖g‖ − 1)²] at points between real and generated ones (WGAN-GP; Gulrajani et al. 2017, arXiv:1704.00028, equation 3).
    Gp,
    /// E[‖g‖²] at the same points (Thanh-Tung et al. 2019, arXiv:1902.03984: zero-centered).
    GpZero,
    /// E[(‖g‖ − 1)²] at real samples plus noise of half their standard deviation (DRAGAN; Kodali et al. 2017,
    /// arXiv:1705.07215).
    Dragan,
}

impl Penalty {
    /// Returns its name in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::R1 => "r1",
            Self::R2 => "r2",
            Self::Gp => "gp",
            Self::GpZero => "gp_zero",
            Self::Dragan => "dragan",
        }
    }

    /// Returns the value of the penalty and a scalar whose gradient by D's weights is that of the penalty, for real and generated samples
    /// `[N, …]` each (the shorter of both counts if points lie between them). `classes` `[N]` are those of both, sample by sample, if D is
    /// conditional.
    ///
    /// # Errors
    /// If D has no `jvp`, or the samples do not fit it.
    pub fn of(
        self,
        d: &dyn Discriminator,
        real: &Tensor,
        fake: &Tensor,
        classes: Option<&Tensor>,
        rng: &mut Rng,
    ) -> Result<(f64, Tensor)> {
        let at = self.points(&real.detach(), &fake.detach(), rng)?;
        // Dropout must drop the same elements both times.
        let mut same = rng.clone();
        let g = gradient(d, &at, &mut ForwardContext::frozen(rng).of_classes(classes))?;
        let (value, direction) = self.value(&g)?;
        let tangent = d.jvp(&at, &direction, &mut ForwardContext::steady(&mut same).of_classes(classes))?;
        Ok((value, tangent.mean_all()?))
    }

    /// Returns the points at which it is applied.
    fn points(self, real: &Tensor, fake: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        match self {
            Self::R1 => Ok(real.clone()),
            Self::R2 => Ok(fake.clone()),
            Self::Gp | Self::GpZero => {
                let n = real.dim(0)?.min(fake.dim(0)?);
                let (real, fake) = (real.narrow(0, 0, n)?, fake.narrow(0, 0, n)?);
                let part = rng.uniform_tensor(0.0, 1.0, one_each(&real), real.device())?;
                &fake + (&real - &fake)?.broadcast_mul(&part)?
            }
            Self::Dragan => {
                let mean = real.mean_all()?;
                let deviation = real.broadcast_sub(&mean)?.sqr()?.mean_all()?.sqrt()?;
                let noise = rng.uniform_tensor(0.0, 1.0, real.shape(), real.device())?;
                real + (noise.broadcast_mul(&deviation)? * 0.5)?
            }
        }
    }

    /// Returns E[φ(g)] and φ'(g) of gradients `[N, …]`.
    fn value(self, g: &Tensor) -> Result<(f64, Tensor)> {
        let squares = g.sqr()?.flatten_from(1)?.sum_keepdim(1)?;
        let scalar = |t: &Tensor| -> Result<f64> { Ok(f64::from(t.mean_all()?.to_scalar::<f32>()?)) };
        match self {
            Self::R1 | Self::R2 => Ok((0.5 * scalar(&squares)?, g.clone())),
            Self::GpZero => Ok((scalar(&squares)?, (g * 2.0)?)),
            Self::Gp | Self::Dragan => {
                // The smallest normal number prevents a division by zero for a gradient of zero, which has no
                // direction.
                let norms = (squares + f64::from(f32::MIN_POSITIVE))?.sqrt()?;
                let beyond = (&norms - 1.0)?;
                let factor = (beyond.div(&norms)? * 2.0)?.reshape(one_each(g))?;
                Ok((scalar(&beyond.sqr()?)?, g.broadcast_mul(&factor)?))
            }
        }
    }
}

/// Returns `[N, 1, …]`: the shape of one number per sample, broadcastable to x.
fn one_each(x: &Tensor) -> Vec<usize> {
    let mut shape = vec![1; x.rank()];
    shape[0] = x.dims()[0];
    shape
}

/// Returns ∇ₓ of the sum of D's logits, with x's shape.
fn gradient(d: &dyn Discriminator, x: &Tensor, pass: &mut ForwardContext) -> Result<Tensor> {
    let x = Var::from_tensor(x)?;
    let grads = d.forward(x.as_tensor(), pass)?.logits.sum_all()?.backward()?;
    match grads.get(&x) {
        Some(g) => Ok(g.detach()),
        None => x.zeros_like(),
    }
}
