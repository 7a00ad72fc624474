//! Compares event files byte by byte. Python's tensorboard 2.21 wrote the expected bytes (`RecordWriter` around
//! `event_pb2.Event(…).SerializeToString()`).

use std::fs;

use super::messages::varint;
use super::*;

const VERSION: &str = "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9";
const SCALAR: &str = "1d00000000000000602fdf230900006040fc54d94110ac022a0f0a0d0a066c6f73732f64150000203f44de004e";
const RESTART: &str = "100000000000000095fbfe180900008040fc54d94110ad023a02080184a4031a";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn records_equal_tensorboards() {
    assert_eq!(hex(&frame(&file_version(1_700_000_000.25))), VERSION);
    assert_eq!(hex(&frame(&scalar(1_700_000_001.5, 300, "loss/d", 0.625))), SCALAR);
    assert_eq!(hex(&frame(&session_start(1_700_000_002.0, 301))), RESTART);
}

const IMAGE: &str = "09000000000000044010ac022a190a170a0773616d706c6573220c080310c80118012203706e67";
const TEXT: &str = "09000000000000044010012a300a2e0a13636f6e6669672f746578745f73756d6d617279420d080712041202080142032320614a080a060a0474657874";
const SETTINGS: &str = "0900000000000004402a5d0a5b0a1c5f68706172616d735f2f73657373696f6e5f73746172745f696e666f4a3b0a390a0768706172616d73122e1a2c0a0e0a0161120911000000000000e03f0a080a016212031a01780a070a016312022001290000000000000440";

#[test]
fn messages_equal_tensorboards() {
    assert_eq!(hex(&image(2.5, 300, "samples", b"png", [200, 3], 1)), IMAGE);
    assert_eq!(hex(&text(2.5, 1, "config/text_summary", "# a")), TEXT);
    let settings = [
        ("a".into(), Hyperparameter::Number(0.5)),
        ("b".into(), Hyperparameter::Text("x".into())),
        ("c".into(), Hyperparameter::Switch(true)),
    ];
    assert_eq!(hex(&hyperparameters(2.5, &settings)), SETTINGS);
}

#[test]
fn a_file_begins_with_its_version_followed_by_scalars() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file_name(1_700_000_000));
    assert!(path.ends_with("events.out.tfevents.1700000000.gan"));
    let mut writer = EventWriter::create(&path).unwrap();
    writer.scalar(300, 1_700_000_001.5, "loss/d", 0.625).unwrap();
    writer.restarted_at(301, 1_700_000_002.0).unwrap();
    writer.flush().unwrap();
    let written = hex(&fs::read(&path).unwrap());
    // Compares everything except the time (8 bytes from byte 13 on) and the checksum that covers it.
    assert_eq!((&written[..26], &written[42..72]), (&VERSION[..26], &VERSION[42..72]));
    assert_eq!(written[80..], [SCALAR, RESTART].concat());
}

#[test]
fn appending_removes_an_incomplete_last_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.out.tfevents.1");
    EventWriter::append_to(&path).unwrap().scalar(1, 1.0, "a", 1.0).unwrap();
    let whole = fs::read(&path).unwrap();
    for torn in [0, 1, 11, 12, 30] {
        let part = &frame(&scalar(2.0, 2, "abcdef", 2.0))[..torn];
        fs::write(&path, [&whole[..], part].concat()).unwrap();
        EventWriter::append_to(&path).unwrap().scalar(3, 3.0, "b", 3.0).unwrap();
        let expected = [&whole[..], &frame(&scalar(3.0, 3, "b", 3.0))].concat();
        assert_eq!(fs::read(&path).unwrap(), expected, "{torn} bytes left over");
    }
}

#[test]
fn an_incomplete_first_record_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("events.out.tfevents.1");
    let first = frame(&file_version(5.0));
    for cut in [0, 3, 12, 39] {
        fs::write(&path, &first[..cut]).unwrap();
        drop(EventWriter::append_to(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap().len(), first.len(), "cut at {cut}");
    }
}

#[test]
fn other_files_are_not_changed_and_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    fs::write(&path, "not events").unwrap();
    let message = EventWriter::append_to(&path).unwrap_err().to_string();
    assert!(message.contains("notes.txt"), "{message}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "not events");
    assert!(EventWriter::create(&dir.path().join("no/e")).unwrap_err().to_string().contains("no/e"));
}

#[test]
fn varints_match_the_specification() {
    for (value, expected) in [(0, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (300, vec![0xac, 2])] {
        let mut out = Vec::new();
        varint(&mut out, value);
        assert_eq!(out, expected);
    }
}

#[test]
fn checksums_match_the_published_ones() {
    // RFC 3720, B.4: 32 bytes of zeros.
    assert_eq!(CRC32C.checksum(&[0; 32]), 0x8a91_36aa);
    assert_eq!(CRC32C.checksum(b"123456789"), 0xe306_9283);
}

#[test]
fn reading_ends_at_the_first_damaged_record() {
    let (first, second) = (frame(b"one"), frame(b""));
    let both = [first.clone(), second.clone()].concat();
    assert_eq!(whole(&both[..]).unwrap(), both.len() as u64);
    for cut in first.len()..both.len() {
        assert_eq!(whole(&both[..cut]).unwrap(), first.len() as u64, "cut at {cut}");
    }
    for at in 0..first.len() {
        let mut damaged = both.clone();
        damaged[at] ^= 1;
        assert_eq!(whole(&damaged[..]).unwrap(), 0, "byte {at}");
    }
}
