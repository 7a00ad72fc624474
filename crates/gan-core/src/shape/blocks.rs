//! What comes out of newer layers.

use super::{Shape, image, infer};
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
            if down * across == 0 {
                return Err("factors of at least 1".into());
            }
            return Ok(vec![c, h * down, w * across]);
        }
        Layer::PixelShuffle(l) => {
            let (c, h, w) = image(shape)?;
            let s = l.pixel_shuffle;
            if s == 0 || s > 64 || !c.is_multiple_of(s * s) {
                return Err("a factor s whose square divides the channels".into());
            }
            return Ok(vec![c / (s * s), h * s, w * s]);
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
            return Ok([&[shape[0] + 1], &shape[1..]].concat());
        }
        Layer::Attention(l) => {
            let (c, ..) = image(shape)?;
            divides(l.attention, c, "a reduction")?;
            divides(2, c, "halves")?;
        }
        Layer::Residual(l) => {
            if l.residual.is_empty() {
                return Err("at least one layer in residual".into());
            }
            let ends = [("residual", &l.residual), ("skip", &l.skip)].map(|(name, list)| end(name, shape, list));
            let [body, skip] = ends;
            let (body, skip) = (body?, skip?);
            if body != skip {
                return Err(format!("both ways to make the same, but residual makes {body:?} and skip {skip:?}"));
            }
            return Ok(body);
        }
        Layer::ConcatClass(l) => {
            classes(l.concat_class)?;
            let more = l.embedding.unwrap_or(l.concat_class);
            if more == 0 {
                return Err("an embedding of at least 1".into());
            }
            return match shape {
                [f] => Ok(vec![f + more]),
                [c, h, w] => Ok(vec![c + more, *h, *w]),
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

fn end(name: &str, shape: &[usize], list: &[Layer]) -> Result<Shape, String> {
    let shapes = infer(name, shape, list).map_err(|error| format!("layers inside that fit ({error})"))?;
    Ok(shapes.last().cloned().unwrap_or_else(|| shape.to_vec()))
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
