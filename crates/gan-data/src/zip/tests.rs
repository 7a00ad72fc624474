//! Archives that are written here byte by byte, whole and damaged.

use super::*;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write;

/// An entry of the central directory.
const ENTRY: &[u8] = b"PK\x01\x02";
const END_LENGTH: usize = 22;
/// Record and locator that stand before the end in Zip64 archives.
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A file of an archive that is written.
pub(crate) struct Member<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
    pub is_deflated: bool,
}

/// Returns the bytes of an archive. `change` may edit each entry of the central directory.
pub(crate) fn archive(members: &[Member], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut all = Vec::new();
    let mut directory = Vec::new();
    for Member { name, bytes, is_deflated } in members {
        let mut packed = bytes.to_vec();
        if *is_deflated {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(bytes).unwrap();
            packed = encoder.finish().unwrap();
        }
        let method = if *is_deflated { DEFLATED } else { STORED };
        let mut common = Vec::new();
        [20, 0x800, method, 0, 0].iter().for_each(|value| common.extend(value.to_le_bytes()));
        common.extend(crc32fast::hash(bytes).to_le_bytes());
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        let mut entry = [ENTRY, &[20, 0], &common, &[0; 10], &(all.len() as u32).to_le_bytes()].concat();
        entry.extend(name.as_bytes());
        change(&mut entry);
        directory.extend(entry);
        all.extend([LOCAL, &common, name.as_bytes(), &packed].concat());
    }
    let count = (members.len() as u16).to_le_bytes();
    let sizes = [directory.len() as u32, all.len() as u32].map(u32::to_le_bytes).concat();
    [&all[..], &directory, END, &[0; 4], &count, &count, &sizes, &[0; 2]].concat()
}

/// Returns the bytes of an archive of deflated files.
pub(crate) fn deflated(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members: Vec<Member> = members.iter().map(|(name, bytes)| Member { name, bytes, is_deflated: true }).collect();
    archive(&members, |_| ())
}

fn opened(bytes: &[u8]) -> Result<Archive, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.zip");
    std::fs::write(&path, bytes).unwrap();
    Archive::open(&path)
}

fn message(bytes: &[u8]) -> String {
    opened(bytes).unwrap_err().to_string()
}

