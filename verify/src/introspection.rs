//! Asking Hallpass whether a token is still good (RFC 7662).
//!
//! 1. Whoever comes within a second after a question was begun gets its answer, also while it is under
//!    way: one question for many requests, and a revocation is seen a second later at most.
//! 2. What is remembered is an answer under the SHA-256 of the whole token and the caller's address;
//!    never the token. There is an end to how many are.
//! 3. No answer is no: a Hallpass that is away, slow or answers something else lets nobody in.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout};
use url::Url;

/// How long after it was begun a question serves others.
const REMEMBERED: Duration = Duration::from_secs(1);
/// A question with its second try.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of a token that is good Hallpass says all claims; a token has 16 KiB at most.
const MAX_BODY: usize = 64 * 1024;
/// How many answers a generation holds; there are two.
const MAX_ANSWERS: usize = 10_000;

/// Where and as whom to ask about tokens. Clones share what is remembered.
#[derive(Clone)]
pub struct Introspection {
    shared: Arc<Shared>,
}

struct Shared {
    http: reqwest::Client,
    url: Url,
    client_id: String,
    client_secret: String,
    questions: Mutex<Generations>,
    /// Said once, and not for each request.
    failing: AtomicBool,
}

/// What was said of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Active,
    Inactive,
    /// Nobody can tell now.
    Unavailable,
}

type Key = ([u8; 32], Option<IpAddr>);

#[derive(Clone)]
struct Question {
    begun: Instant,
    answer: Arc<OnceCell<Answer>>,
}

/// Old questions are dropped together, so that none is ever looked for.
struct Generations {
    since: Instant,
    new: HashMap<Key, Question>,
    old: HashMap<Key, Question>,
}

/// Why there is no answer. Names no address.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the introspection endpoint could not be reached")]
    Request(#[source] reqwest::Error),
    #[error("the introspection endpoint did not answer in time")]
    Late,
    #[error("the introspection endpoint refuses the credentials of this service")]
    Refused,
    #[error("the introspection endpoint answered {0}")]
    Status(StatusCode),
    #[error("the introspection endpoint's answer is not one")]
    Malformed,
}

impl From<reqwest::Error> for AskError {
    fn from(error: reqwest::Error) -> Self {
        Self::Request(error.without_url())
    }
}

/// All that counts: what else is said of the token stands in the token.
#[derive(Deserialize)]
struct Body {
    active: bool,
}

impl Introspection {
    /// Asks at `url` (`{public_url}/oauth2/introspect` of Hallpass) with the credentials of a realm
    /// client whose service account holds `introspect-tokens`. Give an `http` that follows no
    /// redirects: they would take the secret along. A question takes 3 s at most.
    #[must_use]
    pub fn new(
        http: reqwest::Client,
        url: Url,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        let (client_id, client_secret) = (client_id.into(), client_secret.into());
        let now = Instant::now();
        let questions = Generations { since: now, new: HashMap::new(), old: HashMap::new() };
        let (questions, failing) = (Mutex::new(questions), AtomicBool::new(false));
        let shared = Shared { http, url, client_id, client_secret, questions, failing };
        Self { shared: Arc::new(shared) }
    }

    /// What Hallpass says of `token`, now or up to a second ago, for a caller at `address`.
    pub(crate) async fn ask(&self, token: &str, address: Option<IpAddr>) -> Answer {
        let question = self.shared.question(token, address);
        // Who hangs up stops the question; the next who waits for it asks anew.
        *question.answer.get_or_init(|| self.shared.ask(token, address)).await
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { url, client_id, .. } = &*self.shared;
        let mut shown = f.debug_struct("Introspection");
        shown.field("url", &url.as_str()).field("client_id", client_id).finish_non_exhaustive()
    }
}

impl Shared {
    fn question(&self, token: &str, address: Option<IpAddr>) -> Question {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.get((hash, address), Instant::now())
    }

