//! Invalid weight files and latent vectors.

use super::refused;
use crate::common::WorkDir;
use serde_json::{Value, json};
use std::fs;

const FILE: &str = "generator.safetensors";
const GENERATE: &str = "generate generator.safetensors --count 2 --out sheet.png";

fn dir_with(bytes: &[u8]) -> WorkDir {
    let dir = WorkDir::new();
    fs::write(dir.path(FILE), bytes).expect("a file");
    dir
}

fn valid_file() -> Vec<u8> {
    fs::read(WorkDir::with_generator().path(FILE)).expect("a weight file")
}

/// Returns the valid file with its header changed by `edit`.
fn with_header(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let bytes = valid_file();
    let (length, rest) = bytes.split_at(8);
    let (header, tensors) = rest.split_at(u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize);
    let mut header = serde_json::from_slice(header).expect("a header");
    edit(&mut header);
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), tensors].concat()
}

/// Returns the valid file with its description changed by `edit`.
fn described(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    with_header(|header| {
        let text = header["__metadata__"]["gan"].as_str().expect("a description");
        let mut description = serde_json::from_str(text).expect("JSON");
        edit(&mut description);
        header["__metadata__"]["gan"] = description.to_string().into();
    })
}

#[track_caller]
fn file_refused(bytes: &[u8], words: &[&str]) {
    let words: Vec<&str> = words.iter().chain(&["generator.safetensors: "]).copied().collect();
    refused(&dir_with(bytes), GENERATE, 1, &words);
    refused(&dir_with(bytes), "interpolate generator.safetensors --out walk.gif", 1, &words);
}

#[test]
fn incomplete_or_foreign_weight_files_are_refused() {
    let whole = valid_file();
    let noise: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for bytes in [&[][..], &whole[..5], &whole[..200], &whole[..whole.len() - 100], &noise, b"not weights, but words"] {
        file_refused(bytes, &["is not a whole safetensors file", "name a run folder"]);
    }
    let foreign = with_header(|header| drop(header.as_object_mut().expect("a table").remove("__metadata__")));
    file_refused(&foreign, &["was not written by gan", "name a run folder"]);
}

#[test]
fn modified_descriptions_are_refused() {
    for (bytes, words) in [
        (described(|d| d["format"] = 2.into()), ["format 2", "this version reads 1", "newer gan"]),
        (described(|d| d["format"] = "x".into()), ["is damaged", "found \"x\"", "whole number"]),
        (described(|d| *d = json!({})), ["is damaged", "\"format\" is missing", "make it again"]),
        (described(|d| *d = json!({"format": 1})), ["is damaged", "\"network\" is missing", "make it again"]),
        (described(|d| d["network"] = "discriminator".into()), ["holds a discriminator", "generator", "needed"]),
        (described(|d| d["latent"]["dim"] = 50.into()), ["cannot be", "[100, 1, 1]", "50 numbers"]),
        (
            described(|d| d["data"]["shape"] = json!([1, 32, 32])),
            ["makes samples [1, 28, 28]", "[1, 32, 32]", "changed"],
        ),
        (described(|d| d["layers"][2] = "retention".into()), ["unknown layer \"retention\"", "did you mean", "relu"]),
        (described(|d| d["layers"][2] = json!({"dense": 1_000_000_000_000u64})), ["cannot be", "layer 2", "flatten"]),
        (
            described(|d| d["layers"] = json!(["flatten", {"dense": 2_000_000_000}])),
            ["cannot be", "layer 1", "at most"],
        ),
    ] {
        file_refused(&bytes, &words);
    }
    let broken = with_header(|header| header["__metadata__"]["gan"] = "{\"format\":1".into());
    file_refused(&broken, &["is damaged", "metadata"]);
}

