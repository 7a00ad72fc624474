//! What layers have in common, asked of any: layers inside, classes, spectral norm.

use super::Layer;

/// How deep residual blocks may stand in each other. Networks in the literature nest two or three; every walk over a list is
/// recursive, and this is what bounds it.
pub const MOST_NESTED: usize = 16;

impl Layer {
    /// The layers inside a residual block.
    pub fn inner(&self) -> impl Iterator<Item = &Layer> {
        let (body, skip) = match self {
            Self::Residual(l) => (&l.residual[..], &l.skip[..]),
            _ => (&[][..], &[][..]),
        };
        body.iter().chain(skip)
    }

    /// Whether more than `limit` residual blocks stand in each other here, itself counted. Looks no deeper than that.
    pub(crate) fn nests_deeper_than(&self, limit: usize) -> bool {
        let deeper = |limit: usize| self.inner().any(|layer| layer.nests_deeper_than(limit));
        matches!(self, Self::Residual(_)) && limit.checked_sub(1).is_none_or(deeper)
    }

    /// The number of classes that it takes, where it takes any.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::ConditionalBatchNorm(l) => Some(l.conditional_batch_norm),
            Self::ConcatClass(l) => Some(l.concat_class),
            Self::Projection(l) => Some(l.projection),
            Self::Auxiliary(l) => Some(l.auxiliary),
            _ => self.inner().find_map(Self::classes),
        }
    }

    /// The same layer, and all inside it, with every kernel divided by its largest singular value.
    #[must_use]
    pub fn with_spectral_norm(mut self) -> Self {
        self.add_spectral_norm();
        self
    }

    fn add_spectral_norm(&mut self) {
        match self {
            Self::Dense(l) => l.spectral_norm = true,
            Self::Conv(l) => l.spectral_norm = true,
            Self::ConvTranspose(l) => l.spectral_norm = true,
            Self::Attention(l) => l.spectral_norm = true,
            Self::Projection(l) => l.spectral_norm = true,
            Self::Auxiliary(l) => l.spectral_norm = true,
            Self::Residual(l) => l.residual.iter_mut().chain(&mut l.skip).for_each(Self::add_spectral_norm),
            _ => {}
        }
    }

    /// What its kernel's initial values are multiplied by, where it says so.
    pub fn gain(&self) -> Option<f64> {
        match self {
            Self::Dense(l) => l.gain,
            Self::Conv(l) => l.gain,
            Self::ConvTranspose(l) => l.gain,
            _ => None,
        }
    }

    /// Whether its kernels are divided by their largest singular values.
    pub fn has_spectral_norm(&self) -> bool {
        match self {
            Self::Dense(l) => l.spectral_norm,
            Self::Conv(l) => l.spectral_norm,
            Self::ConvTranspose(l) => l.spectral_norm,
            Self::Attention(l) => l.spectral_norm,
            Self::Projection(l) => l.spectral_norm,
            Self::Auxiliary(l) => l.spectral_norm,
            _ => false,
        }
    }
}
