//! The connection: credentials, service token, time bounds, one retry for reads.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::KeycloakError;
use super::answer::{decode, read, send_once, split};
use super::calls::Calls;
use super::elements::Bounds;
use super::inspect::{LastLogin, issued_at};
use crate::clock::Timestamp;
use crate::config::Realm;

/// The login, among the calls.
const LOGIN: &str = "POST token";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// One call with all that belongs to it: its turn to log in, a renewal of the service token, a second try.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A token is renewed this long before it expires, so that it holds for the call that it is used in.
const RENEW_EARLY: Duration = Duration::from_secs(10);
/// A token is not used for longer, whatever Keycloak says.
const LONGEST_LIFE: Duration = Duration::from_hours(1);

/// How to log in.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A confidential client of a realm, by the client-credentials grant (RFC 6749 §4.4).
    Client {
        /// The realm that the client is in.
        realm: String,
        /// Its `client_id`.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
    },
    /// An administrator, by password, through the client `admin-cli`.
    Administrator {
        /// The realm that the administrator is in.
        realm: String,
        /// The administrator's name.
        username: String,
        /// The administrator's password.
        password: SecretString,
    },
}

/// Keycloak's admin API for one realm. Clones share the connections and the service token.
#[derive(Clone)]
pub struct Keycloak {
    http: reqwest::Client,
    realm: Realm,
    credentials: Arc<Credentials>,
    /// One fetch at a time: a burst of calls after the token's end costs one.
    token: Arc<Mutex<Option<ServiceToken>>>,
    /// What the newest token says.
    login: Arc<RwLock<Option<LastLogin>>>,
    calls: Calls,
}

#[derive(Clone)]
pub(super) struct ServiceToken {
    pub(super) value: SecretString,
    /// Where OpenID Connect was asked for.
    pub(super) id_token: Option<SecretString>,
    renew_at: Instant,
    received_at: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    expires_in: u64,
    id_token: Option<SecretString>,
}

/// The client for all calls to Keycloak: bounded in time, follows no redirect.
#[expect(clippy::disallowed_methods, reason = "this is the home of the HTTP client")]
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(CALL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}

impl Keycloak {
    /// A client for `realm`; it logs in at the first call.
    #[must_use]
    pub fn new(http: reqwest::Client, realm: Realm, credentials: Credentials) -> Self {
        let (token, login, calls) = (Arc::default(), Arc::default(), Calls::default());
        Self { http, realm, credentials: Arc::new(credentials), token, login, calls }
    }

    /// The same, its calls counted from now on.
    #[must_use]
    pub fn counting(self, calls: Calls) -> Self {
        Self { calls, ..self }
    }

