//! Parsing the Hub's answers: the commit of a branch, its files, and the next page of a list.

use serde::Deserialize;

/// The most bytes of one file; the Hub itself takes no larger ones.
const MOST_FILE: u64 = 500_000_000_000;

/// One file on the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its path in the repository.
    pub path: String,
    /// Its number of bytes.
    pub size: u64,
    /// Its SHA-256: 64 hexadecimal digits.
    pub sha256: String,
}

/// Why a request failed, and whether it makes sense to try again.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The connection or the server failed temporarily.
    Passing(String),
    /// The answer will be the same next time.
    Final(String),
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    /// Git's hash.
    oid: Option<String>,
    /// Only files in Git LFS have it, and every large file is one.
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    /// The SHA-256 of the file's bytes.
    oid: String,
    size: u64,
}

/// Returns the commit that an answer about a branch names.
///
/// # Errors
/// [`Refusal`], if it names none.
pub fn commit(answer: &[u8]) -> Result<String, Refusal> {
    let commit = json::<Revision>(answer)?.sha;
    if !is_commit(&commit) {
        return Err(Refusal::Final(format!("it names \"{commit}\" as the commit, which is not the hash of a commit")));
    }
    Ok(commit)
}

/// Whether `text` can be the hash of a commit. It is part of paths, so it must not contain anything but digits.
pub fn is_commit(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Returns the files in a page of a list whose path ends with `ending` and that have a SHA-256 and a path inside the repository.
///
/// # Errors
/// [`Refusal`], if the page is no list of files.
pub fn files(answer: &[u8], ending: &str) -> Result<Vec<RemoteFile>, Refusal> {
    let remote = |entry| remote(entry, ending);
    Ok(json::<Vec<Entry>>(answer)?.into_iter().filter_map(remote).collect())
}

/// Returns the address of a list's next page in the value of a `Link` header, relative or not.
pub fn next_page(links: &str) -> Option<&str> {
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    Some(next.split_once('<')?.1.split_once('>')?.0)
}

pub(crate) fn json<T: for<'de> Deserialize<'de>>(answer: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(answer).map_err(|error| Refusal::Passing(format!("its answer is not as expected ({error})")))
}

/// Returns the hashes of all files in a page of a list, by path: the SHA-256 of large files, git's hash of others.
///
/// # Errors
/// [`Refusal`], if the page is no list of files.
pub fn hashes(answer: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let hash = |entry: Entry| Some((entry.path, entry.lfs.map(|lfs| lfs.oid).or(entry.oid)?));
    Ok(json::<Vec<Entry>>(answer)?.into_iter().filter_map(hash).collect())
}

/// Returns whether `text` is a SHA-256 in hexadecimal digits.
fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn remote(entry: Entry, ending: &str) -> Option<RemoteFile> {
    let lfs = entry.lfs?;
    let inside = entry.path.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\\'));
    let wanted = is_sha256(&lfs.oid) && inside && lfs.size <= MOST_FILE && entry.path.ends_with(ending);
    wanted.then(|| RemoteFile { path: entry.path, size: lfs.size, sha256: lfs.oid.to_ascii_lowercase() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_files_inside_the_repository_are_listed() {
        let page = |path: &str, oid: &str, size: u64| {
            format!(r#"[{{"path":"{path}","lfs":{{"oid":"{oid}","size":{size}}}}},{{"path":"README.md"}}]"#)
        };
        let sum = "AB".repeat(32);
        let found = |path: &str, oid: &str, size: u64| files(page(path, oid, size).as_bytes(), ".parquet").unwrap();
        let file = RemoteFile { path: "a/b.parquet".into(), size: 3, sha256: "ab".repeat(32) };
        assert_eq!(found("a/b.parquet", &sum, 3), [file]);
        for path in ["../b.parquet", "/b.parquet", "a//b.parquet", "a\\\\b.parquet", "b.zip"] {
            assert_eq!(found(path, &sum, 3), [], "{path}");
        }
        assert_eq!((found("b.parquet", "ab", 3), found("b.parquet", &sum, u64::MAX)), (vec![], vec![]));
        assert!(files(b"{}", "").is_err());
        let page = format!(r#"[{{"path":"a","oid":"11","lfs":{{"oid":"{sum}","size":1}}}},{{"path":"b","oid":"22"}}]"#);
        assert_eq!(hashes(page.as_bytes()).unwrap(), [("a".into(), sum), ("b".into(), "22".into())]);
    }

    #[test]
    fn commits_are_hexadecimal_and_links_have_their_brackets() {
        assert_eq!(commit(br#"{"sha":"0aF"}"#), Ok("0aF".into()));
        assert!(commit(br#"{"sha":"../x"}"#).is_err() && commit(br#"{"sha":""}"#).is_err());
        assert_eq!(next_page("<a>; rel=\"last\", <b>; rel=\"next\""), Some("b"));
        assert_eq!(next_page("> rel=\"next\" <"), None);
    }
}
