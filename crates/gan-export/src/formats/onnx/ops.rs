//! Each operation of a graph in ONNX.

use super::Exporter;
use crate::{Error, Result};
use gan_core::graph::{Op, Reduce, Unary};

/// Maximum group of a minibatch standard deviation: all sizes up to it are compared when the batch size is known.
const LARGEST_GROUP: usize = 1 << 16;

impl Exporter {
    /// Adds an operation and returns the name of its result.
    pub(super) fn op(&mut self, name: &str, op: &Op, inputs: &[String]) -> Result<String> {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let constant = |what: &str| format!("{name}/{what}");
        let plain = |attributes| (inputs.clone(), attributes);
        let (inputs, attributes) = match op {
            Op::Conv { spec, groups } => {
                let pads = [spec.padding.top, spec.padding.left, spec.padding.bottom, spec.padding.right];
                plain(vec![
                    Self::int_list("strides", &spec.stride),
                    Self::int_list("pads", &pads),
                    Self::int_list("dilations", &spec.dilation),
                    Self::int("group", *groups as i64),
                ])
            }
            Op::ConvTranspose { spec, output_padding } => {
                let pads = [spec.padding.top, spec.padding.left, spec.padding.bottom, spec.padding.right];
                plain(vec![
                    Self::int_list("strides", &spec.stride),
                    Self::int_list("pads", &pads),
                    Self::int_list("output_padding", output_padding),
                ])
            }
            Op::Linear => plain(vec![Self::int("transB", 1)]),
            Op::BatchNorm { eps } => plain(vec![Self::float("epsilon", *eps)]),
            Op::InstanceNorm { groups, eps } => {
                let scale = self.floats(&constant("scale"), &[*groups], &vec![1.0; *groups]);
                let shift = self.floats(&constant("shift"), &[*groups], &vec![0.0; *groups]);
                let inputs = [inputs[0], &scale, &shift];
                return Ok(self.add(name, op.name(), &inputs, vec![Self::float("epsilon", *eps)]));
            }
            Op::Unary(Unary::LeakyRelu(slope)) => plain(vec![Self::float("alpha", *slope)]),
            Op::Unary(Unary::Elu(alpha)) => plain(vec![Self::float("alpha", *alpha)]),
            Op::Unary(_) | Op::Prelu | Op::Binary(_) | Op::MatMul => plain(vec![]),
            Op::Softmax => plain(vec![Self::int("axis", -1)]),
            Op::Reshape(shape) => {
                // The batch takes what remains.
                let sides: Vec<i64> = [-1].into_iter().chain(shape.iter().map(|side| *side as i64)).collect();
                let shape = self.ints(&constant("shape"), &[sides.len()], &sides);
                return Ok(self.add(name, op.name(), &[inputs[0], &shape], vec![]));
            }
            Op::SplitBatch { largest } => return self.split_batch(name, inputs[0], *largest),
            Op::Transpose(axes) => plain(vec![Self::int_list("perm", axes)]),
            Op::Pad(padding) => {
                let sides = [0, 0, padding.top, padding.left, 0, 0, padding.bottom, padding.right];
                let pads = self.ints(&constant("pads"), &[8], &sides.map(|side| side as i64));
                return Ok(self.add(name, op.name(), &[inputs[0], &pads], vec![]));
            }
            Op::Slice { axis, start, end } => {
                let [starts, ends, axes] = [("starts", start), ("ends", end), ("axes", axis)]
                    .map(|(what, index)| self.ints(&constant(what), &[1], &[*index as i64]));
                return Ok(self.add(name, op.name(), &[inputs[0], &starts, &ends, &axes], vec![]));
            }
            Op::UpsampleNearest(factors) => {
                let attributes = vec![
                    Self::text("mode", "nearest"),
                    Self::text("coordinate_transformation_mode", "asymmetric"),
                    Self::text("nearest_mode", "floor"),
                ];
                return Ok(self.resize(name, inputs[0], *factors, attributes));
            }
            Op::UpsampleBilinear(factors) => {
                let attributes =
                    vec![Self::text("mode", "linear"), Self::text("coordinate_transformation_mode", "half_pixel")];
                return Ok(self.resize(name, inputs[0], *factors, attributes));
            }
            Op::AvgPool(window) => {
                plain(vec![Self::int_list("kernel_shape", window), Self::int_list("strides", window)])
            }
            Op::Reduce(Reduce::Sum, axes) => {
                let list: Vec<i64> = axes.iter().map(|axis| *axis as i64).collect();
                let axes = self.ints(&constant("axes"), &[list.len()], &list);
                return Ok(self.add(name, op.name(), &[inputs[0], &axes], vec![Self::int("keepdims", 1)]));
            }
            Op::Reduce(Reduce::Mean | Reduce::Max, axes) => {
                plain(vec![Self::int_list("axes", axes), Self::int("keepdims", 1)])
            }
            Op::Gather => plain(vec![Self::int("axis", 0)]),
            Op::OneHot { known } => {
                let depth = self.ints(&constant("depth"), &[1], &[*known as i64]);
                let values = self.floats(&constant("values"), &[2], &[0.0, 1.0]);
                return Ok(self.add(name, op.name(), &[inputs[0], &depth, &values], vec![Self::int("axis", -1)]));
            }
            Op::RepeatGroups => return Ok(self.repeat_groups(name, inputs[0], inputs[1])),
            Op::Concat { axis } => plain(vec![Self::int("axis", *axis as i64)]),
        };
        Ok(self.add(name, op.name(), &inputs, attributes))
    }

