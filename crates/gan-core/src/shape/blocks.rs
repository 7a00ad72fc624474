//! What comes out of newer layers.

use super::{Shape, image};
use crate::layer::Layer;

/// The shape after one layer, or what the layer needs instead.
pub(super) fn after(layer: &Layer, shape: &[usize]) -> Result<Shape, String> {
    match layer {
        Layer::ConditionalBatchNorm(l) => {
            if !(l.eps > 0.0 && (0.0..=1.0).contains(&l.momentum)) {
                return Err("eps above 0 and momentum in [0, 1]".into());
            }
            classes(l.conditional_batch_norm)?;
        }
        Layer::InstanceNorm(l) => {
            image(shape)?;
            above_zero(l.instance_norm.eps)?;
        }
        Layer::LayerNorm(l) => above_zero(l.layer_norm.eps)?,
        Layer::GroupNorm(l) => {
            above_zero(l.eps)?;
            divides(l.group_norm, shape[0], "groups")?;
        }
        Layer::Elu(l) if !l.elu.is_finite() => return Err("a finite α".into()),
        Layer::Bilinear(l) => {
            let (c, h, w) = image(shape)?;
            let [down, across] = l.bilinear.get();
            if down == 0 || across == 0 {
                return Err("factors of at least 1".into());
            }
            return Ok(vec![c, h.saturating_mul(down), w.saturating_mul(across)]);
        }
        Layer::PixelShuffle(l) => {
            let (c, h, w) = image(shape)?;
            let s = l.pixel_shuffle;
            if s == 0 || s > 64 || !c.is_multiple_of(s * s) {
                return Err("a factor s whose square divides the channels".into());
            }
            return Ok(vec![c / (s * s), h.saturating_mul(s), w.saturating_mul(s)]);
        }
        Layer::BlurPool(l) => {
            let (c, h, w) = image(shape)?;
            let s = l.blur_pool;
            if s == 0 || s > h || s > w {
                return Err(format!("a step from 1 to the image's smaller side, here {}", h.min(w)));
            }
            return Ok(vec![c, h / s, w / s]);
        }
        Layer::MinibatchStd(l) => {
            if l.minibatch_std < 2 {
                return Err("groups of at least 2 samples".into());
            }
            return Ok([&[shape[0].saturating_add(1)], &shape[1..]].concat());
        }
        Layer::Attention(l) => {
            let (c, ..) = image(shape)?;
            divides(l.attention, c, "a reduction")?;
            divides(2, c, "halves")?;
        }
        Layer::ConcatClass(l) => {
            classes(l.concat_class)?;
            let more = l.embedding.unwrap_or(l.concat_class);
            if more == 0 {
                return Err("an embedding of at least 1".into());
            }
            return match shape {
                [f] => Ok(vec![f.saturating_add(more)]),
                [c, h, w] => Ok(vec![c.saturating_add(more), *h, *w]),
                _ => Err("a vector [features] or an image [channels, height, width]".into()),
            };
        }
        Layer::Projection(l) => {
            vector(shape)?;
            classes(l.projection)?;
            return Ok(vec![1]);
        }
        Layer::Auxiliary(l) => {
            vector(shape)?;
            classes(l.auxiliary)?;
            return Ok(vec![1 + l.auxiliary]);
        }
        _ => {}
    }
    Ok(shape.to_vec())
}

fn above_zero(eps: f64) -> Result<(), String> {
    if eps > 0.0 { Ok(()) } else { Err("eps above 0".into()) }
}

fn classes(n: usize) -> Result<(), String> {
    if n >= 2 { Ok(()) } else { Err("at least 2 classes".into()) }
}

fn divides(n: usize, channels: usize, what: &str) -> Result<(), String> {
    if n > 0 && channels.is_multiple_of(n) {
        Ok(())
    } else {
        Err(format!("{what} that divide its {channels} channels"))
    }
}

fn vector(shape: &[usize]) -> Result<(), String> {
    if shape.len() == 1 { Ok(()) } else { Err("a vector [features] (put \"flatten\" before it)".into()) }
}
