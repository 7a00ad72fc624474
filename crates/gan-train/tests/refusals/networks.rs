//! Networks whose layers do not fit together or that are too large for any memory, and incomplete TOML files.

use super::{all_refused, expect, file_refused, problem, small};
use gan_train::{layering, presets};

/// Returns a complete settings file with the layers of G and D.
fn file(generator: &str, discriminator: &str) -> String {
    format!(
        "[data]\nname = \"mnist\"\nsize = 28\nchannels = 1\n\n[latent]\ndim = 10\n\n[generator]\n{generator}\n\n\
         [discriminator]\n{discriminator}\n\n[loss]\nkind = \"non_saturating\"\n\n[optimizer.generator]\nkind = \"adam\"\n\
         lr = 2e-4\n\n[optimizer.discriminator]\nkind = \"adam\"\nlr = 2e-4\n\n[train]\nbatch = 8\nsteps = 2\nseed = 1\n"
    )
}

const G: &str = r#"layers = [{ dense = 784 }, { reshape = [1, 28, 28] }, "tanh"]"#;
const D: &str = r#"layers = ["flatten", { dense = 1 }]"#;

#[test]
fn the_unmodified_file_is_accepted() {
    let table: layering::Table = file(G, D).parse().unwrap();
    assert!(layering::read(table).unwrap().check().is_ok());
}

#[test]
fn layers_that_do_not_fit_are_named_with_input_and_requirement() {
    for (layers, words) in [
        (
            "{ dense = 783 }, { reshape = [1, 28, 28] }",
            ["layer 1 ({ reshape = [1, 28, 28] })", "got [783]", "784 numbers"],
        ),
        ("{ conv = 4, kernel = 3 }", ["layer 0 ({ conv = 4, kernel = 3", "got [10]", "[channels, height, width]"]),
        (
            "{ dense = 4 }, { reshape = [1, 2, 2] }, { dense = 3 }",
            ["layer 2 ({ dense = 3 })", "got [1, 2, 2]", "flatten"],
        ),
        (
            "{ reshape = [1, 2, 5] }, { conv = 1, kernel = 4 }",
            ["layer 1", "got [1, 2, 5]", "a window of 4 does not fit"],
        ),
        (
            "{ reshape = [1, 2, 5] }, { conv = 1, kernel = 1, stride = 0 }",
            ["layer 1", "stride must be at least 1", "0"],
        ),
        ("{ reshape = [10, 1, 1] }, { conv_transpose = 1, kernel = 2, padding = 3 }", ["layer 1", "cropping", "6"]),
        ("{ reshape = [10, 1, 1] }, { avg_pool = 2 }", ["layer 1", "got [10, 1, 1]", "at least 2×2"]),
        ("{ dropout = 1.0 }", ["layer 0", "got [10]", "a share in [0, 1)"]),
        ("{ batch_norm = { eps = -1.0 } }", ["layer 0", "got [10]", "eps above 0"]),
        ("{ dense = 784 }", ["generator.layers:", "makes [784]", "[1, 28, 28]"]),
        ("{ dense = 1024 }, { reshape = [1, 32, 32] }", ["generator.layers:", "makes [1, 32, 32]", "[1, 28, 28]"]),
    ] {
        file_refused(file(&format!("layers = [{layers}]"), D), &words);
    }
}

#[test]
fn networks_too_large_for_any_memory_are_refused_before_they_are_allocated() {
    for (layers, words) in [
        ("{ dense = 1000000000000 }", ["layer 0 ({ dense = 1000000000000 })", "at most"]),
        ("{ dense = 1000000000 }, { dense = 784 }", ["layer 0 ({ dense = 1000000000 })", "at most"]),
        ("{ dense = 90000 }, { dense = 9000 }, { dense = 90000 }", ["layer 2", "in all layers"]),
        ("{ reshape = [4294967296, 4294967296] }", ["layer 0", "10 reach it"]),
        ("{ reshape = [1, 2, 5] }, { conv = 1, kernel = 9223372036854775807 }", ["layer 1", "at most"]),
        ("{ reshape = [1, 2, 5] }, { conv = 1, kernel = 100000, padding = 50000 }", ["layer 1", "at most"]),
        ("{ reshape = [1, 2, 5] }, { zero_pad = 9223372036854775807 }", ["layer 1", "at most"]),
        ("{ reshape = [1, 2, 5] }, { upsample = 9223372036854775807 }", ["layer 1", "at most"]),
        ("{ reshape = [1, 2, 5] }, { upsample = 100000 }", ["layer 1", "at most"]),
        (
            "{ reshape = [1, 2, 5] }, { conv_transpose = 1, kernel = 3, stride = 9223372036854775807, padding = \"same\" }",
            ["layer 1", "at most"],
        ),
    ] {
        file_refused(file(&format!("layers = [{layers}]"), D), &words);
    }
    for (set, key) in [
        ("generator.width=100000000", "generator.width"),
        ("generator.width=99999999999999999", "generator.width"),
        ("discriminator.width=20000", "discriminator layer 2"),
        ("latent.dim=100000000", "latent.dim"),
        ("latent.dim=1000000", "generator layer 0"),
        ("data.size=100000", "data.size"),
    ] {
        let mut table = layering::from_preset(presets::get("dcgan-mnist").unwrap()).unwrap();
        layering::set(&mut table, set).unwrap();
        expect(&problem(Ok(table)), &[key]);
    }
}