    async fn ask(&self, token: &str, address: Option<IpAddr>) -> Answer {
        let asked = timeout(PATIENCE, self.ask_twice(token, address)).await;
        match asked.unwrap_or(Err(AskError::Late)) {
            Ok(active) => {
                self.failing.store(false, Ordering::Relaxed);
                if active { Answer::Active } else { Answer::Inactive }
            }
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "tokens cannot be introspected: none is let in");
                }
                Answer::Unavailable
            }
        }
    }

    /// A connection that Hallpass closed while idle fails at its first use.
    async fn ask_twice(&self, token: &str, address: Option<IpAddr>) -> Result<bool, AskError> {
        match self.ask_once(token, address).await {
            Err(AskError::Request(_)) => self.ask_once(token, address).await,
            other => other,
        }
    }

    async fn ask_once(&self, token: &str, address: Option<IpAddr>) -> Result<bool, AskError> {
        // The credentials stand in the body: how Basic writes other than plain letters is not the same everywhere.
        let mut form = vec![
            ("token", token.to_owned()),
            ("token_type_hint", "access_token".to_owned()),
            ("client_id", self.client_id.clone()),
            ("client_secret", self.client_secret.clone()),
        ];
        form.extend(address.map(|address| ("client_ip", address.to_string())));
        let answer = self.http.post(self.url.clone()).form(&form).send().await?;
        match answer.status() {
            StatusCode::OK => read(answer).await,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(AskError::Refused),
            status => Err(AskError::Status(status)),
        }
    }
}

async fn read(mut answer: Response) -> Result<bool, AskError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(AskError::Malformed);
        }
        body.extend_from_slice(&chunk);
    }
    let body: Body = serde_json::from_slice(&body).map_err(|_| AskError::Malformed)?;
    Ok(body.active)
}

impl Generations {
    /// The question that is to be asked, or was begun a moment ago.
    fn get(&mut self, key: Key, now: Instant) -> Question {
        let known = self.new.get(&key).or_else(|| self.old.get(&key));
        if let Some(known) = known.filter(|known| now < known.begun + REMEMBERED) {
            return known.clone();
        }
        if now >= self.since + REMEMBERED || self.new.len() >= MAX_ANSWERS {
            self.old = std::mem::take(&mut self.new);
            self.since = now;
        }
        let question = Question { begun: now, answer: Arc::default() };
        self.new.insert(key, question.clone());
        question
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        (key, None)
    }

    fn generations(now: Instant) -> Generations {
        Generations { since: now, new: HashMap::new(), old: HashMap::new() }
    }

    fn is_same(one: &Question, other: &Question) -> bool {
        Arc::ptr_eq(&one.answer, &other.answer)
    }

    #[test]
    fn a_question_serves_others_for_a_second_from_its_beginning() {
        let begun = Instant::now();
        let mut questions = generations(begun);
        let first = questions.get(key(1), begun);
        let almost = begun + REMEMBERED - Duration::from_millis(1);
        assert!(is_same(&first, &questions.get(key(1), almost)));
        let next = questions.get(key(1), begun + REMEMBERED);
        assert!(!is_same(&first, &next));
        // From the next one's own beginning, whatever generation it is in.
        let later = begun + REMEMBERED + Duration::from_millis(999);
        questions.get(key(2), later);
        assert!(is_same(&next, &questions.get(key(1), later)));
        assert!(!is_same(&next, &questions.get(key(1), begun + 2 * REMEMBERED)));
    }

    #[test]
    fn other_tokens_and_other_addresses_are_other_questions() {
        let now = Instant::now();
        let mut questions = generations(now);
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        let first = questions.get(key(1), now);
        assert!(!is_same(&first, &questions.get(key(2), now)));
        assert!(!is_same(&first, &questions.get((key(1).0, address), now)));
    }

    #[test]
    fn there_is_an_end_to_what_is_remembered() {
        let now = Instant::now();
        let mut questions = generations(now);
        for number in 0..100_000 {
            questions.get(key(number), now);
            assert!(questions.new.len() + questions.old.len() <= 2 * MAX_ANSWERS);
        }
        // The latest are still there.
        let last = questions.get(key(99_999), now);
        assert!(is_same(&last, &questions.get(key(99_999), now)));
    }

    #[test]
    fn a_secret_is_not_shown() {
        #[expect(clippy::disallowed_methods, reason = "nothing is sent")]
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = "https://hallpass.test/oauth2/introspect".parse().unwrap();
        let shown = format!("{:?}", Introspection::new(http, url, "reports", "s3cr3t"));
        assert!(shown.contains("reports") && !shown.contains("s3cr3t"), "{shown}");
    }
}
