//! Fetches from a server that answers like the Hub, or fails in one way.

mod server;

use gan_data::fetch::{Progress, Source, fetch};
use gan_data::{
    Cifar10, Dataset, DatasetConfig, DatasetEntry, DatasetSpec, Error, FashionMnist, Mnist, OpenOptions, Split,
};
use gan_hub::Environment;
use server::{COMMIT, Manner, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hub")
}

/// Returns the source of the data set `name`.
fn source(name: &str) -> Source {
    DatasetEntry::find(name).and_then(|entry| entry.info.source).unwrap()
}

/// A server, and a folder for the cache and the fetched files.
struct FakeHub {
    server: Server,
    folder: TempDir,
}

impl FakeHub {
    fn new(manner: Manner) -> Self {
        Self { server: Server::start(&fixtures(), manner), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the environment of a user with a token and a long timeout.
    fn environment(&self, endpoint: &str) -> Environment {
        Environment {
            endpoint: endpoint.into(),
            token: Some("hf_test".into()),
            cache: self.path("cache"),
            patience: Duration::from_secs(5),
            is_offline: false,
        }
    }

    fn fetch(&self, name: &str) -> Result<Option<u64>, Error> {
        self.fetch_watched(name, &mut |_| {})
    }

    fn fetch_watched(&self, name: &str, watch: &mut dyn FnMut(Progress<'_>)) -> Result<Option<u64>, Error> {
        let environment =
            Environment { patience: Duration::from_millis(500), ..self.environment(&self.server.address) };
        fetch(&source(name), &self.path(name), environment, watch)
    }

    #[track_caller]
    fn refused(&self, name: &str, words: &[&str]) {
        let message = self.fetch(name).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
        assert!(!self.path(name).exists(), "a folder after: {message}");
        assert!(!self.path(&format!(".{name}.fetching")).exists(), "rubbish after: {message}");
    }

    /// Returns the ranges of the requests for bytes of `file`; a request for the whole file gives "".
    fn ranges(&self, file: &str) -> Vec<String> {
        let requests = self.server.requests();
        requests.iter().filter_map(|line| Some(line.strip_prefix(file)?.trim().to_string())).collect()
    }
}

/// Returns a pixel by the formula of the fixtures.
fn pixel(n: usize, y: usize, x: usize, c: usize) -> f32 {
    let byte = (37 * n + 5 * y + 3 * x + 50 * c) % 256;
    (byte as f32 - 127.5) / 127.5
}

/// Asserts that the images of `data` are the fixtures' images from number `first` on.
fn assert_images(data: &dyn Dataset, first: usize) {
    let [channels, height, width] = data.shape()[..] else { panic!("no images") };
    let mut image = vec![0.0; data.pixels()];
    for n in 0..data.len() {
        data.write(n, &mut image).unwrap();
        let mut values = image.iter();
        for (c, y, x) in (0..channels).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x)))) {
            assert_eq!(*values.next().unwrap(), pixel(first + n, y, x, c), "image {n}, channel {c}, {y}, {x}");
        }
        assert_eq!(data.label(n), Some(((first + n) % 10) as u32));
    }
}

#[test]
fn mnist_and_fashion_mnist_are_written_as_idx_files() {
    for name in [Mnist::NAME, FashionMnist::NAME] {
        let hub = FakeHub::new(Manner::Good);
        assert_eq!(hub.fetch(name).unwrap(), Some(10));
        for (split, first, len) in [(Split::Train, 0, 7), (Split::Test, 100, 3)] {
            let settings = serde_json::json!({ "split": split });
            let options = OpenOptions::default().dir(hub.path(name));
            let data = DatasetConfig::read(name, settings).unwrap().open(&options).unwrap();
            assert_eq!(data.len(), len);
            assert_images(data.as_ref(), first);
        }
    }
}

#[test]
fn cifar_10_is_written_as_binary_batches() {
    let hub = FakeHub::new(Manner::Good);
    assert_eq!(hub.fetch("cifar10").unwrap(), Some(13));
    for (split, first, len) in [(Split::Train, 0, 11), (Split::Test, 100, 2)] {
        let options = OpenOptions::default().dir(hub.path("cifar10"));
        let data = Cifar10 { split: Some(split) }.open(&options).unwrap();
        assert_eq!(data.len(), len);
        assert_images(data.as_ref(), first);
    }
    let sizes = (1..=5).map(|n| fs::metadata(hub.path(&format!("cifar10/data_batch_{n}.bin"))).unwrap().len() / 3073);
    assert_eq!(sizes.collect::<Vec<_>>(), [2, 2, 2, 2, 3]);
}

