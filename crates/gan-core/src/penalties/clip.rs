//! Weight clipping: D's weights are clipped at ± weight after each of its updates (WGAN; Arjovsky et al. 2017, arXiv:1701.07875).

use super::Effect;

pub(super) const EFFECT: Effect = Effect::Weights(|weights, limit| weights.clamp(-limit, limit));
