//! Upsampling, padding and pooling: maps of pixels without weights.

use super::Operation;
use crate::backend::{Activation, Backend, Resample, Sides};
use crate::fused::pass::{At, Dtheta, PassContext, Value};
use candle_core::{Result, bail};

impl<B: Backend> Operation<B> for Resample {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        Ok(match *self {
            Self::Upsample([down, across]) => [h.saturating_mul(down), w.saturating_mul(across), c],
            Self::ZeroPad(padding) => {
                let [tall, wide] = padding.total();
                [h.saturating_add(tall), w.saturating_add(wide), c]
            }
            Self::Bilinear([down, across]) => [h.saturating_mul(down), w.saturating_mul(across), c],
            Self::BlurPool(step) => {
                if step == 0 || step > h || step > w {
                    bail!("a step of {step} does not fit into an image of {h}×{w}");
                }
                [h / step, w / step, c]
            }
            Self::PixelShuffle(s) => {
                if s == 0 || !c.is_multiple_of(s.saturating_mul(s)) {
                    bail!("{c} channels are not a multiple of {s}·{s}");
                }
                [h.saturating_mul(s), w.saturating_mul(s), c / (s * s)]
            }
            Self::AvgPool([kh, kw]) => {
                if kh == 0 || kw == 0 || kh > h || kw > w {
                    bail!("a pooling window of {:?} does not fit into an image of {h}×{w}", [kh, kw]);
                }
                [h / kh, w / kw, c]
            }
        })
    }

    fn linearizes(&self, _: Activation) -> bool {
        true
    }

    fn recomputes_output(&self, len: usize) -> bool {
        len >= B::RECOMPUTES_FROM
    }

    fn recompute_output(&self, at: &At<B>, cx: &PassContext<B>) -> Option<B::Buffer> {
        let backend = at.backend();
        let x = at.input(cx)?;
        let mut y = backend.uninit(at.output_len());
        backend.resample(&at.map(), *self, backend.slice(&x), backend.slice_mut(&mut y));
        Some(y)
    }

    fn forward(&self, at: &At<B>, x: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.resample(&at.map(), *self, backend.slice(&x), backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, _: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        let backend = at.backend();
        let mut dx = backend.uninit(at.input_len());
        backend.resample_grad(&at.map(), *self, backend.slice(&g), backend.slice_mut(&mut dx));
        Some(dx)
    }
}
