//! Requests to the Hub: the commit of a branch, its files, and their bytes.

use super::{Environment, Listing};
use crate::Error;
use crate::fetch::Source;
use crate::fetch::answers::{self, Refusal, RemoteFile};
use reqwest::blocking::Response;
use reqwest::header::{LINK, RANGE};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use std::error::Error as _;
use std::io::Read;

/// The most bytes of an answer in JSON. A page of the list has 1,000 files and less than 1 MB.
const MOST_JSON: u64 = 16 << 20;

/// The most pages of a list of files.
const MOST_PAGES: usize = 100;

/// The most redirects of one request.
const MOST_REDIRECTS: usize = 10;

/// A client for one data set on the Hub.
pub(super) struct Client {
    http: reqwest::blocking::Client,
    pub environment: Environment,
    source: Source,
    /// `environment.endpoint`, parsed.
    endpoint: Url,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`Error::Fetch`] if the endpoint is not a web address or TLS cannot be set up.
    pub fn new(environment: Environment, source: Source) -> Result<Self, Error> {
        // Fails if a provider is installed already, for example by an earlier call.
        rustls::crypto::ring::default_provider().install_default().ok();
        let patience = environment.patience;
        let http = reqwest::blocking::Client::builder()
            .user_agent(concat!("gan/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience)
            .timeout(patience)
            .redirect(Policy::custom(|attempt| match check_redirect(attempt.previous(), attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(found) => attempt.error(found),
            }))
            .build();
        let fail = |found: String| {
            let advice = "set it to an address such as https://huggingface.co, or remove it";
            Error::fetch("HF_ENDPOINT", found, advice)
        };
        let http = http.map_err(|error| fail(words(&error)))?;
        let endpoint = Url::parse(&environment.endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.ok_or_else(|| fail(format!("\"{}\" is no web address", environment.endpoint)))?;
        Ok(Self { http, environment, source, endpoint })
    }

    /// The Parquet files at the head of the main branch.
    ///
    /// # Errors
    /// [`Error::Fetch`] if the server cannot be reached, refuses, answers in another form, or names no SHA-256.
    pub fn list(&self) -> Result<Listing, Error> {
        self.try_list().map_err(|refusal| {
            let (Refusal::Passing(found) | Refusal::Final(found)) = refusal;
            let Source { repository, by_hand, .. } = self.source;
            let what = format!("the list of files of {repository} at {}", self.environment.endpoint);
            let network = "check the network (HTTPS_PROXY, HF_ENDPOINT for a mirror) and try again";
            Error::fetch(what, found, format!("{network}, or get the files by hand: {by_hand}"))
        })
    }

    fn try_list(&self) -> Result<Listing, Refusal> {
        let base = format!("{}/api/datasets/{}", self.environment.endpoint, self.source.repository);
        let commit = answers::commit(&whole(self.send(&format!("{base}/revision/main"), None)?)?)?;
        let mut files = Vec::new();
        let mut next = Some(format!("{base}/tree/{commit}?recursive=true"));
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { break };
            let response = self.send(&url, None)?;
            next = self.following(&response)?;
            files.extend(answers::files(&whole(response)?)?);
        }
        if next.is_some() {
            return Err(Refusal::Final(format!("its list has more than {MOST_PAGES} pages")));
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        if files.is_empty() {
            return Err(Refusal::Final("it names no Parquet file with a SHA-256".into()));
        }
        Ok(Listing { commit, files })
    }

    /// Requests the bytes of `file` from number `start` on. The status is 206 if the server sends those, and 200 if it sends all.
    pub fn open(&self, commit: &str, file: &RemoteFile, start: u64) -> Result<Response, Refusal> {
        let base = format!("{}/datasets/{}/resolve/{commit}", self.environment.endpoint, self.source.repository);
        let mut url = Url::parse(&base).map_err(|error| Refusal::Final(error.to_string()))?;
        url.path_segments_mut().map_err(|()| Refusal::Final(base))?.extend(file.path.split('/'));
        self.send(url.as_str(), (start > 0).then(|| format!("bytes={start}-")))
    }

    /// The address of a list's next page, from its `Link` header.
    fn following(&self, response: &Response) -> Result<Option<String>, Refusal> {
        let links = response.headers().get(LINK).and_then(|links| links.to_str().ok()).unwrap_or_default();
        let Some(next) = answers::next_page(links) else { return Ok(None) };
        // It may be relative to the page.
        match response.url().join(next) {
            Ok(url) if url.origin() == self.endpoint.origin() => Ok(Some(url.into())),
            _ => Err(Refusal::Final(format!("its list goes on at \"{next}\", which is another server"))),
        }
    }

    fn send(&self, url: &str, range: Option<String>) -> Result<Response, Refusal> {
        if self.environment.is_offline {
            return Err(Refusal::Final("HF_HUB_OFFLINE is set, and the cache does not have it".into()));
        }
        let url = Url::parse(url).map_err(|error| Refusal::Final(format!("\"{url}\": {error}")))?;
        let mut request = self.http.get(url.clone());
        // Only the Hub gets the token; if it redirects to another server, the client drops it.
        if let (Some(token), true) = (&self.environment.token, url.origin() == self.endpoint.origin()) {
            request = request.bearer_auth(token);
        }
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let response = request.send().map_err(|error| Refusal::Passing(words(&error)))?;
        let status = response.status();
        let answer = format!("it answers {status}");
        match status {
            _ if status.is_success() => Ok(response),
            _ if status.is_server_error() => Err(Refusal::Passing(answer)),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Refusal::Passing(answer)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let asks = "the server asks who you are: accept the data set's terms on its page and set HF_TOKEN";
                Err(Refusal::Final(format!("{answer} ({asks})")))
            }
            _ => Err(Refusal::Final(answer)),
        }
    }
}

/// The body of an answer, at most [`MOST_JSON`] bytes.
fn whole(response: Response) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let read = response.take(MOST_JSON + 1).read_to_end(&mut bytes);
    read.map_err(|error| Refusal::Passing(format!("its answer broke off ({error})")))?;
    if bytes.len() as u64 > MOST_JSON {
        return Err(Refusal::Final(format!("its answer is longer than {MOST_JSON} bytes")));
    }
    Ok(bytes)
}