#[test]
fn blocks_and_tables_nested_too_deep_are_refused() {
    let nested =
        |levels: usize| (0..levels).fold("\"relu\"".to_string(), |inside, _| format!("{{ residual = [{inside}] }}"));
    file_refused(
        file(&format!("layers = [{}, \"tanh\"]", nested(17)), D),
        &["generator.layers", "nested at most 16 deep"],
    );
    file_refused(file(&format!("layers = [{}, \"tanh\"]", nested(35)), D), &["nested more than 64 deep"]);
    file_refused(format!("x = {}", "[".repeat(100_000)), &["nested more than 64 deep"]);
    // Nested keys with many parts. The parser accepts each of them on its own.
    let key = vec!["a"; 70].join(".");
    let tables = (0..70).fold("1".to_string(), |inside, _| format!("{{ {key} = {inside} }}"));
    file_refused(format!("x = {tables}"), &["nested more than 64 deep"]);
    let path = vec!["a"; 50_000].join(".");
    all_refused(&[(&format!("{path}=1"), &["too many parts"])]);
    let list = format!("generator.layers=[{}]", nested(35).replace(' ', ""));
    all_refused(&[(&list, &["nested more than 64 deep"])]);
}

#[test]
fn a_discriminator_must_end_in_one_logit() {
    for (layers, words) in [
        (r#""flatten", { dense = 2 }"#, ["discriminator.layers:", "makes [2]", "one number a sample"]),
        ("{ conv = 1, kernel = 3 }", ["discriminator.layers:", "makes [1, 26, 26]", "one number a sample"]),
        (r#""flatten", { dense = 1 }, "sigmoid""#, ["discriminator.layers:", "\"sigmoid\"", "remove it"]),
        ("{ dense = 1 }", ["discriminator layer 0 ({ dense = 1 })", "got [1, 28, 28]", "flatten"]),
    ] {
        file_refused(file(G, &format!("layers = [{layers}]")), &words);
    }
}

#[test]
fn inputs_must_match_the_latent_space_and_the_data() {
    let with = |input: &str, layers: &str| format!("input = {input}\n{layers}");
    file_refused(file(&with("[20]", G), D), &["generator.input: [20]", "10 numbers (latent.dim)"]);
    file_refused(file(&with("[]", G), D), &["generator: input []", "at least one side"]);
    file_refused(file(&with("[10, 0]", G), D), &["generator: input [10, 0]", "none of them 0"]);
    file_refused(file(G, &with("[1, 32, 32]", D)), &["discriminator.input: [1, 32, 32]", "[1, 28, 28]"]);
    file_refused(file(&format!("family = \"dcgan\"\n{G}"), D), &["generator: needs either a family", "not both"]);
    file_refused(file(&format!("width = 8\n{G}"), D), &["generator.width: is for family = \"dcgan\""]);
    file_refused(file("family = \"dcgan\"", D), &["generator.width: is missing"]);
}

#[test]
fn missing_keys_of_a_file_are_named() {
    let whole = file(G, D);
    for (missing, word) in [
        ("[latent]\ndim = 10\n", "latent: is missing"),
        ("[loss]\nkind = \"non_saturating\"\n", "loss: is missing"),
        ("dim = 10\n", "latent.dim: is missing"),
        ("seed = 1\n", "train.seed: is missing"),
        ("steps = 2\n", "train.steps: is missing"),
        ("kind = \"non_saturating\"\n", "loss.kind: is missing"),
    ] {
        assert!(whole.contains(missing));
        file_refused(whole.replace(missing, ""), &[word]);
    }
    file_refused(whole.replacen("lr = 2e-4\n", "", 1), &["optimizer.generator.lr: is missing"]);
    file_refused(whole.replacen("kind = \"adam\"\n", "", 1), &["optimizer.generator.kind: is missing"]);
    file_refused("", &["data: is missing", "gan preset show"]);
    file_refused("preset = \"dcgan-mnits\"\n", &["preset \"dcgan-mnits\"", "did you mean \"dcgan-mnist\"?"]);
    file_refused("preset = \"dcgan-mnist\"\n[train]\nstepz = 3\n", &["train.stepz:", "did you mean \"steps\"?"]);
    file_refused(whole.replace("steps = 2", "steps = 2\nepochs = 2"), &["train.steps:", "train.epochs", "one of them"]);
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    file_refused("preset = \"dcgan-mnist\"\nhello, world\n", &["is not TOML", "line 2"]);
    file_refused(format!("{}seed = 2\n", file(G, D)), &["is not TOML", "duplicate key"]);
    file_refused([0xff, 0xfe, 0], &["mine.toml: is not text", "TOML"]);
}

#[test]
fn blocks_and_classes_that_do_not_fit_are_named() {
    for (layers, words) in [
        ("[\"flatten\",{projection=10}]", ["D's layers know 10 classes", "G's no classes"]),
        ("[{residual=[{conv=4,kernel=1}]},\"flatten\",{dense=1}]", ["residual makes [4, 28, 28]", "skip [1, 28, 28]"]),
        ("[{conv=9,kernel=3,groups=2},\"flatten\",{dense=1}]", ["layer 0", "groups that divide"]),
    ] {
        let mut table = small();
        layering::set(&mut table, "discriminator.input=[1,28,28]").unwrap();
        layering::set(&mut table, &format!("discriminator.layers={layers}")).unwrap();
        expect(&problem(Ok(table)), &words);
    }
}
