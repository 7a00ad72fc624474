//! Weights of other programs: files by `torch.save`, whole modules, pickles, TorchScript, safetensors, matched to a layer list.

use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_core::{Distribution, Latent, Layer};
use gan_import::import::Import;
use gan_import::tutorial::Dcgan;
use gan_import::{ForeignFile, ForeignTensor, NetworkKind};

/// Reads every state dict and imports the first one that fits.
pub const TARGET: Target = Target {
    name: "import",
    body,
    seeds,
    tokens: TOKENS,
    names: Vec::new,
    memory: Memory { mebibytes: 2, per_byte: 256 },
};

const TOKENS: &[&str] = &[
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "ctorch._utils\n_rebuild_parameter\n",
    "ctorch\nFloatStorage\n",
    "ctorch\nHalfStorage\n",
    "ctorch.storage\n_load_from_bytes\n",
    "ctorch.nn.modules.container\nSequential\n",
    "c__torch__\nNet\n",
    "ccollections\nOrderedDict\n",
    "X\u{b}\u{0}\u{0}\u{0}_parameters",
    "X\u{8}\u{0}\u{0}\u{0}_modules",
    "X\u{8}\u{0}\u{0}\u{0}_buffers",
    "weight_orig",
    "weight_u",
    "weight_v",
    "parametrizations.weight.original",
    "running_mean",
    "netG",
    "generator.",
    "discriminator.",
    "module.",
    "q\u{1}",
    "h\u{1}",
    "(",
    "t",
    "}",
    "]",
    "u",
    "e",
    "R",
    "Q",
    "b",
    ".",
    "constants.pkl",
    "data.pkl",
];

/// The layers of the seeds' generator.
const LAYERS: &str = r#"[{"conv_transpose": 4, "kernel": 2}, {"batch_norm": {}}, "relu",
    {"conv_transpose": 2, "kernel": 4, "stride": 2, "padding": 1, "bias": false}, "tanh"]"#;

fn body(input: &[u8]) -> Outcome {
    let input = place::safetensors(input);
    let file = ForeignFile::read(&input)?;
    for dict in &file.state_dicts {
        for tensor in &dict.tensors {
            assert!(tensor.size() <= input.len(), "{} bytes in {} bytes", tensor.size(), input.len());
        }
        dict.tensors.iter().map(ForeignTensor::bytes).for_each(drop);
    }
    let dict = file.state_dict(NetworkKind::Generator, None)?;
    let latent = Latent { dim: 3, distribution: Distribution::Normal, truncation: None };
    let layers: Vec<Layer> = serde_json::from_str(LAYERS)?;
    let network = NetworkKind::Generator;
    let import = Import { network, input: vec![3, 1, 1], layers, latent, allows_unused: true };
    let found = gan_import::import(&file, &dict, import.clone());
    if let Ok(tutorial) = Dcgan::recognize(&dict) {
        tutorial.written();
        // Importing it would allocate what its shapes announce, which its tensors hold.
        let input = tutorial.input();
        let tutorial = Import { network: tutorial.network, input, layers: tutorial.layers, ..import };
        gan_import::import(&file, &dict, tutorial).ok();
        return Ok(());
    }
    found?;
    Ok(())
}

fn seeds() -> Vec<Seed> {
    macro_rules! seed {
        ($($name:literal),*) => {
            vec![$(($name, include_bytes!(concat!("../../../gan-import/tests/fixtures/", $name)).to_vec())),*]
        };
    }
    seed!(
        "legacy.pth",
        "checkpoint.pth",
        "module.pth",
        "script.pt",
        "pickle.pkl",
        "spectral_hook.pth",
        "names.safetensors",
        "dcgan.pth"
    )
}
