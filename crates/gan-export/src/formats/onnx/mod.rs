//! ONNX (opset 17, IR version 8): one file with the network and its weights.
//!
//! The batch size is free. Generators take `z` `[N, latent]` and `class` `[N]`, discriminators `images` or `points`. In reading order: this file
//! (the file and its parts), `ops` (each operation of a graph), [`proto`] (the records of the file).

mod ops;
pub mod proto;

use super::{ExportedFile, Format};
use crate::{Error, Model, Result};
use candle_core::{DType, Tensor};
use gan_base::memory;
use gan_core::graph::{Definition, Graph, Names, Value};
use prost::Message;
use proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use std::path::{Path, PathBuf};

/// ONNX with samples in [−1, 1].
pub static ONNX: Format = Format {
    name: "onnx",
    ending: "onnx",
    about: "an ONNX file, for onnxruntime, tract and other runtimes",
    files,
    paths: main_path,
};

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// Name of the free batch size.
const BATCH: &str = "N";

/// Largest file: protobuf's limit.
const LARGEST: usize = i32::MAX as usize;

/// Returns the path of the main file alone.
pub(super) fn main_path(path: &Path) -> Vec<PathBuf> {
    vec![path.to_path_buf()]
}

fn files(model: &Model, path: &Path) -> Result<Vec<ExportedFile>> {
    let graph = model.graph()?;
    let mut exporter = Exporter::new(&graph)?;
    for output in graph.outputs() {
        let value = exporter.name(output.value).to_string();
        exporter.output(&output.name, &value, data_type::FLOAT, &output.shape);
    }
    file(exporter, model, path)
}

/// Returns the ONNX file of what was exported.
pub(super) fn file(exporter: Exporter, model: &Model, path: &Path) -> Result<Vec<ExportedFile>> {
    let description = &model.description;
    let metadata = serde_json::to_string(description).map_err(|e| Error::Unsupported(e.to_string()))?;
    let graph = GraphProto { name: Some(description.network.clone()), ..exporter.graph };
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("gan".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        doc_string: None,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: vec![StringStringEntryProto { key: Some("gan".into()), value: Some(metadata) }],
    };
    let length = model.encoded_len();
    if length > LARGEST {
        let shown = memory::shown(length as u64);
        return Err(Error::Unsupported(format!("an ONNX file holds at most 2 GiB, this network needs {shown}")));
    }
    Ok(vec![ExportedFile { path: path.to_path_buf(), bytes: model.encode_to_vec() }])
}

/// The parts of an ONNX graph while it is made.
#[derive(Debug, Default)]
pub(super) struct Exporter {
    graph: GraphProto,
    /// Name of each value of the neutral graph.
    names: Vec<String>,
    taken: Names,
}

impl Exporter {
    /// Exports every node of `graph`; the outputs are still missing.
    pub fn new(graph: &Graph) -> Result<Self> {
        let mut exporter = Self::default();
        // Outputs have their names before any node may take them.
        for output in graph.outputs() {
            exporter.taken.take(&output.name);
        }
        let used = graph.used();
        exporter.names = vec![String::new(); used.len()];
        let definitions = || graph.definitions().iter().enumerate();
        for (index, definition) in definitions() {
            match definition {
                // Inputs stay even if no layer reads them.
                Definition::Input { name, shape } => {
                    let info = value_info(name, data_type::FLOAT, shape);
                    exporter.graph.input.push(info);
                    exporter.names[index] = exporter.taken.take(name);
                }
                Definition::Class { name, .. } => {
                    exporter.graph.input.push(value_info(name, data_type::INT64, &[]));
                    exporter.names[index] = exporter.taken.take(name);
                }
                Definition::Constant { name, tensor } if used[index] => {
                    exporter.names[index] = exporter.tensor(name, tensor)?;
                }
                _ => {}
            }
        }
        for (index, definition) in definitions().filter(|(index, _)| used[*index]) {
            if let Definition::Node { name, op, inputs } = definition {
                let inputs: Vec<String> = inputs.iter().map(|value| exporter.name(*value).to_string()).collect();
                exporter.names[index] = exporter.op(name, op, &inputs)?;
            }
        }
        Ok(exporter)
    }

    /// Returns the name of a value.
    pub fn name(&self, value: Value) -> &str {
        &self.names[value.index()]
    }

    /// Adds a node of one operation and returns the name of its result.
    pub fn add(&mut self, place: &str, op: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        let name = if place.ends_with(op) { place.to_string() } else { format!("{place}/{op}") };
        let name = self.taken.take(&name);
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(op.into()),
            attribute,
        });
        name
    }

    /// Makes a value an output of this name.
    pub fn output(&mut self, name: &str, value: &str, elem_type: i32, shape: &[usize]) {
        self.graph.node.push(NodeProto {
            input: vec![value.into()],
            output: vec![name.into()],
            name: Some(format!("{name}/Identity")),
            op_type: Some("Identity".into()),
            attribute: vec![],
        });
        self.graph.output.push(value_info(name, elem_type, shape));
    }

    /// Adds a tensor and returns its name.
    fn tensor(&mut self, name: &str, tensor: &Tensor) -> Result<String> {
        let values = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(self.floats(name, tensor.dims(), &values))
    }

    /// Adds numbers of this shape and returns their name.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, data_type::FLOAT, shape, bytes)
    }

    /// Adds whole numbers of this shape and returns their name.
    fn ints(&mut self, name: &str, shape: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, data_type::INT64, shape, bytes)
    }

    fn initializer(&mut self, name: &str, data_type: i32, shape: &[usize], bytes: Vec<u8>) -> String {
        let name = self.taken.take(name);
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|side| *side as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.clone()),
            raw_data: Some(bytes),
        });
        name
    }

    /// Returns an attribute that is a whole number.
    pub fn int(name: &str, value: i64) -> AttributeProto {
        AttributeProto {
            name: Some(name.into()),
            i: Some(value),
            r#type: Some(attribute_type::INT),
            ..AttributeProto::default()
        }
    }

    /// Returns an attribute that is a list of whole numbers.
    fn int_list(name: &str, values: &[usize]) -> AttributeProto {
        AttributeProto {
            name: Some(name.into()),
            ints: values.iter().map(|value| *value as i64).collect(),
            r#type: Some(attribute_type::INTS),
            ..AttributeProto::default()
        }
    }

    /// Returns an attribute that is a number.
    fn float(name: &str, value: f64) -> AttributeProto {
        AttributeProto {
            name: Some(name.into()),
            f: Some(value as f32),
            r#type: Some(attribute_type::FLOAT),
            ..AttributeProto::default()
        }
    }

    /// Returns an attribute that is text.
    fn text(name: &str, value: &str) -> AttributeProto {
        AttributeProto {
            name: Some(name.into()),
            s: Some(value.as_bytes().to_vec()),
            r#type: Some(attribute_type::STRING),
            ..AttributeProto::default()
        }
    }
}

/// Returns the description of an input or output `[N, shape…]`.
fn value_info(name: &str, elem_type: i32, shape: &[usize]) -> ValueInfoProto {
    let batch = DimensionProto { dim_param: Some(BATCH.into()), dim_value: None };
    let sides = shape.iter().map(|side| DimensionProto { dim_value: Some(*side as i64), dim_param: None });
    let shape = TensorShapeProto { dim: [batch].into_iter().chain(sides).collect() };
    let tensor_type = Some(TensorTypeProto { elem_type: Some(elem_type), shape: Some(shape) });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }) }
}