#[test]
fn celeba_is_written_as_jpeg_files_with_lists() {
    let hub = FakeHub::new(Manner::Good);
    assert_eq!(hub.fetch("celeba").unwrap(), Some(8));
    let sums = fs::read_to_string(hub.path("celeba/SHA256SUMS")).unwrap();
    let wanted = fs::read_to_string(fixtures().join("celeba.sha256")).unwrap();
    assert!(wanted.lines().all(|line| sums.contains(line)), "{sums}");
    let list = fs::read_to_string(hub.path("celeba/list_attr_celeba.txt")).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!((lines[0], lines.len()), ("8", 10));
    assert!(lines[1].starts_with("5_o_Clock_Shadow Arched_Eyebrows") && lines[1].ends_with("Wearing_Necktie Young"));
    for (n, line) in (1..).zip(&lines[2..]) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let values: Vec<&str> = (0..40).map(|k| if (n + k) % 3 == 0 { "1" } else { "-1" }).collect();
        assert_eq!((words[0], &words[1..]), (format!("{n:06}.jpg").as_str(), &values[..]));
    }
    let parts = fs::read_to_string(hub.path("celeba/list_eval_partition.txt")).unwrap();
    assert!(parts.starts_with("000001.jpg 0\n") && parts.ends_with("000006.jpg 1\n000007.jpg 2\n000008.jpg 2\n"));
}

#[test]
fn the_result_has_checksums_and_a_source_file() {
    let hub = FakeHub::new(Manner::Good);
    hub.fetch("mnist").unwrap();
    let origin = fs::read_to_string(hub.path("mnist/SOURCE.txt")).unwrap();
    assert!(
        ["ylecun/mnist", COMMIT, "CC BY-SA 3.0", "mnist/test-00000"].iter().all(|word| origin.contains(word)),
        "{origin}"
    );
    let before = hub.server.requests().len();
    assert_eq!(hub.fetch("mnist").unwrap(), None);
    assert_eq!(hub.server.requests().len(), before);
    fs::write(hub.path("mnist/SOURCE.txt"), "x").unwrap();
    assert!(hub.fetch("mnist").unwrap_err().to_string().contains("SOURCE.txt is missing or damaged"));
    assert!(hub.server.requests().iter().any(|line| line.ends_with("revision/main Bearer hf_test")));
}

#[test]
fn the_cache_has_the_layout_of_the_hubs_tools_and_is_reused() {
    let hub = FakeHub::new(Manner::Good);
    hub.fetch("mnist").unwrap();
    let root = hub.path("cache/datasets--ylecun--mnist");
    let table = root.join("snapshots").join(COMMIT).join("mnist/train-00000-of-00001.parquet");
    let wanted = fs::read(fixtures().join("mnist-train.parquet")).unwrap();
    assert_eq!(
        (fs::read(table).unwrap(), fs::read_to_string(root.join("refs/main")).unwrap()),
        (wanted.clone(), COMMIT.into())
    );
    fs::remove_dir_all(hub.path("mnist")).unwrap();
    hub.fetch("mnist").unwrap();
    assert_eq!(hub.ranges("mnist-train.parquet"), [""]);
    let blob = fs::read_dir(root.join("blobs")).unwrap().map(|entry| entry.unwrap().path());
    let blob = blob.into_iter().find(|path| fs::read(path).unwrap() == wanted).unwrap();
    fs::write(&blob, &wanted[1..]).unwrap();
    fs::remove_dir_all(hub.path("mnist")).unwrap();
    hub.fetch("mnist").unwrap();
    assert_eq!((hub.ranges("mnist-train.parquet").len(), fs::read(&blob).unwrap()), (2, wanted));
}

#[test]
fn an_interrupted_download_resumes_where_it_stopped() {
    let hub = FakeHub::new(Manner::BreaksOff { after: 1000, times: 2 });
    let mut seen = Vec::new();
    let mut watch = |progress: Progress<'_>| {
        if let Progress::Download { file, done, total } = progress {
            assert!(done <= total);
            seen.push((file.to_string(), done));
        }
    };
    hub.fetch_watched("mnist", &mut watch).unwrap();
    let ranges = [hub.ranges("mnist-test.parquet"), hub.ranges("mnist-train.parquet")].concat();
    assert_eq!(ranges.iter().filter(|range| range.starts_with("bytes=")).count(), 2, "{ranges:?}");
    assert!(ranges.contains(&"bytes=1000-".to_string()), "{ranges:?}");
    assert!(
        seen.iter().any(|(_, done)| *done == 1000)
            && seen.is_sorted_by_key(|(file, done)| (file.contains("test"), *done))
    );
}

#[test]
fn the_next_command_resumes_a_download_that_was_given_up() {
    let hub = FakeHub::new(Manner::Stalls { at: 1234 });
    hub.refused(
        "mnist",
        &["mnist/train-00000-of-00001.parquet", "no further bytes in time", "1234 of", "bytes are kept", "again"],
    );
    let first = hub.ranges("mnist-train.parquet");
    assert_eq!((first[0].as_str(), first[1].as_str()), ("", "bytes=1234-"));
    hub.server.now(Manner::Good);
    hub.fetch("mnist").unwrap();
    assert_eq!(hub.ranges("mnist-train.parquet").last().unwrap(), "bytes=1234-");
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    let hub = FakeHub::new(Manner::KnowsNoRanges);
    hub.fetch("mnist").unwrap();
    assert_eq!(hub.ranges("mnist-train.parquet"), ["", "bytes=100-"]);
}

