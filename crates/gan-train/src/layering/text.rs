//! Text of settings: the files and encodings that are permitted, and TOML with a limit on nesting, because everything that walks over tables
//! and lists is recursive, including the parser.

use gan_base::regular_file;
use std::io::Read;
use std::path::Path;
use toml::{Table, Value};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Maximum size of a settings file in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Reads the bytes of a settings file: a regular file, or the shell's `/dev/stdin` or `/dev/fd/N`.
pub fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("/dev/stdin") && !path.starts_with("/dev/fd") {
        return regular_file::read(path, MOST_BYTES);
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Decodes UTF-8, or UTF-16 as PowerShell's `>` writes it, with or without a byte order mark.
pub fn decode(bytes: Vec<u8>) -> Option<String> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        if bytes.len().is_multiple_of(2) { String::from_utf16(&units).ok() } else { None }
    };
    match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

/// Reads `text` as TOML, with the problem in words.
pub fn parse(text: &str) -> Result<Table, String> {
    read(text).map_err(|problem| {
        let e = match problem {
            Problem::TooDeep => return TOO_DEEP.into(),
            Problem::Syntax(e) => e,
        };
        let said = e.to_string();
        let line = e.span().and_then(|span| text.get(..span.start)).map_or(0, |before| before.matches('\n').count());
        let line = text.lines().nth(line).unwrap_or_default();
        let path = if line.contains("= \"") && line.contains('\\') {
            ". A backslash begins an escape in \"…\": write a path with / or in single quotes, '…'"
        } else {
            ""
        };
        format!("is not TOML: {}{path}", said.trim_end().trim_start_matches("TOML parse error "))
    })
}

/// Maximum nesting depth. Networks with the deepest permitted residual blocks stay below it.
const DEEPEST: usize = 64;

/// Reason why a text cannot be read.
#[derive(Debug)]
pub enum Problem {
    /// Tables and lists are nested more than [`DEEPEST`] deep.
    TooDeep,
    /// The text is not TOML.
    Syntax(toml::de::Error),
}

/// Message about nesting that is too deep.
pub const TOO_DEEP: &str = "has tables and lists nested more than 64 deep: no setting is";

/// Reads `text` as TOML.
pub fn read(text: &str) -> Result<Table, Problem> {
    if opens_deeper_than(text, DEEPEST) {
        return Err(Problem::TooDeep);
    }
    let table: Table = text.parse().map_err(Problem::Syntax)?;
    // Dotted keys nest without brackets.
    match table.values().any(|value| nests_deeper_than(value, DEEPEST)) {
        true => Err(Problem::TooDeep),
        false => Ok(table),
    }
}

/// Returns whether more than `limit` brackets are open at once. The parser follows brackets even in text that is not TOML, where its own
/// limit does not always hold. A bracket of the wrong kind closes nothing.
fn opens_deeper_than(text: &str, limit: usize) -> bool {
    let mut open = Vec::new();
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::LeftCurlyBracket => open.push(TokenKind::RightCurlyBracket),
            TokenKind::LeftSquareBracket => open.push(TokenKind::RightSquareBracket),
            kind => drop(open.pop_if(|wanted| *wanted == kind)),
        }
        if open.len() > limit {
            return true;
        }
    }
    false
}

/// Returns whether tables and lists are nested more than `limit` deep. Looks no deeper than that.
fn nests_deeper_than(value: &Value, limit: usize) -> bool {
    let mut inside: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Table(table) => Box::new(table.values()),
        Value::Array(list) => Box::new(list.iter()),
        _ => return false,
    };
    limit.checked_sub(1).is_none_or(|limit| inside.any(|value| nests_deeper_than(value, limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_encoding_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let text = "preset = \"dcgan-mnist\"\ndescription = \"für mich\"\n";
        let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [&b"\xff\xfe"[..], &wide(u16::to_le_bytes)].concat(),
            [&b"\xfe\xff"[..], &wide(u16::to_be_bytes)].concat(),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(
                crate::layering::read(crate::layering::from_file(&path).unwrap()).unwrap().description,
                "für mich"
            );
        }
        std::fs::write(&path, b"\xff\xfea").unwrap();
        assert!(crate::layering::from_file(&path).unwrap_err().to_string().contains("is not text"));
    }

    #[test]
    fn backslashes_in_paths_are_explained() {
        let message = parse("[data]\nname = \"folder\"\ndir = \"C:\\Users\\me\"\n").unwrap_err();
        assert!(message.contains("write a path with / or in single quotes"), "{message}");
        let message = parse("[data\nname = \"folder\"\n").unwrap_err();
        assert!(!message.contains("single quotes"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn settings_files_that_never_end_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let message = crate::layering::from_file(&path).unwrap_err().to_string();
        assert!(message.contains("it is a character device, not a regular file"), "{message}");
        std::fs::remove_file(&path).unwrap();
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(crate::layering::from_file(&path).unwrap_err().to_string().contains("bytes or more"));
    }

    #[test]
    fn brackets_in_text_and_pairs_do_not_count() {
        let text = "a = \"[[[\" # {{{\nb = [[1], [2], { c = '[' }]\n[d]\n[[e]]\n";
        assert!(opens_deeper_than(text, 1) && !opens_deeper_than(text, 2));
        read(text).unwrap();
        assert!(opens_deeper_than("{ ] { ] {", 2));
    }

    #[test]
    fn text_that_is_not_toml_cannot_exhaust_the_stack() {
        let broken = "g = { { m = 3 }".repeat(100_000);
        assert!(matches!(read(&broken), Err(Problem::TooDeep)));
        assert!(matches!(read(&"x = [".repeat(100_000)), Err(Problem::TooDeep)));
        assert!(matches!(read("x = ["), Err(Problem::Syntax(_))));
    }

    #[test]
    fn values_and_keys_may_be_as_deep_as_the_limit() {
        let list = |depth: usize| format!("x = {}{}", "[".repeat(depth), "]".repeat(depth));
        let keys = |depth: usize| format!("{}x = 1", "a.".repeat(depth));
        assert!(read(&list(DEEPEST)).is_ok() && read(&keys(DEEPEST)).is_ok());
        assert!(read(&list(DEEPEST + 1)).is_err() && read(&keys(DEEPEST + 1)).is_err());
    }
}
