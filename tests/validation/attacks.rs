//! Tokens that must not pass, each at introspection, forward-auth and the API.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Scene, TOKENS};
use crate::support::{Database, TestRealm, TestServer, claims_of, decode_part};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A good token, taken apart, and what makes others like it.
struct Good {
    scene: Scene,
    token: String,
    header: Value,
    claims: Value,
}

impl Good {
    async fn gather() -> Self {
        // Far more refusals than one address may have at the API within the test.
        let scene = Scene::in_shared_realm().await;
        let minted = scene.user().await.mint("good").await;
        let token = minted["token"].as_str().unwrap().to_owned();
        let header = decode_part(token.split('.').next().unwrap());
        let claims = claims_of(&token);
        Self { scene, token, header, claims }
    }

    /// Signed by our own key, with this header and payload.
    fn sign(&self, header: &str, payload: &str) -> String {
        let signer = self.scene.realm().signing_key().into_signer().unwrap();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = signer.sign(&input).unwrap();
        format!("{input}.{signature}")
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header.clone();
        change(&mut header);
        self.sign(&header.to_string(), &self.claims.to_string())
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[name] = value;
        self.sign(&self.header.to_string(), &claims.to_string())
    }

    /// The token with this header, and with the signature that it had.
    fn reheaded(&self, header: &Value) -> String {
        let (_, rest) = self.token.split_once('.').unwrap();
        format!("{}.{rest}", part(header))
    }

    /// None of these passes anywhere, and the good one still does after each.
    async fn all_fail(&self, tokens: &[(&str, String)]) {
        for (what, token) in tokens {
            // How often an address may fail is asked elsewhere.
            self.scene.server.clock.advance(std::time::Duration::from_secs(2));
            assert!(!self.scene.finds(token).await, "{what}");
        }
        assert!(self.scene.finds(&self.token).await);
    }
}

#[tokio::test]
async fn the_forge_of_these_tests_is_as_good_as_the_mint() {
    let good = Good::gather().await;
    assert!(good.scene.finds(&good.with_header(|_| {})).await);
    assert_eq!(good.with_header(|_| {}), good.token);
    good.scene.server.stop().await;
}

#[tokio::test]
async fn a_token_without_a_signature_or_under_a_public_key_as_a_secret_fails() {
    let good = Good::gather().await;
    let (input, _) = good.token.rsplit_once('.').unwrap();
    let (_, payload) = input.split_once('.').unwrap();
    let kid = good.header["kid"].clone();
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = part(&json!({"alg": alg, "typ": "JWT", "kid": kid}));
        tokens.push(("none", format!("{header}.{payload}.")));
        tokens.push(("none, with the signature", good.reheaded(&json!({"alg": alg, "kid": kid}))));
    }
    tokens.push(("no signature", format!("{input}.")));
    tokens.push(("two segments", input.to_owned()));
    let public = good.scene.server.anonymous().get("/public-keys").await.text;
    for (alg, name) in
        [(Algorithm::HS256, "HS256"), (Algorithm::HS384, "HS384"), (Algorithm::HS512, "HS512")]
    {
        for secret in [public.as_bytes(), public.trim().as_bytes(), b"", b"secret"] {
            let header = part(&json!({"alg": name, "typ": "JWT", "kid": kid}));
            let input = format!("{header}.{payload}");
            let key = EncodingKey::from_secret(secret);
            let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, alg).unwrap();
            tokens.push(("HMAC with the public key", format!("{input}.{signature}")));
        }
    }
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS256", "RS1", "rs256", "RSA-OAEP"] {
        tokens.push(("another algorithm", good.with_header(|header| header["alg"] = alg.into())));
    }
    good.all_fail(&tokens).await;
    good.scene.server.stop().await;
}

