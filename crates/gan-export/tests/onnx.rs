//! ONNX files of every layer and every preset, read back by tract.

mod common;

use candle_core::{DType, Tensor};
use gan_export::{Format, Model, Network};
use std::path::Path;
use tract_onnx::prelude::*;

/// Samples in a batch, and of another batch for one that a group of four does not divide.
const SAMPLES: usize = 4;

fn bytes(model: &Model, format: &str) -> Vec<u8> {
    let format = Format::named(format).unwrap();
    (format.files)(model, Path::new("model.onnx")).unwrap().remove(0).bytes
}

/// Returns the outputs that tract computes.
fn outputs(bytes: &[u8], x: &Tensor, classes: Option<&Tensor>) -> TractResult<Vec<tract_onnx::prelude::Tensor>> {
    let model = onnx().model_for_read(&mut std::io::Cursor::new(bytes))?;
    let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let x = tract_ndarray::ArrayD::from_shape_vec(x.dims(), values)?.into_tensor();
    let mut inputs = vec![x];
    if model.input_outlets()?.len() == 2 {
        let classes = classes.unwrap().to_dtype(DType::I64).unwrap().to_vec1::<i64>().unwrap();
        inputs.push(tract_ndarray::Array1::from_vec(classes).into_tensor());
    }
    let mut model = model;
    for (index, input) in inputs.iter().enumerate() {
        model.set_input_fact(index, InferenceFact::dt_shape(input.datum_type(), input.shape()))?;
    }
    let plan = model.into_optimized()?.into_runnable()?;
    let results = plan.run(inputs.into_iter().map(TValue::from).collect())?;
    Ok(results.into_iter().map(|value| value.into_tensor()).collect())
}

fn check(name: &str, model: &Model, samples: usize) {
    let (x, classes) = model.example_inputs(samples).unwrap();
    let own = model.outputs(&x, classes.as_ref()).unwrap();
    let found = outputs(&bytes(model, "onnx"), &x, classes.as_ref()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    assert_eq!(own.len(), found.len(), "{name}");
    for (own, found) in own.iter().zip(&found) {
        assert_eq!(own.dims(), found.shape(), "{name}");
        let own = own.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let largest = own.iter().fold(1f32, |most, x| most.max(x.abs()));
        let found = found.to_plain_array_view::<f32>().unwrap();
        let apart = own.iter().zip(found.iter()).map(|(a, b)| (a - b).abs() / largest);
        let difference = apart.fold(0f32, |most, x| if x.is_nan() { f32::INFINITY } else { most.max(x) });
        assert!(difference < 1e-5, "{name}: {difference}");
    }
}

#[test]
fn tract_computes_what_every_layer_does() {
    for (name, model) in common::layers() {
        check(&name, &model, SAMPLES);
        check(&name, &model, 1);
    }
}

#[test]
fn tract_computes_what_the_networks_of_every_preset_do() {
    for (name, model) in common::preset_models() {
        check(&name, &model, 2);
    }
}

#[test]
fn bytes_are_those_of_the_pictures_with_three_channels() {
    for name in ["dcgan-mnist", "dcgan-cifar10"] {
        let [(_, model), (_, discriminator)] = common::of_preset(name);
        let (x, classes) = model.example_inputs(2).unwrap();
        let own = model.outputs(&x, classes.as_ref()).unwrap().remove(0);
        let found = outputs(&bytes(&model, "onnx-uint8"), &x, classes.as_ref()).unwrap().remove(0);
        let (n, c, h, w) = own.dims4().unwrap();
        assert_eq!(found.shape(), [n, 3, h, w]);
        let numbers = own.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let found = found.to_plain_array_view::<u8>().unwrap();
        for (place, value) in found.indexed_iter() {
            let channel = place[1].min(c - 1);
            let number = numbers[((place[0] * c + channel) * h + place[2]) * w + place[3]];
            let exact = (number + 1.0) * 127.5;
            // A number between two bytes may be rounded to either.
            assert!((f32::from(*value) - exact).abs() < 0.501, "{value} for {exact}");
        }
        assert!(matches!(discriminator.network, Network::Discriminator(_)));
        let format = Format::named("onnx-uint8").unwrap();
        let error = (format.files)(&discriminator, Path::new("d.onnx")).unwrap_err().to_string();
        assert!(error.contains("is for generators"), "{error}");
    }
}

#[test]
fn points_have_no_bytes() {
    let [(_, model), _] = common::of_preset("ring2d");
    let format = Format::named("onnx-uint8").unwrap();
    let error = (format.files)(&model, Path::new("p.onnx")).unwrap_err().to_string();
    assert!(error.contains("this generator makes points"), "{error}");
}

#[test]
fn the_same_network_gives_the_same_bytes() {
    let [(_, model), _] = common::of_preset("mnist");
    assert_eq!(bytes(&model, "onnx"), bytes(&model, "onnx"));
}
