//! Layers that use each sample's class: concatenation of a row to every pixel, and the head of a projection discriminator.

use super::Operation;
use crate::backend::{Activation, Backend, Sides};
use crate::fused::pass::{Adjoint, At, Dtheta, NeedsGrad, PassContext, Value, owned};
use crate::spec::product;
use candle_core::{Result, bail};

/// Concatenates a row for the sample's class to the channels of every pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConcatClass {
    /// Number of classes.
    pub known: usize,
    /// Index of the first number of learned rows in the parameters, and the size of a row; without, rows are one-hot.
    pub embedding: Option<(usize, usize)>,
}

/// Head ψ(x) + ⟨e(class), x⟩ over vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    /// Number of classes.
    pub known: usize,
    /// Index of ψ's first weight in the parameters.
    pub weight: usize,
    /// Index of ψ's bias.
    pub bias: usize,
    /// Index of the first number of e, a row for each class.
    pub embed: usize,
}

pub(super) fn classes<B: Backend>(cx: &PassContext<B>) -> Result<&[u32]> {
    match &cx.classes {
        Some(classes) => Ok(classes),
        None => bail!("this network needs each sample's class"),
    }
}

impl ConcatClass {
    fn width(&self) -> usize {
        self.embedding.map_or(self.known, |(_, size)| size)
    }

    fn len(&self) -> usize {
        product(&[self.known, self.width()])
    }

    fn rows_grad<B: Backend>(&self, at: &At<B>, cx: &PassContext<B>, g: B::Slice<'_>, dtheta: &mut B::SliceMut<'_>) {
        if let (Some((start, _)), Some(classes)) = (self.embedding, &cx.classes) {
            let rows = at.backend().part_mut(dtheta, start..start + self.len());
            at.backend().class_rows_grad(&at.map(), classes, g, rows);
        }
    }
}

impl<B: Backend> Operation<B> for ConcatClass {
    fn output(&self, [h, w, c]: Sides) -> Result<Sides> {
        Ok([h, w, c.saturating_add(self.width())])
    }

    fn parameters(&self, _: Sides) -> Vec<(usize, usize)> {
        self.embedding.map(|(start, _)| (start, self.len())).into_iter().collect()
    }

    fn classes(&self) -> Option<usize> {
        Some(self.known)
    }

    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let rows = self.embedding.map(|(start, _)| at.parameters(start, self.len()));
        let mut y = backend.uninit(at.output_len());
        backend.concat_class(&at.map(), Some(classes(cx)?), rows, backend.slice(&x), backend.slice_mut(&mut y));
        Ok(y.into())
    }

    fn backward(
        &self,
        at: &At<B>,
        g: B::Buffer,
        cx: &mut PassContext<B>,
        dtheta: Dtheta<B>,
        goes_on: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        if let Some(dtheta) = dtheta {
            self.rows_grad(at, cx, backend.slice(&g), dtheta);
        }
        goes_on.then(|| {
            let mut dx = backend.uninit(at.input_len());
            backend.concat_class_grad(&at.map(), backend.slice(&g), backend.slice_mut(&mut dx));
            dx
        })
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let rows = self.embedding.map(|(start, _)| at.parameters(start, self.len()));
        let classes = classes(cx)?;
        let y = at.jvp(&both, |[x, t], [values, tangents]| {
            backend.concat_class(&at.map(), Some(classes), rows, x, values);
            // The rows do not depend on the input.
            backend.concat_class(&at.map(), None, None, t, tangents);
        });
        Ok(y.into())
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let g = backend.slice(&adjoint.g);
        if adjoint.has_values {
            self.rows_grad(at, cx, backend.part(g, 0..at.output_len()), dtheta);
        }
        let all = at.times(adjoint.batches());
        let mut dx = backend.uninit(all.input_len());
        backend.concat_class_grad(&all.map(), g, backend.slice_mut(&mut dx));
        Some(Adjoint { g: dx, has_values: adjoint.has_values })
    }

    fn linearizes(&self, _: Activation) -> bool {
        true
    }

    fn adjoint(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>) -> Option<B::Buffer> {
        let backend = at.backend();
        let mut before = backend.uninit(at.input_len());
        backend.concat_class_grad(&at.map(), backend.slice(&g), backend.slice_mut(&mut before));
        cx.adjoints[at.index] = Some(g);
        Some(before)
    }

    fn tangent(&self, at: &At<B>, tangents: Value<B>, _: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut after = backend.uninit(at.output_len());
        // The rows do not depend on the input.
        backend.concat_class(&at.map(), None, None, backend.slice(&tangents), backend.slice_mut(&mut after));
        Ok(after.into())
    }

    fn linear_grad(
        &self,
        at: &At<B>,
        _: &Value<B>,
        cx: &mut PassContext<B>,
        of_output: Option<&B::Buffer>,
        dtheta: &mut B::SliceMut<'_>,
    ) {
        let backend = at.backend();
        if let (Some(of_output), Some(mut a)) = (of_output, cx.adjoints[at.index].take()) {
            backend.scale_samples(backend.slice(of_output), None, backend.slice_mut(&mut a));
            self.rows_grad(at, cx, backend.slice(&a), dtheta);
        }
    }
}