    /// The HTTP client behind it.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// GET below the realm's admin resource, as JSON.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, KeycloakError> {
        let request =
            |token: &str| self.http.get(self.admin_url(path)).query(query).bearer_auth(token);
        let call = format!("GET {path}");
        let once = async || decode(&call, self.send(&call, &request).await?).await;
        self.in_time(&call, async {
            match once().await {
                Err(error) if error.may_be_over() => once().await,
                other => other,
            }
        })
        .await
    }

    /// GET of a list whose elements may be large: each is read on its own, as it comes in.
    pub(super) async fn get_each<T>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bounds: Bounds,
        read: impl Fn(&[u8]) -> T + Sync,
    ) -> Result<Vec<T>, KeycloakError> {
        let request =
            |token: &str| self.http.get(self.admin_url(path)).query(query).bearer_auth(token);
        let call = format!("GET {path}");
        let once = async || split(&call, self.send(&call, &request).await?, bounds, &read).await;
        self.in_time(&call, async {
            match once().await {
                Err(error) if error.may_be_over() => once().await,
                other => other,
            }
        })
        .await
    }

    /// GET of a list of which one element may be larger than all that is read of it: that one is `None`.
    pub(super) async fn get_readable<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bounds: Bounds,
    ) -> Result<Vec<Option<T>>, KeycloakError> {
        let read = |element: &[u8]| serde_json::from_slice(element).ok();
        let found: Vec<Option<T>> = self.get_each(path, query, bounds, read).await?;
        let unread = found.iter().filter(|element| element.is_none()).count();
        if unread > 0 {
            tracing::debug!(path, unread, "elements of a list cannot be read");
        }
        Ok(found)
    }

    /// GET, where not finding it is an answer.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>, KeycloakError> {
        match self.get(path, query).await {
            Ok(found) => Ok(Some(found)),
            Err(KeycloakError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// POST, PUT or DELETE with a JSON body. Never repeated: the first may have been carried out.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(), KeycloakError> {
        self.change_with_status(method, path, body).await.map(drop)
    }

    /// As [`Self::change`], where Keycloak's only word for done is 204: the 200 of something else before it is none.
    pub(crate) async fn change_silently(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(), KeycloakError> {
        let call = format!("{method} {path}");
        match self.change_with_status(method, path, body).await? {
            StatusCode::NO_CONTENT => Ok(()),
            status => Err(KeycloakError::Protocol { call, reason: status.to_string() }),
        }
    }

    async fn change_with_status(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<StatusCode, KeycloakError> {
        let request = |token: &str| {
            let request =
                self.http.request(method.clone(), self.admin_url(path)).bearer_auth(token);
            match body {
                Some(body) => request.json(body),
                None => request,
            }
        };
        let call = format!("{method} {path}");
        Ok(self.in_time(&call, self.send(&call, &request)).await?.status())
    }

    /// POST of a new thing: the id at the end of the answer's `Location`. Never repeated.
    pub(crate) async fn create(&self, path: &str, body: &Value) -> Result<String, KeycloakError> {
        let request =
            |token: &str| self.http.post(self.admin_url(path)).bearer_auth(token).json(body);
        let call = format!("POST {path}");
        let answer = self.in_time(&call, self.send(&call, &request)).await?;
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        let id = location.and_then(|location| location.rsplit('/').next());
        let id = id.filter(|id| {
            !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
        let reason = "no `Location` of what was made".to_owned();
        id.map(str::to_owned).ok_or(KeycloakError::Protocol { call, reason })
    }

    /// POST without a body that answers JSON. Never repeated.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, KeycloakError> {
        let call = format!("POST {path}");
        let request = |token: &str| self.http.post(self.admin_url(path)).bearer_auth(token);
        self.in_time(&call, async { decode(&call, self.send(&call, &request).await?).await }).await
    }

    /// The realm that it speaks to.
    pub(super) fn realm(&self) -> &Realm {
        &self.realm
    }

    fn admin_url(&self, path: &str) -> String {
        format!("{}{path}", self.realm.admin_url())
    }

    /// Logs in anew for the next call. What Keycloak lets a service account do seems to be written in its token:
    /// a role that is given back shows with the next one.
    pub async fn forget_login(&self) {
        *self.token.lock().await = None;
    }

    /// Sends with the service token; renews it once when Keycloak does not know it any more.
    async fn send(
        &self,
        call: &str,
        request: &(dyn Fn(&str) -> RequestBuilder + Sync),
    ) -> Result<Response, KeycloakError> {
        let token = self.service_token(None).await?;
        let mut answer = send_once(call, request(token.expose_secret())).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let token = self.service_token(Some(&token)).await?;
            answer = send_once(call, request(token.expose_secret())).await?;
        }
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = read(call, answer).await.unwrap_or_default();
        Err(KeycloakError::from_status(call.to_owned(), status, &String::from_utf8_lossy(&body)))
    }

    /// The service token; a new one where it is about to expire or is the `refused` one.
    async fn service_token(
        &self,
        refused: Option<&SecretString>,
    ) -> Result<SecretString, KeycloakError> {
        Ok(self.current_token(refused).await?.value)
    }

    async fn current_token(
        &self,
        refused: Option<&SecretString>,
    ) -> Result<ServiceToken, KeycloakError> {
        let mut token = self.token.lock().await;
        if let Some(known) = token.as_ref() {
            let is_refused =
                refused.is_some_and(|value| value.expose_secret() == known.value.expose_secret());
            if !is_refused && Instant::now() < known.renew_at {
                return Ok(known.clone());
            }
        }
        Ok(token.insert(self.log_in(&[]).await?).clone())
    }

    /// The time by Keycloak's own clock, or a few seconds before it: from when it issued the service token.
    pub async fn now(&self) -> Result<Timestamp, KeycloakError> {
        let token = timeout(CALL_TIMEOUT, self.current_token(None));
        let token = token.await.unwrap_or_else(|_| {
            Err(KeycloakError::Unavailable(format!("{LOGIN}: not done within {CALL_TIMEOUT:?}")))
        })?;
        Ok(issued_at(&token.value)?.plus(token.received_at.elapsed()))
    }

    pub(super) async fn log_in(
        &self,
        extra: &[(&str, &str)],
    ) -> Result<ServiceToken, KeycloakError> {
        let begun = Instant::now();
        let outcome = self.ask_for_token(extra).await;
        self.calls.count(LOGIN, outcome.as_ref().err(), begun.elapsed());
        let login = outcome.as_ref().ok().and_then(|token| LastLogin::read(&token.value).ok());
        if let Some(login) = login {
            *self.login.write().unwrap_or_else(PoisonError::into_inner) = Some(login);
        }
        outcome
    }

    /// What the newest token for our own account says, unchecked: it comes from the realm itself.
    #[must_use]
    pub fn last_login(&self) -> Option<LastLogin> {
        self.login.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask_for_token(&self, extra: &[(&str, &str)]) -> Result<ServiceToken, KeycloakError> {
        let (realm, mut form) = match &*self.credentials {
            Credentials::Client { realm, client_id, client_secret } => (
                realm,
                vec![
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id.as_str()),
                    ("client_secret", client_secret.expose_secret()),
                ],
            ),
            Credentials::Administrator { realm, username, password } => (
                realm,
                vec![
                    ("grant_type", "password"),
                    ("client_id", "admin-cli"),
                    ("username", username.as_str()),
                    ("password", password.expose_secret()),
                ],
            ),
        };
        form.extend(extra);
        let url = format!("{}/protocol/openid-connect/token", self.realm.sibling_url(realm));
        let asked_at = Instant::now();
        let answer = send_once(LOGIN, self.http.post(url).form(&form)).await?;
        let status = answer.status();
        if !status.is_success() {
            let body = read(LOGIN, answer).await.unwrap_or_default();
            let body = String::from_utf8_lossy(&body);
            return Err(KeycloakError::from_login(LOGIN, status, &body));
        }
        let token: TokenAnswer = decode(LOGIN, answer).await?;
        let life =
            Duration::from_secs(token.expires_in).min(LONGEST_LIFE).saturating_sub(RENEW_EARLY);
        let (value, id_token) = (token.access_token, token.id_token);
        let (renew_at, received_at) = (asked_at + life, Instant::now());
        Ok(ServiceToken { value, id_token, renew_at, received_at })
    }

    /// Ends what takes too long, also what only waits for its turn behind others who wait; and counts it.
    pub(super) async fn in_time<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, KeycloakError>>,
    ) -> Result<T, KeycloakError> {
        let begun = Instant::now();
        let outcome = timeout(CALL_TIMEOUT, work).await.unwrap_or_else(|_| {
            Err(KeycloakError::Unavailable(format!("{call}: not done within {CALL_TIMEOUT:?}")))
        });
        self.calls.count(call, outcome.as_ref().err(), begun.elapsed());
        outcome
    }
}
