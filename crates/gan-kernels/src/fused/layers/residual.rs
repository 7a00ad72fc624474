//! Residual blocks: the sum of two branches of layers.
//!
//! In a list of layers a block is `Fork`, the first branch, `Swap`, the second branch, `Join`. One value waits at each of these places: the
//! block's input while the first branch runs, then the first branch's output. Blocks inside blocks make a stack of waiting values.

use super::{Operation, Shape};
use crate::backend::{Activation, Backend};
use crate::fused::pass::{Adjoint, At, Dtheta, PassContext, Value, owned};
use candle_core::{Result, bail};

/// Start of a residual block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fork;

/// Change from a residual block's first branch to its second one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swap;

/// End of a residual block: the sum of both branches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Join;

/// Exchanges `value` for the last one that waits.
fn exchange<T>(waiting: &mut Vec<T>, value: T) -> Option<T> {
    let last = waiting.pop()?;
    waiting.push(value);
    Some(last)
}

fn without_start() -> candle_core::Error {
    candle_core::Error::Msg("a residual block without its start".into())
}

impl<B: Backend> Operation<B> for Fork {
    fn linearizes(&self, _: Activation) -> bool {
        true
    }

    fn plan(&self, input: Shape, waiting: &mut Vec<Shape>) -> Result<Shape> {
        waiting.push(input);
        Ok(input)
    }

    fn forward(&self, _: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        cx.waiting.push(Value::<B>::clone(&x));
        Ok(x)
    }

    fn backward(
        &self,
        at: &At<B>,
        mut g: B::Buffer,
        cx: &mut PassContext<B>,
        _: Dtheta<B>,
        _: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        let other = cx.waiting_grads.pop()?;
        backend.add(backend.slice(&other), backend.slice_mut(&mut g));
        Some(g)
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        _: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let other = cx.waiting_adjoints.pop()?;
        let (mut more, less) = if adjoint.has_values { (adjoint, other) } else { (other, adjoint) };
        let skipped = if more.has_values && !less.has_values { at.input_len() } else { 0 };
        let [_, to] = backend.split_mut(backend.slice_mut(&mut more.g), skipped);
        backend.add(backend.slice(&less.g), to);
        Some(more)
    }
}

impl<B: Backend> Operation<B> for Swap {
    fn linearizes(&self, _: Activation) -> bool {
        true
    }

    fn plan(&self, input: Shape, waiting: &mut Vec<Shape>) -> Result<Shape> {
        exchange(waiting, input).ok_or_else(without_start)
    }

    fn forward(&self, _: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        exchange(&mut cx.waiting, x).ok_or_else(without_start)
    }

    fn backward(&self, _: &At<B>, g: B::Buffer, cx: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        exchange(&mut cx.waiting_grads, g)
    }

    fn jvp_backward(
        &self,
        _: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        _: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        exchange(&mut cx.waiting_adjoints, adjoint)
    }
}

impl<B: Backend> Operation<B> for Join {
    fn linearizes(&self, _: Activation) -> bool {
        true
    }

    fn plan(&self, input: Shape, waiting: &mut Vec<Shape>) -> Result<Shape> {
        match waiting.pop().ok_or_else(without_start)? {
            first if first == input => Ok(input),
            first => bail!("the branches of a residual block make {first:?} and {input:?}"),
        }
    }

    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let first = cx.waiting.pop().ok_or_else(without_start)?;
        let mut sum = owned(backend, x);
        backend.add(backend.slice(&first), backend.slice_mut(&mut sum));
        Ok(sum.into())
    }

    fn backward(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>, _: Dtheta<B>, _: bool) -> Option<B::Buffer> {
        cx.waiting_grads.push(at.backend().copy(at.backend().slice(&g)));
        Some(g)
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        _: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let g = at.backend().copy(at.backend().slice(&adjoint.g));
        cx.waiting_adjoints.push(Adjoint { g, has_values: adjoint.has_values });
        Some(adjoint)
    }
}