impl Projection {
    fn weights<'a, B: Backend>(&self, at: &At<'a, B>) -> [B::Slice<'a>; 2] {
        let features = at.planned().input[2];
        [at.parameters(self.weight, features), at.parameters(self.embed, self.known * features)]
    }

    /// Computes the logits, without a bias, of one or two batches.
    fn logits<B: Backend>(&self, at: &At<B>, cx: &PassContext<B>, x: B::Slice<'_>) -> Result<B::Buffer> {
        let backend = at.backend();
        let mut y = backend.uninit(at.output_len());
        backend.projection(classes(cx)?, self.weights(at), x, backend.slice_mut(&mut y));
        Ok(y)
    }

    /// Computes the gradients of all weights except the bias.
    fn weight_grads<B: Backend>(
        &self,
        at: &At<B>,
        cx: &PassContext<B>,
        x: B::Slice<'_>,
        g: B::Slice<'_>,
        dtheta: &mut B::SliceMut<'_>,
    ) {
        let backend = at.backend();
        let features = at.planned().input[2];
        let Some(classes) = &cx.classes else { return };
        let weight = backend.part_mut(dtheta, self.weight..self.weight + features);
        backend.projection_grad(None, x, g, weight);
        let embed = backend.part_mut(dtheta, self.embed..self.embed + self.known * features);
        backend.projection_grad(Some(classes), x, g, embed);
    }

    fn input_grad<B: Backend>(&self, at: &At<B>, cx: &PassContext<B>, g: B::Slice<'_>) -> Option<B::Buffer> {
        let backend = at.backend();
        let mut dx = backend.uninit(at.input_len());
        backend.projection_input_grad(cx.classes.as_ref()?, self.weights(at), g, backend.slice_mut(&mut dx));
        Some(dx)
    }

    fn bias_grad<B: Backend>(&self, at: &At<B>, g: B::Slice<'_>, dtheta: &mut B::SliceMut<'_>) {
        let sums = at.backend().part_mut(dtheta, self.bias..self.bias + 1);
        at.backend().column_sums(g, 1, sums);
    }
}

impl<B: Backend> Operation<B> for Projection {
    fn output(&self, input: Sides) -> Result<Sides> {
        match input {
            [1, 1, _] => Ok([1, 1, 1]),
            [h, w, c] => bail!("a projection is for vectors, got [{c}, {h}, {w}]"),
        }
    }

    fn parameters(&self, [_, _, c]: Sides) -> Vec<(usize, usize)> {
        vec![(self.weight, c), (self.bias, 1), (self.embed, product(&[self.known, c]))]
    }

    fn makes_vector(&self) -> Option<bool> {
        Some(true)
    }