/// Returns a weight file without tensors that has the description of the valid file, changed by `edit`.
pub(crate) fn without_tensors(edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let bytes = described(edit);
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    let header = json!({"__metadata__": header["__metadata__"]}).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

/// Asserts that `gan summary`, which does not need the tensors, refuses the file as well.
#[track_caller]
fn refused_everywhere(bytes: &[u8], words: &[&str]) {
    file_refused(bytes, words);
    refused(&dir_with(bytes), "summary generator.safetensors", 1, words);
}

#[test]
fn networks_without_their_tensors_are_refused_before_they_are_built() {
    refused_everywhere(&without_tensors(|_| ()), &["has no tensor \"main.0.weight\" (nor \"main.1.weight\"", "more)"]);
    // Initializing its weights would take four gigabytes and a minute.
    let large = without_tensors(|d| d["layers"] = json!(["flatten", {"dense": 10_000_000}]));
    refused_everywhere(&large, &["has no tensor \"main.1.weight\" (nor \"main.1.bias\")"]);
    let huge = without_tensors(|d| d["layers"] = json!([{"upsample": [32_768, 65_536]}]));
    refused_everywhere(&huge, &["cannot be", "layer 0", "at most 1073741824 numbers a sample"]);
}

#[test]
fn blocks_nested_too_deep_are_refused_at_once() {
    let nested = |levels: usize| (0..levels).fold(json!("tanh"), |inside, _| json!({"residual": [inside]}));
    for levels in [17, 20, 40] {
        let file = without_tensors(|d| d["layers"] = json!([nested(levels)]));
        refused_everywhere(&file, &["is damaged", "nested at most 16 deep"]);
    }
    let file = without_tensors(|d| d["layers"] = json!(["@"]));
    let at = String::from_utf8(file.clone()).ok().and_then(|text| text.find("\\\"@\\\"")).expect("the mark");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let header = [&file[8..at], deep.as_bytes(), &file[at + 5..]].concat();
    let bytes = [&(header.len() as u64).to_le_bytes()[..], &header].concat();
    refused_everywhere(&bytes, &["is damaged", "nested too deep"]);
}

#[test]
fn tensors_that_do_not_fit_the_layer_list_are_named() {
    let push = |d: &mut Value, layer: Value| d["layers"].as_array_mut().expect("a list").push(layer);
    file_refused(&described(|d| push(d, json!({"batch_norm": {}}))), &["has no tensor \"main.8.weight\""]);
    let fewer = described(|d| d["layers"][4] = "tanh".into());
    file_refused(&fewer, &["holds a tensor \"main.4.bias\"", "no place for"]);
    let wider = described(|d| d["layers"][0]["conv_transpose"] = 9.into());
    file_refused(&wider, &["tensor \"main.0.weight\" is [100, 16, 7, 7]", "needs [100, 9, 7, 7]"]);
    let whole = with_header(|header| header["main.0.weight"]["dtype"] = "I32".into());
    file_refused(&whole, &["tensor \"main.0.weight\" holds I32", "floating point"]);
}

#[test]
fn sources_without_a_generator_are_refused_with_suggestions() {
    let dir = dir_with(&valid_file());
    fs::create_dir(dir.path("empty")).expect("a folder");
    for (source, words) in [
        ("none.safetensors", ["none.safetensors: there is no such file", "name a run folder"]),
        ("empty", ["empty: holds no generator.safetensors", "name a run folder"]),
        ("dcgan-mnist", ["dcgan-mnist: is a preset, not yet trained", "gan train dcgan-mnist"]),
    ] {
        refused(&dir, &format!("generate {source} --out x.png"), 2, &words);
        refused(&dir, &format!("interpolate {source} --out x.gif"), 2, &words);
    }
    refused(&dir, "summary none.safetensors", 2, &["none.safetensors: there is no such file"]);
    refused(&dir, "train generator.safetensors --out run", 2, &["is a weight file", "name a preset"]);
}

/// Returns a `.npy` file of `count` float32 zeros whose header has `shape`.
fn npy(shape: &str, count: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), &vec![0; 4 * count]].concat()
}

#[test]
fn latent_vectors_must_be_an_npy_of_the_right_shape() {
    let dir = dir_with(&valid_file());
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path(name), bytes).expect("a file");
    write("good.npy", &npy("(4, 100)", 400));
    write("narrow.npy", &npy("(4, 99)", 396));
    write("flat.npy", &npy("(100,)", 100));
    write("deep.npy", &npy("(4, 100, 1, 1)", 400));
    write("short.npy", &npy("(4, 100)", 100));
    write("words.npy", b"not numbers, but words");
    let line = |name: &str| format!("generate generator.safetensors --latents {name} --out sheet.png");
    for (name, words) in [
        ("narrow.npy", ["found an array of shape [4, 99]", "expected [N, 100]"]),
        ("flat.npy", ["found an array of shape [100]", "expected [N, 100]"]),
        ("deep.npy", ["found an array of shape [4, 100, 1, 1]", "expected [N, 100]"]),
        ("short.npy", ["short.npy: ", ".npy"]),
        ("words.npy", ["words.npy: ", ".npy"]),
    ] {
        refused(&dir, &line(name), 1, &[&words[..], &[name]].concat());
    }
    refused(&dir, &format!("{} --count 5", line("good.npy")), 1, &["good.npy: holds 4", "--count asks for 5"]);
    refused(&dir, &format!("{} --seed 5", line("good.npy")), 2, &["--latents", "--seed"]);
    refused(&dir, &line("none.npy"), 1, &["none.npy: "]);
    dir.succeeds(&line("good.npy"));
    let dictionary = |more: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (4, 100), {more}}}");
    let file = |dictionary: String, data: &[u8]| {
        let header = format!("{dictionary:<117}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    };
    let nan = [&[0; 4 * 150][..], &f32::NAN.to_le_bytes(), &[0; 4 * 249]].concat();
    write("nan.npy", &file(dictionary(""), &nan));
    write("twice.npy", &file(dictionary("'shape': (2000000000, 100), "), &[0; 1600]));
    write("turned.npy", &npy("(100, 4)", 400));
    write("several.npz", b"PK\x03\x04 and more");
    for (name, words) in [
        ("nan.npy", "found NaN in row 1, expected finite numbers"),
        ("twice.npy", "found the key 'shape' twice"),
        ("turned.npy", "it looks like its transpose: save x.T"),
        ("several.npz", "a .npz holds several arrays; save one with np.save"),
    ] {
        refused(&dir, &line(name), 1, &[name, words]);
    }
    // The same numbers in Fortran order are accepted.
    write("columns.npy", &file(dictionary("").replace("False", "True"), &[0; 1600]));
    dir.succeeds(&line("columns.npy"));
}
