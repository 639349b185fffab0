//! Keys that sign, tokens, and a key endpoint that misbehaves on request.

use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hallpass_verify::{
    Claims, DigestedToken, KeySet, Rejection, Rules, VerificationKey, verify_parsed,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(crate) const ISSUER: &str = "https://sso.test/realms/demo";
pub(crate) const AUDIENCE: &str = "datahub";
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

pub(crate) static RSA: LazyLock<Signer> = LazyLock::new(rsa);
pub(crate) static OTHER_RSA: LazyLock<Signer> = LazyLock::new(rsa);
pub(crate) static P256: LazyLock<Signer> =
    LazyLock::new(|| Signer::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()));
pub(crate) static P384: LazyLock<Signer> =
    LazyLock::new(|| Signer::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap()));
pub(crate) static ED25519: LazyLock<Signer> =
    LazyLock::new(|| Signer::Ed(Ed25519KeyPair::generate().unwrap()));

fn rsa() -> Signer {
    Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

impl Signer {
    /// The public part, without `alg`, `use` and the like.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let n = encode(public.modulus().big_endian_without_leading_zero());
                let e = encode(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "kid": kid, "n": n, "e": e })
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..]
                    .split_at((pair.public_key().as_ref().len() - 1) / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({ "kty": "EC", "kid": kid, "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Self::Ed(pair) => {
                let x = encode(pair.public_key().as_ref());
                json!({ "kty": "OKP", "kid": kid, "crv": "Ed25519", "x": x })
            }
        }
    }

    /// The key as a verifier has it, under the name `k`.
    pub(crate) fn public(&self) -> VerificationKey {
        only_key(&self.jwk("k"))
    }

    pub(crate) fn sign(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(alg), &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of any header and payload, signed as `alg` whatever the header says.
    pub(crate) fn token(&self, alg: &str, header: &[u8], payload: &[u8]) -> String {
        let signing_input = format!("{}.{}", encode(header), encode(payload));
        let signature = self.sign(alg, signing_input.as_bytes());
        format!("{signing_input}.{}", encode(signature))
    }
}

fn rsa_encoding(alg: &str) -> &'static dyn RsaEncoding {
    match alg {
        "RS256" => &RSA_PKCS1_SHA256,
        "RS384" => &RSA_PKCS1_SHA384,
        "RS512" => &RSA_PKCS1_SHA512,
        "PS256" => &RSA_PSS_SHA256,
        "PS384" => &RSA_PSS_SHA384,
        "PS512" => &RSA_PSS_SHA512,
        _ => panic!("not an RSA algorithm: {alg}"),
    }
}

pub(crate) fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

pub(crate) fn only_key(jwk: &Value) -> VerificationKey {
    let set = key_set(&[jwk]);
    set.find(jwk["kid"].as_str().unwrap()).unwrap().clone()
}

pub(crate) fn key_set(jwks: &[&Value]) -> KeySet {
    KeySet::from_json(jwks_json(jwks).as_bytes()).unwrap()
}

pub(crate) fn jwks_json(jwks: &[&Value]) -> String {
    json!({ "keys": jwks }).to_string()
}

/// The outcome, which is the same for a token whose digest was made already.
pub(crate) fn verify(
    token: &str,
    key: &VerificationKey,
    rules: &Rules,
    now: i64,
) -> Result<Claims, Rejection> {
    let outcome = hallpass_verify::verify(token, key, rules, now);
    let digested = DigestedToken::new(token).parse(rules.max_bytes);
    assert_eq!(digested.and_then(|token| verify_parsed(&token, key, rules, now)), outcome);
    outcome
}

pub(crate) fn rules() -> Rules {
    Rules::new(ISSUER, "PAT").with_audience(AUDIENCE)
}

pub(crate) fn header(alg: &str, kid: &str) -> Value {
    json!({ "alg": alg, "kid": kid, "typ": "JWT" })
}