    fn classes(&self) -> Option<usize> {
        Some(self.known)
    }

    fn reads_input(&self, needs: NeedsGrad) -> bool {
        needs.parameters
    }

    fn forward(&self, at: &At<B>, x: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = self.logits(at, cx, backend.slice(&x))?;
        let bias = Some(at.parameters(self.bias, 1));
        backend.bias_activation(at.planned().act, bias, backend.slice_mut(&mut y), 1);
        Ok(y.into())
    }

    fn backward(
        &self,
        at: &At<B>,
        g: B::Buffer,
        cx: &mut PassContext<B>,
        dtheta: Dtheta<B>,
        _: bool,
    ) -> Option<B::Buffer> {
        let backend = at.backend();
        let g = backend.slice(&g);
        if let Some(dtheta) = dtheta {
            self.bias_grad(at, g, dtheta);
            let x = at.input(cx)?;
            self.weight_grads(at, cx, backend.slice(&x), g, dtheta);
        }
        self.input_grad(at, cx, g)
    }

    fn jvp(&self, at: &At<B>, both: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        let backend = at.backend();
        let mut y = self.logits(&at.times(2), cx, backend.slice(&both))?;
        let [values, _] = backend.split_mut(backend.slice_mut(&mut y), at.output_len());
        backend.bias_activation(at.planned().act, Some(at.parameters(self.bias, 1)), values, 1);
        cx.values[at.index] = Some(both);
        Ok(y.into())
    }

    fn jvp_backward(
        &self,
        at: &At<B>,
        cx: &mut PassContext<B>,
        adjoint: Adjoint<B>,
        dtheta: &mut B::SliceMut<'_>,
    ) -> Option<Adjoint<B>> {
        let backend = at.backend();
        let input = cx.values[at.index].take()?;
        let len = at.input_len();
        let x = backend.part(backend.slice(&input), if adjoint.has_values { 0 } else { len }..2 * len);
        let g = backend.slice(&adjoint.g);
        if adjoint.has_values {
            self.bias_grad(at, backend.part(g, 0..at.output_len()), dtheta);
        }
        let all = at.times(adjoint.batches());
        self.weight_grads(&all, cx, x, g, dtheta);
        let g = self.input_grad(&all, cx, g)?;
        Some(Adjoint { g, has_values: adjoint.has_values })
    }

    fn linearizes(&self, act: Activation) -> bool {
        act == Activation::Identity
    }

    fn adjoint(&self, at: &At<B>, g: B::Buffer, cx: &mut PassContext<B>) -> Option<B::Buffer> {
        let before = self.input_grad(at, cx, at.backend().slice(&g));
        cx.adjoints[at.index] = Some(g);
        before
    }

    fn tangent(&self, at: &At<B>, tangents: Value<B>, cx: &mut PassContext<B>) -> Result<Value<B>> {
        Ok(self.logits(at, cx, at.backend().slice(&tangents))?.into())
    }

    fn linear_grad(
        &self,
        at: &At<B>,
        tangents: &Value<B>,
        cx: &mut PassContext<B>,
        of_output: Option<&B::Buffer>,
        dtheta: &mut B::SliceMut<'_>,
    ) {
        let backend = at.backend();
        let (Some(mut a), Some(x)) = (cx.adjoints[at.index].take(), cx.values[at.index].take()) else { return };
        let t = backend.slice(tangents);
        let Some(of_output) = of_output else { return self.weight_grads(at, cx, t, backend.slice(&a), dtheta) };
        let of_output = backend.slice(of_output);
        let mut both = owned(backend, x);
        backend.scale_samples(of_output, Some(t), backend.slice_mut(&mut both));
        self.weight_grads(at, cx, backend.slice(&both), backend.slice(&a), dtheta);
        backend.scale_samples(of_output, None, backend.slice_mut(&mut a));
        self.bias_grad(at, backend.slice(&a), dtheta);
    }
}