#[test]
fn files_with_a_wrong_checksum_are_refused_and_deleted() {
    let hub = FakeHub::new(Manner::Damages);
    hub.refused("cifar10", &["plain_text/train-00000-of-00001.parquet: wrong checksum", "found SHA-256", "expected"]);
    hub.server.now(Manner::Good);
    hub.fetch("cifar10").unwrap();
    assert_eq!(hub.ranges("cifar10-train.parquet"), ["", ""]);
}

#[test]
fn silent_missing_and_refusing_servers_have_messages_that_say_what_to_do() {
    let address = |hub: &FakeHub| hub.server.address.clone();
    let hub = FakeHub::new(Manner::Silent);
    hub.refused("mnist", &["ylecun/mnist", &address(&hub), "no answer in time", "HF_ENDPOINT", "by hand"]);
    for (status, word) in [(401, "set HF_TOKEN"), (404, "404"), (500, "500"), (429, "429")] {
        hub.server.now(Manner::Answers(status));
        hub.refused("celeba", &["flwrlabs/celeba", word]);
    }
    for (endpoint, word) in [("http://127.0.0.1:1", "tcp connect error"), ("nonsense", "no web address")] {
        let message =
            fetch(&source("mnist"), &hub.path("x"), hub.environment(endpoint), &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains(word) && message.contains(endpoint) && message.contains("HF_ENDPOINT"), "{message}");
    }
}

#[test]
fn a_file_list_on_several_pages_is_read_completely() {
    let hub = FakeHub::new(Manner::TwoPages);
    assert_eq!(hub.fetch("mnist").unwrap(), Some(10));
    assert!(hub.server.requests().iter().any(|line| line.ends_with("cursor=2 Bearer hf_test")));
}

#[test]
fn endless_file_lists_are_refused() {
    let hub = FakeHub::new(Manner::NeverEnds);
    hub.refused("mnist", &["its list has more than 100 pages"]);
    assert_eq!(hub.server.requests().iter().filter(|line| line.contains("/tree/")).count(), 100);
    hub.server.now(Manner::Rambles);
    hub.refused("mnist", &["its answer is longer than 16777216 bytes"]);
}

#[test]
fn the_token_is_only_sent_to_the_server() {
    let other = Server::start(&fixtures(), Manner::Good);
    let elsewhere: &'static str = Box::leak(format!("{}/api/datasets/x", other.address).into_boxed_str());
    let hub = FakeHub::new(Manner::GoesOnAt(elsewhere));
    hub.refused("mnist", &["its list goes on at", elsewhere, "another server"]);
    assert_eq!(other.requests(), Vec::<String>::new());
    hub.server.now(Manner::GoesOnAt("file:///etc/passwd"));
    hub.refused("mnist", &["its list goes on at", "another server"]);
}

#[test]
fn folders_of_other_origin_are_not_changed() {
    let hub = FakeHub::new(Manner::Good);
    fs::create_dir(hub.path("mnist")).unwrap();
    fs::write(hub.path("mnist/mine.txt"), "x").unwrap();
    let message = hub.fetch("mnist").unwrap_err().to_string();
    assert!(message.contains("not by this command") && message.contains("--out"), "{message}");
    assert_eq!((fs::read_dir(hub.path("mnist")).unwrap().count(), hub.server.requests().len()), (1, 0));
    fs::remove_file(hub.path("mnist/mine.txt")).unwrap();
    assert_eq!(hub.fetch("mnist").unwrap(), Some(10));
}

#[test]
fn a_table_with_unexpected_columns_is_refused() {
    let hub = FakeHub::new(Manner::Good);
    let mut odd = source("cifar10");
    odd.repository = source("celeba").repository;
    let message =
        fetch(&odd, &hub.path("x"), hub.environment(&hub.server.address), &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("no column \"label\" in row 0") && message.contains("by hand"), "{message}");
    assert!(!hub.path("x").exists());
}

#[test]
fn offline_fetching_uses_the_cache_or_explains_what_is_missing() {
    let hub = FakeHub::new(Manner::Good);
    let offline = || Environment { is_offline: true, ..hub.environment("http://127.0.0.1:1") };
    let fetch_offline = |name| fetch(&source("mnist"), &hub.path(name), offline(), &mut |_| {});
    let message = fetch_offline("x").unwrap_err().to_string();
    assert!(message.contains("HF_HUB_OFFLINE is set") && message.contains("by hand"), "{message}");
    hub.fetch("mnist").unwrap();
    assert_eq!(fetch_offline("x").unwrap(), Some(10));
}
