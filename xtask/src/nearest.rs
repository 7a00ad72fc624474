//! What a mistyped name most likely meant.

/// The candidate with the fewest edits from `word`; the first of equals.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> &'a str {
    candidates.iter().copied().min_by_key(|candidate| edits(word, candidate)).unwrap_or_default()
}

/// The Levenshtein distance: letters put in, left out or changed. `row[j]` is the distance of what was read of `a` to `b[..j]`.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for x in a.chars() {
        let mut diagonal = row[0];
        row[0] += 1;
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, distance) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ci", "ci", 0)]
        {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_wins() {
        let commands = ["train", "test", "bench"];
        assert_eq!(nearest("tain", &commands), "train");
        assert_eq!(nearest("tests", &commands), "test");
        assert_eq!(nearest("", &[]), "");
    }
}
