//! Penalties, one file each. g = ∇ₓ l(x) stands for the gradient of D's logit l by its input x.
//!
//! Most penalties are E[φ(g)] at some points x, and keep D from becoming too steep for G. Their gradient by D's weights θ is that of
//! E[tᵀ∇ₓ l(x; θ)] with t = φ'(g) held fixed: one backward pass gives g, and one Jacobian-vector product ([`Discriminator::jvp`]) and its
//! backward pass give the rest, exactly.
//!
//! A new penalty is a file with an [`Effect`] and a line in `penalties!` below, from which its name and [`PenaltyKind::ALL`] follow.

use crate::{Discriminator, ForwardContext, Linearized, Side};
use candle_core::{Result, Tensor, Var};
use gan_base::Rng;
use serde::{Deserialize, Serialize};

/// What a penalty adds or limits.
pub enum Effect {
    /// Adds a function of D's gradient to D's loss.
    Gradient(GradientPenalty),
    /// Adds a function of D's features `[N, …]` of real and of generated samples to G's loss.
    Features(fn(&Tensor, &Tensor) -> Result<Tensor>),
    /// Replaces D's weights after each update of D, given the penalty's weight.
    Weights(fn(&Tensor, f64) -> Result<Tensor>),
}

/// Defines the enum of all penalties, with a variant and a module for each line.
macro_rules! penalties {
    ($($module:ident: $name:ident,)*) => {
        $(mod $module;)*

        /// Kind of a penalty. Its formula is in the file of the same name in `gan_core::penalties`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each is named like the file that describes it")]
        pub enum PenaltyKind {
            $($name,)*
        }

        impl PenaltyKind {
            /// Every penalty.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns its name in settings.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($module),)*
                }
            }

            /// Returns what it adds or limits.
            pub fn effect(self) -> Effect {
                match self {
                    $(Self::$name => $module::EFFECT,)*
                }
            }
        }
    };
}

penalties! {
    r1: R1,
    r2: R2,
    gp: Gp,
    gp_zero: GpZero,
    dragan: Dragan,
    clip: Clip,
    feature_matching: FeatureMatching,
}

/// Settings of a penalty: an entry of `[[penalties]]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Penalty {
    /// Kind of penalty.
    pub kind: PenaltyKind,
    /// Factor: γ of R1 and R2, λ of the others; the limit of "clip".
    pub weight: f64,
    /// Weight at the end of the run, which changes linearly towards it; constant by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// Applied every N updates of D and scaled by N (lazy regularization: Karras et al. 2020, arXiv:1912.04958, section 3.1).
    #[serde(default = "always")]
    pub every: u64,
    /// Fraction of each batch that it is applied to, above 0 and at most 1: as cheap as lazy penalties, and as steady as constant ones.
    #[serde(default = "all")]
    pub share: f64,
}

fn always() -> u64 {
    1
}

fn all() -> f64 {
    1.0
}

impl Penalty {
    /// Returns a penalty that is applied to every update, with a constant weight.
    pub fn new(kind: PenaltyKind, weight: f64) -> Self {
        Self { kind, weight, end: None, every: always(), share: all() }
    }

    /// Returns the penalty with its weight in update number `update` of D, counted from 0, after `progress` of the run, from 0 to 1; `None`
    /// if it is not applied to that update.
    pub fn scheduled(self, update: u64, progress: f64) -> Option<Self> {
        let now = self.end.map_or(self.weight, |end| self.weight + (end - self.weight) * progress.clamp(0.0, 1.0));
        update.is_multiple_of(self.every).then_some(Self { weight: now * self.every as f64, ..self })
    }

    /// Returns the first samples (or classes) of a batch `[N, …]` that it is applied to, at least one.
    pub fn share_of(&self, batch: &Tensor) -> Result<Tensor> {
        let n = batch.dim(0)?;
        batch.narrow(0, 0, ((n as f64 * self.share).round() as usize).clamp(1, n))
    }
}

/// Points at which a penalty is applied.
enum Points {
    /// The samples of one kind.
    Of(Side),
    /// A function of real and generated samples `[N, …]`.
    Other(fn(&Tensor, &Tensor, &mut Rng) -> Result<Tensor>),
}

/// What is charged for a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// φ(g) = ½‖g‖²
    HalfSquare,
    /// φ(g) = ‖g‖²
    Square,
    /// φ(g) = (‖g‖ − 1)²
    DistanceToOne,
}

/// A penalty E[φ(g)] on D's gradient.
pub struct GradientPenalty {
    points: Points,
    form: Form,
}

