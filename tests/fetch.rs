//! `gan data fetch`: its messages in every build and, with the feature `hub`, downloads from a server that answers like the
//! Hub.

use crate::common::WorkDir;

#[test]
fn an_unknown_data_set_is_refused_with_the_nearest_name() {
    let words = [
        "\"cifar\": no data set of that name",
        "did you mean \"cifar10\"?",
        "Known: mnist, fashion-mnist, cifar10, celeba",
    ];
    WorkDir::new().gan("data fetch cifar").expect(2, &words);
}

#[cfg(not(feature = "hub"))]
#[test]
fn a_build_without_hub_explains_how_to_get_the_files() {
    for (name, words) in
        [("cifar10", ["cifar-10-binary.tar.gz", "data/cifar10"]), ("celeba", ["img_align_celeba.zip", "data/celeba"])]
    {
        let dir = WorkDir::new();
        dir.gan(&format!("data fetch {name}"))
            .expect(2, &[&words[..], &["feature \"hub\"", "default features"]].concat());
        assert!(!dir.path("data").exists());
    }
}

#[cfg(feature = "hub")]
#[path = "../crates/gan-data/tests/hub/server.rs"]
#[allow(dead_code, reason = "gan-data's own tests use the rest")]
mod server;

#[cfg(feature = "hub")]
mod from_a_server {
    use super::server::{Manner, Server};
    use crate::common::{Finished, WorkDir, steps};
    use std::path::Path;
    use std::process::Command;
    use std::time::{Duration, Instant};

    fn server(manner: Manner) -> Server {
        Server::start(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../gan-data/tests/fixtures/hub"), manner)
    }

    fn command(dir: &WorkDir, line: &str, address: &str) -> Command {
        let mut command = dir.command(line);
        command.env("HF_ENDPOINT", address).env("HF_HOME", dir.path("hf")).env("HF_HUB_DOWNLOAD_TIMEOUT", "1");
        for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_TOKEN_PATH", "GAN_DATA_DIR"] {
            command.env_remove(name);
        }
        command
    }

    fn gan(dir: &WorkDir, line: &str, address: &str) -> Finished {
        Finished::of(&mut command(dir, line, address))
    }

    #[test]
    fn training_finds_fetched_data() {
        let (dir, server) = (WorkDir::new(), server(Manner::BreaksOff { after: 900, times: 1 }));
        let finished = gan(&dir, "data fetch cifar10", &server.address);
        assert_eq!((finished.code, finished.text()), (Some(0), "data/cifar10: 13 images\n"), "{}", finished.stderr);
        assert!(
            finished.stderr.contains("licence: ") && finished.stderr.contains("plain_text/train-"),
            "{}",
            finished.stderr
        );
        assert!(server.requests().iter().any(|line| line == "cifar10-train.parquet bytes=900-"));
        dir.succeeds("train dcgan-cifar10 --steps 1 --set train.batch=4 --set generator.width=8 --set discriminator.width=8 --out run");
        assert_eq!(steps(&dir.path("run")), [1]);
        let again = gan(&dir, "data fetch cifar10", "http://127.0.0.1:1");
        assert_eq!((again.code, again.text().contains("already there")), (Some(0), true), "{}", again.stderr);
        assert!(dir.path("hf/hub/datasets--uoft-cs--cifar10/refs/main").is_file());
    }

    #[test]
    fn a_killed_download_resumes() {
        let (dir, server) = (WorkDir::new(), server(Manner::Stalls { at: 1234 }));
        let mut child = command(&dir, "data fetch mnist --quiet", &server.address).spawn().unwrap();
        let blobs = dir.path("hf/hub/datasets--ylecun--mnist/blobs");
        let arrived = || {
            std::fs::read_dir(&blobs)
                .is_ok_and(|files| files.flatten().any(|f| f.metadata().is_ok_and(|m| m.len() == 1234)))
        };
        while !arrived() {
            assert!(child.try_wait().unwrap().is_none(), "it gave up first");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().and_then(|()| child.wait()).unwrap();
        server.now(Manner::Good);
        let finished = gan(&dir, "data fetch mnist --quiet", &server.address);
        assert_eq!((finished.code, finished.text()), (Some(0), "data/mnist: 10 images\n"), "{}", finished.stderr);
        assert!(server.requests().contains(&"mnist-train.parquet bytes=1234-".to_string()));
    }

    #[test]
    fn out_and_gan_data_dir_are_respected() {
        let (dir, server) = (WorkDir::new(), server(Manner::Good));
        let mut there = command(&dir, "data fetch mnist --quiet", &server.address);
        let finished = Finished::of(there.env("GAN_DATA_DIR", dir.path("sets")));
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
        assert!(dir.path("sets/mnist/train-images-idx3-ubyte.gz").is_file());
        let finished = gan(&dir, "data fetch celeba --out faces", &server.address);
        assert_eq!((finished.code, finished.text()), (Some(0), "faces: 8 images\n"), "{}", finished.stderr);
        assert!(dir.path("faces/img_align_celeba/000008.jpg").is_file());
    }

    #[test]
    fn a_missing_or_silent_server_gives_a_clear_message_soon() {
        let dir = WorkDir::new();
        let silent = server(Manner::Silent);
        for address in ["http://127.0.0.1:1", &silent.address] {
            let start = Instant::now();
            let finished = gan(&dir, "data fetch fashion-mnist --quiet", address);
            finished.expect(
                1,
                &["zalando-datasets/fashion_mnist", address, "HF_ENDPOINT", "by hand", "github.com/zalandoresearch"],
            );
            assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
            assert!(start.elapsed() < Duration::from_secs(30) && !dir.path("data").exists());
        }
    }

    #[test]
    fn damaged_bytes_leave_nothing_behind() {
        let (dir, server) = (WorkDir::new(), server(Manner::Damages));
        let finished = gan(&dir, "data fetch mnist", &server.address);
        finished.expect(1, &["wrong checksum", "nothing of them was kept"]);
        assert!(!dir.path("data/mnist").exists());
    }
}
