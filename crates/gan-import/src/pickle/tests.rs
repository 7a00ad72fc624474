//! Pickles that are whole, invalid, deep or repetitive.

use super::*;

fn read(mut bytes: &[u8]) -> Result<(Object<'_>, &[u8]), String> {
    let pickle = Pickle::read(&mut bytes)?;
    Ok((pickle.at(pickle.root()).clone(), bytes))
}

#[test]
fn numbers_have_their_signs() {
    fn number(bytes: &[u8]) -> Result<Object<'_>, String> {
        read(bytes).map(|found| found.0)
    }
    assert_eq!(number(b"K\xff."), Ok(Object::Int(255)));
    assert_eq!(number(b"J\xff\xff\xff\xff."), Ok(Object::Int(-1)));
    assert_eq!(number(b"\x8a\x02\x00\x80."), Ok(Object::Int(-32768)));
    assert_eq!(number(b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), Ok(Object::Int(i64::MAX)));
    assert_eq!(number(b"\x8a\x00."), Ok(Object::Int(0)));
    assert_eq!(number(b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01."), Ok(Object::Other));
}

#[test]
fn protocol_4_is_read() {
    let pickle = b"\x80\x04\x95\x0f\0\0\0\0\0\0\0\x8c\x01a\x94\x8c\x01b\x93\x94h\x00\x86.";
    let mut bytes = &pickle[..];
    let pickle = Pickle::read(&mut bytes).unwrap();
    let Object::List(items) = pickle.at(pickle.root()) else { panic!("{pickle:?}") };
    assert_eq!((pickle.at(items[0]), pickle.at(items[1])), (&Object::Global("a", "b"), &Object::Text("a")));
}

#[test]
fn bytes_after_a_pickle_are_ignored() {
    assert_eq!(read(b"X\x02\x00\x00\x00ab.rest"), Ok((Object::Text("ab"), &b"rest"[..])));
}

#[test]
fn invalid_pickles_are_errors() {
    let cases: [&[u8]; 10] =
        [b"", b".", b"(.", b"t.", b"X\xff\xff\xff\xffab.", b"K", b"h\x07.", b"]K\x01s.", b"}(K\x01u.", b"cno end"];
    for bytes in cases {
        assert!(read(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn depth_and_repetition_take_no_more_memory_than_their_bytes() {
    let deep = [&b")"[..], &[0x85; 100_000], b"."].concat();
    assert!(read(&deep).is_ok());
    // Pairs of pairs: two to the power of 40 objects, were they copied.
    let pairs = [&b"K\x01"[..], &b"q\x00h\x00\x86".repeat(40), b"."].concat();
    assert!(matches!(read(&pairs), Ok((Object::List(items), _)) if items.len() == 2));
    // A list in itself.
    assert!(read(b"]q\x00h\x00a.").is_ok());
}
