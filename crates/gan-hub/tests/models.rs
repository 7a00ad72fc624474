//! Uploads to a local server and downloads from it.

mod server;

use gan_hub::{Change, Content, Environment, Error, Hub, Kind, Repository, Upload, Uploaded};
use server::{ModelServer, TOKEN};
use std::fs;
use std::time::Duration;
use tempfile::TempDir;

struct FakeHub {
    server: ModelServer,
    folder: TempDir,
}

impl FakeHub {
    fn new() -> Self {
        Self { server: ModelServer::start(), folder: tempfile::tempdir().unwrap() }
    }

    fn environment(&self) -> Environment {
        Environment {
            endpoint: self.server.address.clone(),
            token: Some(TOKEN.into()),
            cache: self.folder.path().join("cache"),
            patience: Duration::from_secs(5),
            is_offline: false,
        }
    }

    fn upload(&self, readme: &str) -> Result<Uploaded, Error> {
        self.upload_as(self.environment(), readme)
    }

    fn upload_as(&self, environment: Environment, readme: &str) -> Result<Uploaded, Error> {
        let weights = self.folder.path().join("g.safetensors");
        fs::write(&weights, vec![7; 70_000]).unwrap();
        let files = vec![
            ("README.md".to_string(), Content::Bytes(readme.into())),
            ("generator.safetensors".to_string(), Content::File(weights)),
        ];
        let upload = Upload { title: "A title".into(), files, is_private: false };
        Hub::new(environment)?.upload(&model("a/faces"), &upload, &mut |_, _, _| {})
    }

    fn changes(&self, readme: &str) -> Vec<Change> {
        self.upload(readme).unwrap().files.into_iter().map(|file| file.1).collect()
    }
}

fn model(name: &str) -> Repository {
    Repository::new(Kind::Model, name).unwrap()
}

#[test]
fn files_arrive_and_only_what_changed_is_sent_again() {
    let hub = FakeHub::new();
    assert_eq!(hub.changes("one"), [Change::Sent, Change::Sent]);
    assert_eq!(hub.server.file("a/faces", "README.md").unwrap(), b"one");
    assert_eq!(hub.server.file("a/faces", "generator.safetensors").unwrap(), vec![7; 70_000]);
    assert_eq!(hub.changes("one"), [Change::Same, Change::Same]);
    let requests = hub.server.requests();
    assert_eq!(requests.iter().filter(|line| line.ends_with("/commit/main")).count(), 1);
    assert_eq!(hub.changes("two"), [Change::Sent, Change::Same]);
    assert_eq!(hub.server.file("a/faces", "README.md").unwrap(), b"two");
    assert_eq!(hub.server.requests().iter().filter(|line| line.starts_with("PUT ")).count(), 1);
}

#[test]
fn an_upload_that_failed_goes_on_without_what_the_storage_has() {
    let hub = FakeHub::new();
    hub.server.refuse_commits(true);
    let problem = hub.upload("x").unwrap_err().to_string();
    assert!(problem.contains("uploading to a/faces") && problem.contains("it answers 500"), "{problem}");
    assert_eq!(hub.server.file("a/faces", "README.md"), None);
    hub.server.refuse_commits(false);
    assert_eq!(hub.changes("x"), [Change::Sent, Change::Known]);
    assert_eq!(hub.server.requests().iter().filter(|line| line.starts_with("PUT ")).count(), 1);
}

#[test]
fn what_was_uploaded_can_be_fetched_and_is_checked() {
    let hub = FakeHub::new();
    hub.upload("x").unwrap();
    let client = Hub::new(hub.environment()).unwrap();
    let fetch = |client: &Hub, path: &str| client.newest(&model("a/faces"), path, &mut |_, _, _| {});
    let path = fetch(&client, "generator.safetensors").unwrap();
    assert_eq!(fs::read(&path).unwrap(), vec![7; 70_000]);
    assert!(path.starts_with(hub.folder.path().join("cache/models--a--faces/blobs")));
    let problem = fetch(&client, "other.safetensors").unwrap_err().to_string();
    assert!(problem.contains("has no other.safetensors; name one of generator.safetensors"), "{problem}");
    // Offline, the cache serves it.
    let offline = Hub::new(Environment { is_offline: true, ..hub.environment() }).unwrap();
    assert_eq!(fetch(&offline, "generator.safetensors").unwrap(), path);
    fs::remove_dir_all(hub.folder.path().join("cache")).unwrap();
    assert!(fetch(&offline, "generator.safetensors").unwrap_err().to_string().contains("HF_HUB_OFFLINE is set"));
    hub.server.damage();
    assert!(fetch(&client, "generator.safetensors").unwrap_err().to_string().contains("wrong checksum"));
}

#[test]
fn uploads_need_a_token_that_may_write() {
    let hub = FakeHub::new();
    let problem = hub.upload_as(Environment { token: None, ..hub.environment() }, "x").unwrap_err().to_string();
    assert!(problem.contains("there is no access token") && problem.contains("HF_TOKEN"), "{problem}");
    assert!(hub.server.requests().is_empty());
    let other = Environment { token: Some("hf_other".into()), ..hub.environment() };
    let problem = hub.upload_as(other, "x").unwrap_err().to_string();
    assert!(problem.contains("it answers 401") && problem.contains("one that may write"), "{problem}");
}