/// Checks that a request may be redirected from the addresses `previous` to `next`.
fn check_redirect(previous: &[Url], next: &Url) -> Result<(), String> {
    if previous.len() > MOST_REDIRECTS {
        return Err(format!("it redirects more than {MOST_REDIRECTS} times"));
    }
    match next.scheme() {
        "https" => Ok(()),
        "http" if previous.iter().all(|url| url.scheme() == "http") => Ok(()),
        _ => Err(format!("it redirects from an encrypted connection to {next}")),
    }
}

/// The causes of an error; the error itself only says that a request failed.
fn words(error: &reqwest::Error) -> String {
    let causes: Vec<String> =
        std::iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string).collect();
    let words = if causes.is_empty() { error.to_string() } else { causes.join(": ") };
    if error.is_timeout() { format!("no answer in time ({words})") } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(all: &[&str]) -> Vec<Url> {
        all.iter().map(|url| Url::parse(url).unwrap()).collect()
    }

    #[test]
    fn redirects_never_leave_encryption_and_end() {
        let check = |previous: &[&str], next: &str| check_redirect(&urls(previous), &Url::parse(next).unwrap());
        check(&["https://a/x"], "https://b/y").unwrap();
        check(&["http://a/x"], "http://b/y").unwrap();
        check(&["http://a/x"], "https://b/y").unwrap();
        for previous in [&["https://a/x"][..], &["http://a/x", "https://b/y"], &["https://a/x", "https://b/y"]] {
            let message = check(previous, "http://b/z").unwrap_err();
            assert_eq!(message, "it redirects from an encrypted connection to http://b/z");
        }
        assert!(check(&["http://a/x"], "ftp://b/y").is_err());
        assert!(check(&["https://a/x"; 11], "https://a/x").unwrap_err().contains("more than 10 times"));
    }
}