#[tokio::test]
async fn another_key_under_whatever_name_fails() {
    let good = Good::gather().await;
    let realm = good.scene.realm();
    let own = TestRealm::own().await;
    let access_token = realm.access_token(&realm.person().await).await;
    let realms_kid = decode_part(access_token.split('.').next().unwrap())["kid"].clone();
    let kid = good.header["kid"].as_str().unwrap().to_owned();
    let under = |name: Value| good.with_header(|header| header["kid"] = name);
    let (own_head, own_key) = (good.header.clone(), own.signing_key().into_signer().unwrap());
    let input = format!("{}.{}", part(&own_head), part(&good.claims));
    let by_another = format!("{input}.{}", own_key.sign(&input).unwrap());
    let mut tokens = vec![
        ("the kid of the realm's own key", under(realms_kid.clone())),
        ("another key under our kid", by_another),
        ("the foreign key's own kid", under(own_key.kid().into())),
        ("unknown", under("unknown".into())),
        ("empty", under("".into())),
        ("a number", under(7.into())),
        ("a list", under(json!([kid]))),
        ("null", under(Value::Null)),
        ("missing", good.with_header(|header| drop(header.as_object_mut().unwrap().remove("kid")))),
        ("huge", under("k".repeat(10_000).into())),
        ("other case", under(kid.to_lowercase().into())),
        ("white space", under(format!("{kid} ").into())),
        ("NUL", under(format!("{kid}\0").into())),
    ];
    for name in ["../../etc/passwd", "/dev/null", "https://evil.example/k", "' OR 1=1 --", "%2e%2e"]
    {
        tokens.push(("path-like", under(name.into())));
    }
    let twice = format!(r#"{{"alg":"RS256","kid":"{kid}","kid":"{kid}","typ":"JWT"}}"#);
    tokens.push(("duplicated", good.sign(&twice, &good.claims.to_string())));
    let twice = format!(r#"{{"alg":"none","alg":"RS256","kid":"{kid}","typ":"JWT"}}"#);
    tokens.push(("a second algorithm", good.sign(&twice, &good.claims.to_string())));
    good.all_fail(&tokens).await;
    good.scene.server.stop().await;
}

#[tokio::test]
async fn a_key_that_the_header_brings_along_is_not_looked_at() {
    let good = Good::gather().await;
    // An attacker's own key, named by the header in each way that there is.
    let attacker = TestRealm::own().await;
    let certs = crate::support::http().get(attacker.jwks_url()).send().await.unwrap();
    let certs: Value = certs.json().await.unwrap();
    let signer = attacker.signing_key().into_signer().unwrap();
    let jwk = certs["keys"].as_array().unwrap().iter().find(|key| key["kid"] == signer.kid());
    let jwk = jwk.unwrap();
    let mut tokens = Vec::new();
    for kid in [good.header["kid"].clone(), signer.kid().into(), "x".into()] {
        for (name, value) in [
            ("jwk", jwk.clone()),
            ("jku", attacker.jwks_url().into()),
            ("x5u", attacker.jwks_url().into()),
            ("x5c", json!(["MIIB"])),
            ("jwks", certs.clone()),
            ("crit", json!(["jwk"])),
        ] {
            let mut header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
            header[name] = value;
            let input = format!("{}.{}", part(&header), part(&good.claims));
            tokens.push((name, format!("{input}.{}", signer.sign(&input).unwrap())));
        }
    }
    good.all_fail(&tokens).await;
    good.scene.server.stop().await;
}

#[tokio::test]
async fn claims_of_other_types_or_said_twice_fail_under_our_own_key() {
    let good = Good::gather().await;
    let now = good.scene.server.clock.now().seconds();
    let mut tokens = Vec::new();
    for exp in [
        json!((now + 600).to_string()),
        json!(600.5 + f64::from(u32::try_from(now).unwrap())),
        json!(1e300),
        json!(-1),
        json!(0),
        json!(now),
        json!(u64::MAX),
        json!(999_999_999_999_999_i64),
        json!([now + 600]),
        json!(true),
        Value::Null,
    ] {
        tokens.push(("exp", good.with_claim("exp", exp)));
    }
    for (name, value) in [
        ("jti", json!("01890000-0000-7000-8000-000000000000")),
        ("jti", json!(7)),
        ("jti", json!("")),
        ("sub", json!("somebody")),
        ("sub", json!({"id": good.claims["sub"]})),
        ("iss", json!("https://evil.example/realms/demo")),
        ("iss", json!([good.claims["iss"]])),
        ("typ", json!("Bearer")),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("typ", json!(["PAT"])),
        ("cnf", json!({"jkt": "x"})),
        ("cnf", Value::Null),
        ("aud", json!(7)),
        ("aud", json!([7])),
        ("aud", json!({"hallpass-pat": true})),
        ("iat", json!(now + 3_600)),
        ("iat", json!("now")),
        ("nbf", json!(now + 3_600)),
        ("nbf", json!(1.5)),
    ] {
        tokens.push((name, good.with_claim(name, value)));
    }
    let claims = good.claims.to_string();
    let header = good.header.to_string();
    let with = |prefix: &str| good.sign(&header, &format!("{{{prefix},{}", &claims[1..]));
    tokens.push(("exp twice", with(r#""exp":1"#)));
    tokens.push(("exp twice, the same", with(&format!(r#""exp":{}"#, good.claims["exp"]))));
    tokens.push(("sub twice, escaped", with(r#""\u0073ub":"x""#)));
    tokens.push(("twice below", with(r#""x":{"a":1,"a":2}"#)));
    let deep = format!("{}1{}", r#"{"a":"#.repeat(2_000), "}".repeat(2_000));
    tokens.push(("deep", with(&format!(r#""x":{deep}"#))));
    tokens
        .push(("deep lists", with(&format!(r#""x":{}{}"#, "[".repeat(3_000), "]".repeat(3_000)))));
    tokens.push(("no object", good.sign(&header, "[]")));
    tokens.push(("nothing", good.sign(&header, "")));
    tokens.push(("more behind", good.sign(&header, &format!("{claims}{{}}"))));
    good.all_fail(&tokens).await;
    good.scene.server.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_text_fail_under_our_own_key() {
    let good = Good::gather().await;
    let signer = good.scene.realm().signing_key().into_signer().unwrap();
    let mut tokens = Vec::new();
    for bytes in [&b"\xff\xfe{}"[..], b"{\"x\":\"\xff\"}", b"\0", b"{\"x\":\"\xed\xa0\x80\"}"] {
        for (head, body) in [
            (URL_SAFE_NO_PAD.encode(bytes), part(&good.claims)),
            (part(&good.header), URL_SAFE_NO_PAD.encode(bytes)),
        ] {
            let input = format!("{head}.{body}");
            tokens.push(("no UTF-8", format!("{input}.{}", signer.sign(&input).unwrap())));
        }
    }
    good.all_fail(&tokens).await;
    // A header with bytes that are no text at all, which no client library sends.
    let anyone = good.scene.server.anonymous();
    let mut value = b"Bearer \xff".to_vec();
    value.extend(good.token.as_bytes());
    let value = reqwest::header::HeaderValue::from_bytes(&value).unwrap();
    let request = anyone.request(Method::GET, "/forward-auth").header("authorization", value);
    assert_eq!(anyone.send(request).await.status, 401);
    good.scene.server.stop().await;
}

#[tokio::test]
async fn a_large_token_is_refused_before_anything_is_done_with_it() {
    let good = Good::gather().await;
    let (service, anyone) = (&good.scene.service, good.scene.server.anonymous());
    for size in [17 * 1024, 60 * 1024] {
        let (input, signature) = good.token.rsplit_once('.').unwrap();
        let padded = format!("{input}{}.{signature}", "A".repeat(size));
        assert!(!good.scene.finds(&padded).await);
    }
    let megabyte = "A".repeat(1024 * 1024);
    let answer = service.ask(&anyone, &megabyte, &[]).await;
    crate::oauth2::expect_error(&answer, 413, "invalid_request");
    // The server's own bound on headers; it may end the connection over it.
    let request = anyone.request(Method::GET, "/forward-auth").bearer_auth(&megabyte);
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status(), 431);
    }
    assert!(good.scene.finds(&good.token).await);
    good.scene.server.stop().await;
}

/// Spellings of a token that a lenient decoder takes for the same one.
fn spellings(token: &str) -> Vec<(&'static str, String)> {
    let (input, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = input.split_once('.').unwrap();
    let last = signature.chars().last().unwrap();
    // 256 bytes leave four bits of the last letter unused.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let other = &alphabet[at + 1..at + 2];
    vec![
        ("padding", format!("{token}==")),
        ("padding", format!("{token}=")),
        ("padding inside", format!("{header}=.{payload}.{signature}")),
        ("other trailing bits", format!("{input}.{}{other}", &signature[..signature.len() - 1])),
        ("line break", format!("{input}.\n{signature}")),
        ("white space", format!("{input}.{signature} x")),
        ("another segment", format!("{token}.")),
        ("another segment", format!("{token}.{signature}")),
        ("leading dot", format!(".{token}")),
        ("cut", token[..token.len() - 1].to_owned()),
        ("cut", token[..token.len() - 4].to_owned()),
        ("percent", token.replacen('.', "%2E", 1)),
    ]
}

#[tokio::test]
async fn another_spelling_of_a_token_neither_passes_nor_outlives_it_nor_stays_in_memory() {
    let good = Good::gather().await;
    let spellings = spellings(&good.token);
    good.all_fail(&spellings).await;
    let other: Vec<_> = good.token.bytes().filter(|byte| b"+/".contains(byte)).collect();
    assert!(other.is_empty(), "base64url");
    // Revoked, none of them comes back.
    let path = format!("{TOKENS}/{}/invalidate", good.claims["jti"].as_str().unwrap());
    let api = good.scene.server.with_token(&good.token);
    api.post_empty(&path).await.expect(200);
    assert!(!good.scene.finds(&good.token).await);
    for (what, token) in &spellings {
        assert!(!good.scene.finds(token).await, "{what}");
    }
    good.scene.server.stop().await;
}

#[tokio::test]
async fn a_signature_that_is_cut_long_or_changed_in_the_middle_fails() {
    let good = Good::gather().await;
    let (input, signature) = good.token.rsplit_once('.').unwrap();
    let decoded = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let with = |bytes: &[u8]| format!("{input}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let changed = |at: usize| {
        let mut bytes = decoded.clone();
        bytes[at] ^= 1;
        with(&bytes)
    };
    let tokens = [
        ("changed first", changed(0)),
        ("changed middle", changed(128)),
        ("changed last", changed(255)),
        ("zeros", with(&[0; 256])),
        ("ones", with(&[0xff; 256])),
        ("cut", with(&decoded[..255])),
        ("one more", with(&[&decoded[..], &[0]].concat())),
        ("one before", with(&[&[0], &decoded[..]].concat())),
        ("twice", with(&[&decoded[..], &decoded[..]].concat())),
        ("of one byte", with(&[1])),
    ];
    good.all_fail(&tokens).await;
    good.scene.server.stop().await;
}

#[tokio::test]
async fn an_access_token_is_no_pat_and_a_pat_no_access_token() {
    let realm = TestRealm::shared().await;
    let settings = [("HALLPASS_TOKENS__AUDIENCES", "hallpass")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let scene = Scene::of(server).await;
    let person = realm.person().await;
    let access_token = realm.access_token(&person).await;
    let anyone = scene.server.anonymous();
    assert!(!scene.service.finds(&anyone, &access_token).await);
    assert!(!crate::support::passes(&anyone, &access_token).await);
    // The same claims under our own key, as a thief of the key would say them: refused even where access tokens pass.
    let mut claims = claims_of(&access_token);
    let minted = scene.server.user(&person).await.mint("real").await;
    claims["jti"] = minted["patId"].clone();
    let forged = realm.forge(&claims);
    for path in ["/forward-auth", "/forward-auth?aud=hallpass"] {
        let api = scene.server.with_token(&forged);
        api.get(path).await.expect_problem(401, "unauthenticated");
    }
    assert!(!scene.finds(&forged).await);
    scene.server.stop().await;
}