impl GradientPenalty {
    /// Returns the side whose samples are the points at which it is applied, if they are.
    pub fn side(&self) -> Option<Side> {
        match self.points {
            Points::Of(side) => Some(side),
            Points::Other(_) => None,
        }
    }

    /// Returns the points at which it is applied, from real and generated samples `[N, …]`.
    ///
    /// # Errors
    /// From candle, if the samples differ in shape.
    pub fn points(&self, real: &Tensor, fake: &Tensor, rng: &mut Rng) -> Result<Tensor> {
        match self.points {
            Points::Of(Side::Real) => Ok(real.detach()),
            Points::Of(Side::Fake) => Ok(fake.detach()),
            Points::Other(points) => points(&real.detach(), &fake.detach(), rng),
        }
    }

    /// Returns whether φ(g) = ½‖g‖², so that φ'(g) is g itself.
    pub fn is_half_square(&self) -> bool {
        self.form == Form::HalfSquare
    }

    /// Returns E[φ(g)] and φ'(g) of gradients `[N, …]`.
    pub fn value(&self, g: &Tensor) -> Result<(f64, Tensor)> {
        match self.form {
            Form::HalfSquare => Ok((0.5 * mean(&squares(g)?)?, g.clone())),
            Form::Square => Ok((mean(&squares(g)?)?, (g * 2.0)?)),
            Form::DistanceToOne => distance_to_one(g),
        }
    }

    /// Returns what [`GradientPenalty::term`] does, at the points of a pass of D.
    ///
    /// # Errors
    /// If the pass's backward pass has run.
    pub fn of_pass(&self, pass: &Linearized) -> Result<(f64, Tensor)> {
        let (value, direction) = self.value(&pass.gradient()?)?;
        Ok((value, pass.jvp(&direction)?.mean_all()?))
    }

    /// Returns the value of the penalty and a scalar whose gradient by D's weights is that of the penalty, for real and generated samples
    /// `[N, …]` each (the shorter of both counts if points lie between them). `classes` `[N]` are those of both, sample by sample, if D is
    /// conditional.
    ///
    /// # Errors
    /// If D has no `jvp`, or the samples do not fit it.
    pub fn term(
        &self,
        d: &dyn Discriminator,
        real: &Tensor,
        fake: &Tensor,
        classes: Option<&Tensor>,
        rng: &mut Rng,
    ) -> Result<(f64, Tensor)> {
        let at = self.points(real, fake, rng)?;
        if let Some(pass) = d.linearize(&at, &mut ForwardContext::steady(rng).of_classes(classes))? {
            return self.of_pass(&pass);
        }
        // Dropout must drop the same elements both times.
        let mut same = rng.clone();
        let g = gradient(d, &at, &mut ForwardContext::frozen(rng).of_classes(classes))?;
        let (value, direction) = self.value(&g)?;
        let tangent = d.jvp(&at, &direction, &mut ForwardContext::steady(&mut same).of_classes(classes))?;
        Ok((value, tangent.mean_all()?))
    }
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

/// Returns the value and φ' of φ(g) = (‖g‖ − 1)².
fn distance_to_one(g: &Tensor) -> Result<(f64, Tensor)> {
    // The smallest normal number prevents a division by zero for a gradient of zero, which has no direction.
    let norms = (squares(g)? + f64::from(f32::MIN_POSITIVE))?.sqrt()?;
    let beyond = (&norms - 1.0)?;
    let factor = (beyond.div(&norms)? * 2.0)?.reshape(one_each(g))?;
    Ok((mean(&beyond.sqr()?)?, g.broadcast_mul(&factor)?))
}

/// Returns ‖g‖² of each sample, `[N, 1]`.
fn squares(g: &Tensor) -> Result<Tensor> {
    g.sqr()?.flatten_from(1)?.sum_keepdim(1)
}

fn mean(values: &Tensor) -> Result<f64> {
    Ok(f64::from(values.mean_all()?.to_scalar::<f32>()?))
}

/// Returns `[N, 1, …]`: the shape of one number per sample, broadcastable to x.
fn one_each(x: &Tensor) -> Vec<usize> {
    let mut shape = vec![1; x.rank()];
    shape[0] = x.dims()[0];
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_settings_are_those_of_the_files() {
        for kind in PenaltyKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn weights_follow_their_schedule() {
        let penalty = Penalty { end: Some(0.0), every: 4, ..Penalty::new(PenaltyKind::R1, 2.0) };
        assert_eq!(penalty.scheduled(3, 0.0), None);
        assert_eq!(penalty.scheduled(8, 0.25).map(|now| now.weight), Some(6.0));
    }
}
