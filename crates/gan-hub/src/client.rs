//! Requests to the Hub: the commit of a branch, its files, their bytes, and what an upload sends.

use crate::answers::{self, Refusal, RemoteFile};
use crate::{Environment, Error, Listing, Repository};
use reqwest::blocking::{Client as HttpClient, RequestBuilder, Response};
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

/// A client of the Hub.
pub(crate) struct Client {
    http: HttpClient,
    pub environment: Environment,
    /// `environment.endpoint`, parsed.
    endpoint: Url,
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// [`Error::Refused`] if the endpoint is not a web address or TLS cannot be set up.
    pub fn new(environment: Environment) -> Result<Self, Error> {
        // Fails if a provider is installed already, for example by an earlier call.
        rustls::crypto::ring::default_provider().install_default().ok();
        let patience = environment.patience;
        let http = HttpClient::builder()
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
            Error::refused("HF_ENDPOINT", found, advice)
        };
        let http = http.map_err(|error| fail(words(&error)))?;
        let endpoint = Url::parse(&environment.endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let endpoint = endpoint.ok_or_else(|| fail(format!("\"{}\" is no web address", environment.endpoint)))?;
        Ok(Self { http, environment, endpoint })
    }

    /// The files with this ending at the head of the main branch.
    ///
    /// # Errors
    /// [`Error::Refused`] if the server cannot be reached, refuses, answers in another form, or names no SHA-256.
    pub fn list(&self, repository: &Repository, ending: &str) -> Result<Listing, Error> {
        self.try_list(repository, ending).map_err(|refusal| self.failed("the list of files of", repository, refusal))
    }

    /// The hashes of all files at the head of the main branch, by path; none if there is no such repository or branch.
    ///
    /// # Errors
    /// [`Refusal`] if the server cannot be reached, refuses, or answers in another form.
    pub fn hashes(&self, repository: &Repository) -> Result<Vec<(String, String)>, Refusal> {
        let mut found = vec![];
        self.pages(format!("{}/tree/main?recursive=true", self.api(repository)), |page| {
            found.extend(answers::hashes(page)?);
            Ok(())
        })?;
        Ok(found)
    }

    fn try_list(&self, repository: &Repository, ending: &str) -> Result<Listing, Refusal> {
        let base = self.api(repository);
        let commit = answers::commit(&whole(self.get(&format!("{base}/revision/main"), None)?)?)?;
        let mut files = Vec::new();
        self.pages(format!("{base}/tree/{commit}?recursive=true"), |page| {
            files.extend(answers::files(page, ending)?);
            Ok(())
        })?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        if files.is_empty() {
            return Err(Refusal::Final(format!("it names no {ending} file with a SHA-256")));
        }
        Ok(Listing { commit, files })
    }

    /// Calls `read` for each page of a list.
    fn pages(&self, first: String, mut read: impl FnMut(&[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let mut next = Some(first);
        for _ in 0..MOST_PAGES {
            let Some(url) = next.take() else { break };
            let response = self.get(&url, None)?;
            next = self.following(&response)?;
            read(&whole(response)?)?;
        }
        match next {
            Some(_) => Err(Refusal::Final(format!("its list has more than {MOST_PAGES} pages"))),
            None => Ok(()),
        }
    }

    /// Returns the error of a request about a repository.
    pub fn failed(&self, what: &str, repository: &Repository, refusal: Refusal) -> Error {
        let (Refusal::Passing(found) | Refusal::Final(found)) = refusal;
        let what = format!("{what} {repository} at {}", self.environment.endpoint);
        Error::refused(what, found, "check the network (HTTPS_PROXY, HF_ENDPOINT for a mirror) and try again")
    }

    /// Returns the address of a repository's part of the API.
    pub fn api(&self, repository: &Repository) -> String {
        format!("{}/{}", self.environment.endpoint, repository.api())
    }

    /// Requests the bytes of `file` from number `start` on. The status is 206 if the server sends those, and 200 if it sends all.
    pub fn open(
        &self,
        repository: &Repository,
        commit: &str,
        file: &RemoteFile,
        start: u64,
    ) -> Result<Response, Refusal> {
        let base = format!("{}/{}/resolve/{commit}", self.environment.endpoint, repository.page());
        let mut url = Url::parse(&base).map_err(|error| Refusal::Final(error.to_string()))?;
        url.path_segments_mut().map_err(|()| Refusal::Final(base))?.extend(file.path.split('/'));
        self.get(url.as_str(), (start > 0).then(|| format!("bytes={start}-")))
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

    fn get(&self, url: &str, range: Option<String>) -> Result<Response, Refusal> {
        self.send(url, |http, url| match range {
            Some(range) => http.get(url).header(RANGE, range),
            None => http.get(url),
        })
    }

    /// Sends a request, which `make` begins, and returns the answer if the request succeeded.
    pub fn send(&self, url: &str, make: impl FnOnce(&HttpClient, Url) -> RequestBuilder) -> Result<Response, Refusal> {
        checked(self.answer(url, make)?)
    }

    /// Sends a request, with the token if it goes to the Hub itself, and returns the answer.
    pub fn answer(
        &self,
        url: &str,
        make: impl FnOnce(&HttpClient, Url) -> RequestBuilder,
    ) -> Result<Response, Refusal> {
        if self.environment.is_offline {
            return Err(Refusal::Final("HF_HUB_OFFLINE is set, and the cache does not have it".into()));
        }
        let url = Url::parse(url).map_err(|error| Refusal::Final(format!("\"{url}\": {error}")))?;
        let mut request = make(&self.http, url.clone());
        // Only the Hub gets the token; if it redirects to another server, the client drops it.
        if let (Some(token), true) = (&self.environment.token, url.origin() == self.endpoint.origin()) {
            request = request.bearer_auth(token);
        }
        request.send().map_err(|error| Refusal::Passing(words(&error)))
    }
}

/// Returns the answer if the request succeeded.
pub(crate) fn checked(response: Response) -> Result<Response, Refusal> {
    let status = response.status();
    let said = response.headers().get("x-error-message").and_then(|said| said.to_str().ok());
    let answer = said.map_or_else(|| format!("it answers {status}"), |said| format!("it answers {status}: {said}"));
    match status {
        _ if status.is_success() => Ok(response),
        _ if status.is_server_error() => Err(Refusal::Passing(answer)),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Refusal::Passing(answer)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let asks = "the server asks who you are: accept the terms on the repository's page and set HF_TOKEN, to upload one that may write";
            Err(Refusal::Final(format!("{answer} ({asks})")))
        }
        _ => Err(Refusal::Final(answer)),
    }
}

/// The body of an answer, at most [`MOST_JSON`] bytes.
pub(crate) fn whole(response: Response) -> Result<Vec<u8>, Refusal> {
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