fn content(archive: &Archive, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    archive.read(Path::new(name))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn names(archive: &Archive) -> Vec<&str> {
    let mut names: Vec<&str> = archive.names().map(|name| name.to_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn stored_and_deflated_files_are_read_in_any_order() {
    let long = vec![7; 300_000];
    let members = [
        Member { name: "a/1.png", bytes: b"one", is_deflated: false },
        Member { name: "b/2.png", bytes: &long, is_deflated: true },
        Member { name: "b/", bytes: b"", is_deflated: false },
        Member { name: "__MACOSX/b/._2.png", bytes: b"x", is_deflated: false },
    ];
    let whole = archive(&members, |_| ());
    // Bytes before an archive, and a comment after it, change nothing.
    let mut wrapped = [b"#!/bin/sh\n", &whole[..]].concat();
    let at = wrapped.len() - 2;
    wrapped[at..].copy_from_slice(&[3, 0]);
    wrapped.extend(b"end");
    for bytes in [whole, wrapped] {
        let archive = opened(&bytes).unwrap();
        assert_eq!(names(&archive), ["a/1.png", "b/2.png"]);
        assert_eq!(content(&archive, "b/2.png").unwrap(), long);
        assert_eq!(content(&archive, "a/1.png").unwrap(), b"one");
        assert_eq!((archive.size(Path::new("b/2.png")), archive.size(Path::new("c"))), (Some(300_000), None));
        assert_eq!(archive.stored(Path::new("b/2.png")).unwrap(), None);
        assert_eq!(archive.stored(Path::new("a/1.png")).unwrap().unwrap().1, 3);
        assert_eq!(content(&archive, "c").unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[test]
fn a_folder_around_everything_does_not_count() {
    let archive = opened(&deflated(&[("pets/cats/1.png", b"1"), ("pets\\dogs\\2.png", b"2")])).unwrap();
    assert_eq!(names(&archive), ["cats/1.png", "dogs/2.png"]);
    let archive = opened(&deflated(&[("pets/1.png", b"1"), ("2.png", b"2")])).unwrap();
    assert_eq!(names(&archive), ["2.png", "pets/1.png"]);
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in ["../x.png", "a/../../x.png", "/etc/x.png", "C:\\x.png", "..\\x.png"] {
        let message = message(&deflated(&[("a.png", b"1"), (name, b"2")]));
        for words in
            ["a path that leads out of the archive", "found \"", "expected relative paths", "pack the images again"]
        {
            assert!(message.contains(words), "{name}: {message}");
        }
    }
}

#[test]
fn files_that_expand_beyond_their_declared_size_are_refused() {
    let bomb = vec![0; 1 << 20];
    let member = Member { name: "x.png", bytes: &bomb, is_deflated: true };
    let declares = |size: u32| {
        let bytes = archive(&[Member { ..member }], |entry| entry[24..28].copy_from_slice(&size.to_le_bytes()));
        content(&opened(&bytes).unwrap(), "x.png").unwrap_err().to_string()
    };
    assert_eq!(declares(1000), "it expands to more than the 1000 bytes that the archive declares");
    assert!(declares(u32::MAX - 1).contains("it ends after 1048576 of the 4294967294 bytes"));
}

#[test]
fn damage_is_reported() {
    let whole = deflated(&[("a.png", b"some bytes"), ("b.png", b"others")]);
    let cut = message(&whole[..whole.len() - 30]);
    assert!(cut.contains("not a whole zip archive") && cut.contains("it is probably cut off"), "{cut}");
    assert!(message(b"").contains("not a whole zip archive"));
    let encrypted = archive(&[Member { name: "a.png", bytes: b"x", is_deflated: false }], |entry| entry[8] |= 1);
    let message_of_it = message(&encrypted);
    for words in ["encrypted archive", "\"a.png\" with a password", "unpack it with the password"] {
        assert!(message_of_it.contains(words), "{message_of_it}");
    }
    let mut flipped = whole.clone();
    flipped[38] ^= 0x40;
    assert!(content(&opened(&flipped).unwrap(), "a.png").unwrap_err().to_string().contains("damaged"));
    let other = archive(&[Member { name: "a.png", bytes: b"x", is_deflated: false }], |entry| entry[10] = 93);
    let message_of_it = content(&opened(&other).unwrap(), "a.png").unwrap_err().to_string();
    assert!(message_of_it.contains("its compression is"), "{message_of_it}");
    let far = archive(&[Member { name: "a.png", bytes: b"x", is_deflated: false }], |entry| entry[44] = 99);
    assert!(content(&opened(&far).unwrap(), "a.png").is_err());
}

/// Any single byte may be wrong, and any part may be missing.
#[test]
fn no_damage_causes_a_panic() {
    let whole = deflated(&[("a/1.png", &[1; 90]), ("b/2.png", &[2; 9])]);
    let try_all = |bytes: &[u8]| {
        if let Ok(archive) = opened(bytes) {
            archive.names().for_each(|name| drop(content(&archive, name.to_str().unwrap())));
        }
    };
    for at in 0..whole.len() {
        try_all(&whole[..at]);
        for value in [0, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] = value;
            try_all(&changed);
        }
    }
}

#[test]
fn zip64_archives_are_read() {
    let short = archive(&[Member { name: "a.png", bytes: b"some", is_deflated: false }], |_| ());
    let end = short.len() - END_LENGTH;
    let [size, offset] = [12, 16].map(|at| u64::from(u32::from_le_bytes(short[end + at..][..4].try_into().unwrap())));
    let mut long = short[..end].to_vec();
    long.extend([END64, &44u64.to_le_bytes(), &[0; 28], &size.to_le_bytes(), &offset.to_le_bytes()].concat());
    long.extend([LOCATOR64, &[0; 4], &(end as u64).to_le_bytes(), &[1, 0, 0, 0]].concat());
    long.extend([END, &[0; 4], &[0xff; 12], &[0; 2]].concat());
    assert_eq!(content(&opened(&long).unwrap(), "a.png").unwrap(), b"some");
    // The numbers of an entry stand in its extra field.
    let extra = [&[1, 0, 16, 0][..], &4u64.to_le_bytes(), &4u64.to_le_bytes()].concat();
    let bytes = archive(&[Member { name: "a.png", bytes: b"some", is_deflated: false }], |entry| {
        entry[20..28].fill(0xff);
        entry[30] = extra.len() as u8;
        entry.extend(&extra);
    });
    assert_eq!(content(&opened(&bytes).unwrap(), "a.png").unwrap(), b"some");
}