    /// Adds an enlargement of images by whole factors.
    fn resize(
        &mut self,
        name: &str,
        x: &str,
        [down, across]: [usize; 2],
        attributes: Vec<super::AttributeProto>,
    ) -> String {
        let scales = self.floats(&format!("{name}/scales"), &[4], &[1.0, 1.0, down as f32, across as f32]);
        // The second input, a region of interest, is not used.
        self.add(name, "Resize", &[x, "", &scales], attributes)
    }

    /// Adds a repetition of x `[1, M, 1]` along its first axis, to the length of that of `like`.
    fn repeat_groups(&mut self, name: &str, x: &str, like: &str) -> String {
        let zero = self.ints(&format!("{name}/zero"), &[1], &[0]);
        let one = self.ints(&format!("{name}/one"), &[1], &[1]);
        let ones = self.ints(&format!("{name}/ones"), &[2], &[1, 1]);
        let whole = self.add(name, "Shape", &[like], vec![]);
        let size = self.add(name, "Slice", &[&whole, &zero, &one, &zero], vec![]);
        let repeats = self.add(name, "Concat", &[&size, &ones], vec![Self::int("axis", 0)]);
        self.add(name, "Tile", &[x, &repeats], vec![])
    }

    /// Adds a division of the batch into groups of the largest size up to `largest` that divides N.
    fn split_batch(&mut self, name: &str, x: &str, largest: usize) -> Result<String> {
        if largest > LARGEST_GROUP {
            let problem = format!("a minibatch standard deviation over groups of {largest} samples cannot be exported");
            return Err(Error::Unsupported(format!("{problem}: the maximum is {LARGEST_GROUP}")));
        }
        let whole = self.add(name, "Shape", &[x], vec![]);
        let zero = self.ints(&format!("{name}/zero"), &[1], &[0]);
        let one = self.ints(&format!("{name}/one"), &[1], &[1]);
        let rest = self.ints(&format!("{name}/rest"), &[1], &[-1]);
        let n = self.add(name, "Slice", &[&whole, &zero, &one, &zero], vec![]);
        let sizes: Vec<i64> = (1..=largest as i64).collect();
        let sizes = self.ints(&format!("{name}/sizes"), &[largest], &sizes);
        let remainder = self.add(name, "Mod", &[&n, &sizes], vec![]);
        let divides = self.add(name, "Equal", &[&remainder, &zero], vec![]);
        let divisors = self.add(name, "Where", &[&divides, &sizes, &one], vec![]);
        let attributes = vec![Self::int_list("axes", &[0]), Self::int("keepdims", 1)];
        let size = self.add(name, "ReduceMax", &[&divisors], attributes);
        let count = self.add(name, "Div", &[&n, &size], vec![]);
        let shape = self.add(name, "Concat", &[&size, &count, &rest], vec![Self::int("axis", 0)]);
        Ok(self.add(name, "Reshape", &[x, &shape], vec![]))
    }
}
