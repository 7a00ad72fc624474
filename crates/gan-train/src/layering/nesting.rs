//! TOML read with a limit on how deeply its tables and lists stand in each other: whatever walks over them is recursive, the parser
//! included.

use toml::{Table, Value};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Nesting beyond this is taken for a mistake; networks of the deepest residual blocks that there may be stay below it.
const DEEPEST: usize = 64;

/// Why a text cannot be read.
#[derive(Debug)]
pub enum Problem {
    /// It nests tables and lists more than [`DEEPEST`] deep.
    TooDeep,
    /// It is not TOML.
    Syntax(toml::de::Error),
}

/// What to say about nesting that is too deep.
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

/// Whether more than `limit` brackets are open at once. The parser follows them even in text that is not TOML, where its own limit
/// does not always hold. A bracket that closes another kind closes nothing.
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

/// Whether more than `limit` tables and lists stand in each other. Looks no deeper than that.
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
