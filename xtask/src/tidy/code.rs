//! Rust source without its comments, strings and characters: what remains is code, on the same lines.

/// The source with everything that is no code replaced by spaces. Line breaks stay.
pub fn only(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = not_code(rest);
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..skipped].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skipped..];
        }
    }
    out
}

/// How many bytes at the start are a comment, a string or a character; 0 where code goes on. The `b` and `c` of `b"…"`
/// and `c"…"` count as code, which does no harm. No name ends before a quote or `#"`, so an `r` there starts a raw string.
fn not_code(rest: &str) -> usize {
    match rest.as_bytes() {
        [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => string(rest),
        [b'r', b'"' | b'#', ..] => raw_string(rest),
        [b'\'', ..] => character(rest),
        _ => 0,
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return at + 1,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`; 0 for a raw name such as `r#type`.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    let body = 1 + hashes + 1;
    if rest.as_bytes().get(body - 1) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len())
}

/// `'x'`, `'\n'`, `'\u{1F600}'`; 0 for a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            rest[from..].find('\'').map_or(rest.len(), |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_goes() {
        for (source, wanted) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"a "b \" // c" d"#, "a             d"),
            ("a r#\"b\"c\"# d", "a          d"),
            (r#"a br"b\" c"#, "a b      c"),
            ("r#type r", "r#type r"),
            ("'a' 'b", "    'b"),
            (r"'\'' 'x", "     'x"),
            (r"'\u{1F600}' x", "            x"),
            ("<'a, 'b>(&'a str)", "<'a, 'b>(&'a str)"),
            ("'é' x", "    x"),
            ("\"x\ny\" z", "  \n   z"),
        ] {
            assert_eq!(only(source), wanted, "{source}");
        }
    }

    #[test]
    fn what_never_ends_is_taken_to_the_end() {
        for source in ["\"abc", "/* abc", "r#\"abc\"", "'\\", "\"abc\\", "'"] {
            assert_eq!(only(source).len(), source.len(), "{source}");
        }
    }
}