pub(crate) fn payload() -> Value {
    json!({
        "iss": ISSUER, "sub": "4f1c", "aud": [AUDIENCE, "other"], "exp": NOW + 3600, "iat": NOW - 60,
        "jti": "0190", "typ": "PAT", "azp": "hallpass-pat", "sid": "s",
        "realm_access": { "roles": ["reader"] },
    })
}

/// `payload()` with members set; `null` removes one.
pub(crate) fn payload_with(changes: &Value) -> Value {
    let mut payload = payload();
    let members = payload.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap().clone() {
        match value {
            Value::Null => members.remove(&name),
            value => members.insert(name, value),
        };
    }
    payload
}

/// A token of key `k`, RS256.
pub(crate) fn token_of(payload: &Value) -> String {
    RSA.token("RS256", header("RS256", "k").to_string().as_bytes(), payload.to_string().as_bytes())
}

#[derive(Clone)]
enum Answer {
    Body(StatusCode, Bytes),
    /// Waits for `release`, then the body.
    Held(Bytes),
}

/// A key endpoint that counts its requests.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    shared: Arc<Shared>,
    server: AbortHandle,
    #[expect(dead_code, reason = "held for its drop")]
    deadline: Deadline,
}

struct Shared {
    answer: Mutex<Answer>,
    requests: Mutex<usize>,
    arrived: Notify,
    release: Notify,
}

impl Endpoint {
    pub(crate) async fn start(jwks: &str) -> Self {
        let answer = Answer::Body(StatusCode::OK, Bytes::from(jwks.to_owned()));
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            requests: Mutex::new(0),
            arrived: Notify::new(),
            release: Notify::new(),
        });
        let app = Router::new().fallback(respond).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, shared, server: server.abort_handle(), deadline: Deadline::start() }
    }

    pub(crate) fn requests(&self) -> usize {
        *self.shared.requests.lock().unwrap()
    }

    pub(crate) fn serve(&self, body: impl Into<Bytes>) {
        self.answer(Answer::Body(StatusCode::OK, body.into()));
    }

    pub(crate) fn fail(&self, status: StatusCode) {
        self.answer(Answer::Body(status, Bytes::from(jwks_json(&[]))));
    }

    pub(crate) fn hold(&self, body: impl Into<Bytes>) {
        self.answer(Answer::Held(body.into()));
    }

    pub(crate) fn release(&self) {
        self.shared.release.notify_one();
    }

    /// Returns once a request has come in since the last call.
    pub(crate) async fn arrived(&self) {
        self.shared.arrived.notified().await;
    }

    pub(crate) fn stop(&self) {
        self.server.abort();
    }

    fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }
}

async fn respond(State(shared): State<Arc<Shared>>) -> (StatusCode, Bytes) {
    *shared.requests.lock().unwrap() += 1;
    shared.arrived.notify_one();
    let answer = shared.answer.lock().unwrap().clone();
    match answer {
        Answer::Body(status, body) => (status, body),
        Answer::Held(body) => {
            shared.release.notified().await;
            (StatusCode::OK, body)
        }
    }
}

/// Far longer than any test takes, on a machine that does something else.
const PATIENCE: Duration = Duration::from_mins(1);

/// Ends the run when a test that waits for an endpoint does not end: what is broken fails, and does not hang. By a thread,
/// since tests move the runtime's clock.
struct Deadline {
    #[expect(dead_code, reason = "its end says that the test has ended")]
    alive: mpsc::Sender<()>,
}

impl Deadline {
    fn start() -> Self {
        let test = thread::current().name().unwrap_or("a test").to_owned();
        let (alive, ended) = mpsc::channel();
        thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{test} does not end");
                std::process::abort();
            }
        });
        Self { alive }
    }
}

/// Moves the clock, and lets it run on: a clock that stands still would jump over the time-outs of
/// real requests.
pub(crate) async fn skip(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
