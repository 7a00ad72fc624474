//! `gan push` and `hub:owner/name`, with a server that answers like the Hub.

use crate::common::{Finished, WorkDir, steps};

#[path = "../crates/gan-hub/tests/server.rs"]
#[allow(dead_code, reason = "gan-hub's own tests use the rest")]
mod server;

use server::{ModelServer, TOKEN};

fn gan(dir: &WorkDir, line: &str, address: &str, token: &str) -> Finished {
    let mut command = dir.command(line);
    command.env("HF_ENDPOINT", address).env("HF_HOME", dir.path("hf")).env("HF_TOKEN", token);
    for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN_PATH", "HF_HUB_OFFLINE"] {
        command.env_remove(name);
    }
    Finished::of(&mut command)
}

#[test]
fn a_run_is_pushed_and_used_from_the_hub() {
    let dir = WorkDir::new();
    let server = ModelServer::start();
    dir.succeeds("train dcgan-mnist --steps 2 --set train.batch=4 --set generator.width=8 --set discriminator.width=8 --set evaluate.every=0 --out run");
    let pushed = gan(&dir, "push run julia/digits --license mit", &server.address, TOKEN);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    let page = format!("{}/julia/digits: README.md, generator.safetensors, samples.png, config.toml", server.address);
    assert!(pushed.text().starts_with(&page), "{}", pushed.text());
    let file = |path: &str| server.file("julia/digits", path).unwrap_or_else(|| panic!("{path} is not on the server"));
    let card = String::from_utf8(file("README.md")).unwrap();
    assert!(card.contains("license: \"mit\"") && card.contains("gan generate hub:julia/digits"), "{card}");
    assert_eq!(file("generator.safetensors"), std::fs::read(dir.path("run/generator.safetensors")).unwrap());
    assert!(file("generator.onnx").starts_with(b"\x08") && file("samples.png").starts_with(b"\x89PNG"));
    let settings = String::from_utf8(file("config.toml")).unwrap();
    assert!(settings.contains("batch = 4") && !settings.contains("dir ="), "{settings}");

    let again = gan(&dir, "push run julia/digits --license mit", &server.address, TOKEN);
    assert!(again.text().contains("it had the same 5 files already"), "{}", again.text());

    let made = gan(&dir, "generate hub:julia/digits --count 4 --out hub.npy", &server.address, "");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    dir.succeeds("generate run --count 4 --out own.npy");
    assert_eq!(std::fs::read(dir.path("hub.npy")).unwrap(), std::fs::read(dir.path("own.npy")).unwrap());
    let shown = gan(&dir, "summary hub:julia/digits", &server.address, "");
    assert!(shown.text().contains("trained by dcgan-mnist for 2 steps"), "{}", shown.text());
    let line = "train dcgan-mnist --from hub:julia/digits --steps 1 --set evaluate.every=0 --set train.batch=4 --set generator.width=8 --set discriminator.width=8 --out next";
    let trained = gan(&dir, line, &server.address, "");
    assert_eq!((trained.code, steps(&dir.path("next"))), (Some(0), vec![1]), "{}", trained.stderr);
}

#[test]
fn what_cannot_be_pushed_or_found_is_said() {
    let dir = WorkDir::new();
    let server = ModelServer::start();
    dir.succeeds("train curve2d --steps 1 --out run");
    gan(&dir, "push nowhere a/b", &server.address, TOKEN).expect(2, &["nowhere", "holds no run"]);
    gan(&dir, "push run digits", &server.address, TOKEN).expect(2, &["\"digits\"", "write owner/name"]);
    gan(&dir, "push run a/b", &server.address, "").expect(1, &["there is no access token", "HF_TOKEN"]);
    gan(&dir, "push run a/b --license m/it", &server.address, TOKEN).expect(2, &["--license", "such as mit"]);
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    gan(&dir, "generate hub:a/b --out x.png", &server.address, "").expect(1, &["a/b", "404"]);
    gan(&dir, "generate hub:a/b --out x.png", "http://127.0.0.1:1", "").expect(1, &["a/b", "check the network"]);
    gan(&dir, "generate hub:a --out x.png", &server.address, "").expect(2, &["\"a\"", "write owner/name"]);
    assert!(!dir.path("x.png").exists());
}
