//! Weights of PyTorch networks: files by `torch.save` (the current format and that before PyTorch 1.6), and safetensors.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};

/// Reads the tensors of a state dict.
pub const TARGET: Target = Target {
    name: "state_dict",
    body,
    seeds,
    tokens: TOKENS,
    names: Vec::new,
    memory: Memory { mebibytes: 1, per_byte: 128 },
};

const TOKENS: &[&str] = &[
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch._utils\n_rebuild_parameter\n",
    "ctorch\nFloatStorage\n",
    "ctorch\nDoubleStorage\n",
    "ccollections\nOrderedDict\n",
    "X\u{5}\u{0}\u{0}\u{0}",
    "K\u{1}",
    "q\u{1}",
    "h\u{1}",
    "(",
    "t",
    "}",
    "]",
    "u",
    "s",
    "e",
    "a",
    "R",
    "Q",
    "b",
    ".",
    "\u{0}\u{0}\u{0}\u{1}",
    "PK\u{1}\u{2}",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "data.pkl",
    "archive/data/0",
    "\u{8}",
];

fn body(input: &[u8]) -> Outcome {
    let input = place::safetensors(input);
    let tensors = gan_import::tensors(&input)?;
    let bytes: usize = tensors.values().map(|tensor| tensor.elem_count() * tensor.dtype().size_in_bytes()).sum();
    assert!(bytes <= 64 * input.len(), "{bytes} bytes of tensors in {} bytes", input.len());
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let zip = include_bytes!("../../../gan-metrics/tests/fixtures/torch_zip.pth");
    let legacy = include_bytes!("../../../gan-metrics/tests/fixtures/torch_legacy.pth");
    vec![("zip.pth", zip.to_vec()), ("legacy.pth", legacy.to_vec())]
}
