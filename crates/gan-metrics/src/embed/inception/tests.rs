//! Compares the network with torch-fidelity's (fixture by `tests/fixtures/make_inception.py`); files without valid weights.

use super::*;
use serde_json::Value;
use std::fs;

const LEEWAY: f64 = 1e-4;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Returns the formula of the fixture: SplitMix64's mix of i and the name's FNV-1a hash, in [−1, 1).
fn value(name: &str) -> impl Fn(usize) -> f64 {
    let stream = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    move |i| {
        let x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(stream);
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
}

fn made(name: &str, shape: &[usize]) -> Tensor {
    let (value, fan_in) = (value(name), shape[1..].iter().product::<usize>() as f64);
    let of = |v: f64| match name {
        "fc.weight" => (3.0 / fan_in).sqrt() * v,
        _ if name.ends_with("conv.weight") => (6.0 / fan_in).sqrt() * v,
        _ if name.ends_with("bn.weight") || name.ends_with("running_var") => 1.0 + 0.2 * v,
        _ => 0.1 * v,
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| of(value(i)) as f32).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn weights() -> BTreeMap<String, Tensor> {
    let mut weights = BTreeMap::from([("fc.weight".to_string(), made("fc.weight", &[LOGITS, FEATURES]))]);
    let source = &mut |name: &str, shape: &[usize]| {
        let tensor = made(name, shape);
        weights.insert(name.into(), tensor.clone());
        Ok(tensor)
    };
    stages::build(source).unwrap();
    weights
}

fn network(tensors: &BTreeMap<String, Tensor>) -> Result<Inception> {
    Inception::from_tensors(tensors, &"0".repeat(64), Path::new("w.pth"))
}

/// Asserts that `x`, channels first, has the mean, the standard deviation and the entries of `record`, up to a fraction of the standard deviation.
fn same(name: &str, x: &Tensor, record: &Value) {
    let shape: Vec<usize> = serde_json::from_value(record["shape"].clone()).unwrap();
    assert_eq!(x.dims(), shape, "{name}");
    let values = x.to_dtype(DType::F64).unwrap().contiguous().unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let number = |key: &str| record[key].as_f64().unwrap();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
    let near = |found: f64, wanted: f64, what: &str| {
        assert!((found - wanted).abs() < LEEWAY * number("std"), "{name}, {what}: {found} against {wanted}");
    };
    near(mean, number("mean"), "mean");
    near(std, number("std"), "deviation");
    for (place, wanted) in record["places"].as_array().unwrap().iter().zip(record["values"].as_array().unwrap()) {
        let place = place.as_u64().unwrap() as usize;
        near(values[place], wanted.as_f64().unwrap(), &format!("entry {place}"));
    }
}

#[test]
fn every_block_equals_torch_fidelity() {
    let text = fs::read_to_string(fixtures().join("inception.json")).unwrap();
    let fixture: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let shape: Vec<usize> = serde_json::from_value(fixture["images"].clone()).unwrap();
    let value = value("images");
    let bytes = (0..shape.iter().product()).map(|i| ((value(i) + 1.0) * 128.0).floor() as f32);
    let images = Tensor::from_vec(bytes.map(|b| b / 127.5 - 1.0).collect(), shape, &Device::Cpu).unwrap();
    let net = network(&weights()).unwrap();
    let mut x = Inception::prepared(&images).unwrap();
    let first = |x: &Tensor| x.permute((0, 3, 1, 2)).unwrap();
    same("input", &first(&x), &fixture["input"]);
    for ((name, _), block) in table::blocks().iter().zip(&net.blocks) {
        x = stages::run(block, &x).unwrap();
        same(name, &first(&x), &fixture[*name]);
    }
    assert_eq!(net.blocks.len(), fixture.len() - 5);
    let found = net.embed(&images).unwrap();
    same("features", &found.features, &fixture["features"]);
    same("logits", &found.logits.unwrap(), &fixture["logits"]);
    assert_eq!((net.info.card.dim, net.info.classes.len()), (2048, 1008));
}

#[test]
fn without_the_last_layer_there_are_features_but_no_classes() {
    let mut tensors = weights();
    tensors.remove("fc.weight");
    let net = network(&tensors).unwrap();
    let images = Tensor::zeros((1, 3, 8, 8), DType::F32, &Device::Cpu).unwrap();
    let found = net.embed(&images).unwrap();
    assert!(found.logits.is_none() && net.info.classes.is_empty());
    assert_eq!(found.features.dims(), [1, 2048]);
    // A black image is the same in gray and in color.
    let grey = net.embed(&images.narrow(1, 0, 1).unwrap()).unwrap();
    assert_eq!(grey.features.to_vec2::<f32>().unwrap(), found.features.to_vec2::<f32>().unwrap());
    let four = Tensor::zeros((1, 4, 8, 8), DType::F32, &Device::Cpu).unwrap();
    let message = net.embed(&four).unwrap_err().to_string();
    assert!(message.contains("3 channels") && message.contains("as many channels"), "{message}");
}

#[test]
fn tensors_of_the_wrong_shape_are_named() {
    let whole = weights();
    let refused = |name: &str, tensor: Option<Tensor>, words: [&str; 2]| {
        let mut tensors = whole.clone();
        tensors.remove(name);
        tensors.extend(tensor.map(|tensor| (name.to_string(), tensor)));
        let message = network(&tensors).unwrap_err().to_string();
        assert!(words.iter().chain(&["w.pth: ", "curl -L", URL]).all(|word| message.contains(word)), "{message}");
    };
    let zeros = |shape: &[usize], dtype| Some(Tensor::zeros(shape, dtype, &Device::Cpu).unwrap());
    let last = "Mixed_7c.branch_pool.conv.weight";
    refused(last, None, ["has no tensor", last]);
    refused(last, zeros(&[192, 2048, 3, 3], DType::F32), ["[192, 2048, 3, 3]", "expected [192, 2048, 1, 1]"]);
    refused("Conv2d_1a_3x3.bn.bias", zeros(&[32], DType::U8), ["holds U8", "floating point"]);
    // Torchvision's own weights have a thousand classes.
    refused("fc.weight", zeros(&[1000, 2048], DType::F32), ["[1000, 2048]", "expected [1008, 2048]"]);
}

#[test]
fn both_formats_of_pytorch_are_read() {
    for name in ["torch_zip.pth", "torch_legacy.pth"] {
        let path = fixtures().join(name);
        let tensors = gan_import::tensors(&fs::read(&path).unwrap()).unwrap();
        let of =
            |name: &str| tensors[name].to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let eighths = |range: std::ops::Range<u8>| range.map(|i| f32::from(i) / 8.0).collect::<Vec<_>>();
        assert_eq!((tensors["a.weight"].dims(), of("a.weight")), (&[2, 4][..], eighths(0..8)), "{name}");
        // A view into a longer storage.
        assert_eq!((tensors["tail"].dims(), of("tail")), (&[2, 4][..], eighths(4..12)), "{name}");
        assert_eq!((of("b"), of("count")), (vec![0.5, -2.0], vec![7.0]), "{name}");
    }
}

#[test]
fn files_without_weights_are_refused_with_instructions() {
    let dir = tempfile::tempdir().unwrap();
    let legacy = fs::read(fixtures().join("torch_legacy.pth")).unwrap();
    let zip = fs::read(fixtures().join("torch_zip.pth")).unwrap();
    let neither = "neither a whole safetensors file nor a whole state dict";
    for (name, bytes, word) in [
        ("cut.pth", &legacy[..legacy.len() - 5], neither),
        ("early.pth", &legacy[..60], neither),
        ("zip.pth", &zip[..zip.len() / 2], neither),
        ("page.pth", b"<html>Not found</html>", neither),
        ("empty.safetensors", b"", neither),
        ("other.pth", &legacy, "has no tensor \"Conv2d_1a_3x3.conv.weight\""),
        ("other-6726825d.pth", &legacy, "should begin with 6726825d"),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let message = Inception::read(&path).unwrap_err().to_string();
        assert!([name, word, "curl -L", VARIABLE].iter().all(|word| message.contains(word)), "{message}");
    }
    let message = Inception::read(&dir.path().join("nowhere.pth")).unwrap_err().to_string();
    assert!(message.contains("cannot be read") && message.contains("curl -L"), "{message}");
}

#[test]
fn weights_are_searched_in_pytorchs_cache() {
    let dir = tempfile::tempdir().unwrap();
    let home = |name: &str| (name == "HOME").then(|| dir.path().to_path_buf());
    assert_eq!(find(home), None);
    let checkpoints = dir.path().join(".cache/torch/hub/checkpoints");
    fs::create_dir_all(&checkpoints).unwrap();
    fs::write(checkpoints.join(FILES[1]), b"").unwrap();
    assert_eq!(find(home), Some(checkpoints.join(FILES[1])));
    let torch = |name: &str| (name == "TORCH_HOME").then(|| dir.path().join(".cache/torch"));
    assert_eq!(find(torch), Some(checkpoints.join(FILES[1])));
    let named = |name: &str| if name == VARIABLE { Some("my.pth".into()) } else { home(name) };
    assert_eq!(find(named), Some(PathBuf::from("my.pth")));
}
