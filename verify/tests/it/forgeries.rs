//! Tokens whose form, header or signature is wrong (RFC 8725 §2).

use aws_lc_rs::hmac;
use hallpass_verify::{
    Algorithm, DEFAULT_MAX_BYTES, Rejection, UnverifiedHeader, UnverifiedToken, VerificationKey,
};
use serde_json::{Value, json};

use crate::support::{
    ED25519, NOW, OTHER_RSA, P256, RSA, encode, header, only_key, payload, rules, token_of, verify,
};

fn refusal(token: &str, key: &VerificationKey) -> Rejection {
    verify(token, key, &rules(), NOW).unwrap_err()
}

fn with_header(header: &str) -> String {
    RSA.token("RS256", header.as_bytes(), payload().to_string().as_bytes())
}

#[test]
fn the_header_table() {
    let long = "k".repeat(201);
    let deep = format!(
        "{{\"alg\":\"RS256\",\"kid\":\"k\",\"a\":{}{}}}",
        "[".repeat(4000),
        "]".repeat(4000)
    );
    let rows: [(&str, Rejection); 34] = [
        (r#"{"alg":"none","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"None","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"HS256","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"HS384","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"HS512","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"rs256","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"ES512","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"ES256","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"EdDSA","kid":"k"}"#, Rejection::Algorithm),
        (r#"{"alg":"PS256","kid":"k"}"#, Rejection::Signature),
        (r#"{"alg":"RS512","kid":"k"}"#, Rejection::Signature),
        (r#"{"kid":"k"}"#, Rejection::Malformed),
        (r#"{"alg":null,"kid":"k"}"#, Rejection::Malformed),
        (r#"{"alg":["RS256"],"kid":"k"}"#, Rejection::Malformed),
        (r#"{"alg":"RS256"}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":7}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":""}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"a b"}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"k\u0000"}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"k\n"}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"é"}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"../../etc/passwd"}"#, Rejection::UnknownKey),
        (r#"{"alg":"RS256","kid":"K"}"#, Rejection::UnknownKey),
        (r#"{"alg":"RS256","kid":"k","crit":["exp"]}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"k","b64":false,"crit":["b64"]}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"k","typ":"JWS"}"#, Rejection::Type),
        (r#"{"alg":"RS256","kid":"k","typ":"dpop+jwt"}"#, Rejection::Type),
        (r#"{"alg":"RS256","kid":"k","typ":7}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","alg":"RS256","kid":"k"}"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"k","\u006bid":"x"}"#, Rejection::Malformed),
        (r#"["RS256","k"]"#, Rejection::Malformed),
        (r#"{"alg":"RS256","kid":"k"} x"#, Rejection::Malformed),
        (&deep, Rejection::Malformed),
    ];
    for (header, rejection) in rows {
        let shown: String = header.chars().take(80).collect();
        assert_eq!(refusal(&with_header(header), &RSA.public()), rejection, "{shown}");
    }
    for alg in ["none", "HS256", "HS384", "HS512", "ES512"] {
        let token = with_header(&header(alg, "k").to_string());
        let parsed = UnverifiedToken::parse(&token, DEFAULT_MAX_BYTES);
        assert_eq!(parsed.map(|_| ()), Err(Rejection::Algorithm), "{alg}");
    }
    let huge_kid = header("RS256", &long).to_string();
    assert_eq!(refusal(&with_header(&huge_kid), &RSA.public()), Rejection::Malformed);
    let not_utf8 = b"{\"alg\":\"RS256\",\"kid\":\"k\",\"x\":\"\xff\"}";
    let token = RSA.token("RS256", not_utf8, b"{}");
    assert_eq!(refusal(&token, &RSA.public()), Rejection::Malformed);
}

#[test]
fn headers_that_are_fine() {
    let headers = [
        r#"{"alg":"RS256","kid":"k"}"#,
        r#"{"alg":"RS256","kid":"k","typ":"jwt"}"#,
        r#"{"alg":"RS256","kid":"k","typ":"at+jwt","x":{"y":[1]}}"#,
    ];
    for header in headers {
        let token = with_header(header);
        let Ok(parsed) = UnverifiedToken::parse(&token, DEFAULT_MAX_BYTES) else {
            panic!("{header}")
        };
        assert_eq!(parsed.header(), &UnverifiedHeader { alg: Algorithm::RS256, kid: "k".into() });
        assert!(verify(&with_header(header), &RSA.public(), &rules(), NOW).is_ok(), "{header}");
    }
    let longest = header("RS256", &"k".repeat(200)).to_string();
    assert!(UnverifiedToken::parse(&with_header(&longest), DEFAULT_MAX_BYTES).is_ok());
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let (none, good) = (r#"{"alg":"none","kid":"k"}"#, header("RS256", "k").to_string());
    let unsigned = |header: &str| format!("{}.{}.", encode(header), encode(payload().to_string()));
    assert_eq!(refusal(&unsigned(none), &RSA.public()), Rejection::Algorithm);
    assert_eq!(refusal(&unsigned(&good), &RSA.public()), Rejection::Signature);
    for header in ["ES256", "EdDSA"] {
        let key = if header == "ES256" { P256.public() } else { ED25519.public() };
        let token = unsigned(&crate::support::header(header, "k").to_string());
        assert_eq!(refusal(&token, &key), Rejection::Signature);
    }
}

#[test]
fn zeros_are_no_ecdsa_signature() {
    let input = format!("{}.{}", encode(header("ES256", "k").to_string()), encode("{}"));
    let token = format!("{input}.{}", encode([0; 64]));
    assert_eq!(refusal(&token, &P256.public()), Rejection::Signature);
}

#[test]
fn the_public_key_is_no_shared_secret() {
    let jwk = RSA.jwk("k");
    let secrets = [jwk.to_string(), jwk["n"].as_str().unwrap().to_owned()];
    for secret in secrets {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let claims = encode(payload().to_string());
        for alg in ["HS256", "RS256"] {
            let input = format!("{}.{claims}", encode(header(alg, "k").to_string()));
            let signature = hmac::sign(&secret, input.as_bytes());
            let token = format!("{input}.{}", encode(signature));
            let expected = if alg == "HS256" { Rejection::Algorithm } else { Rejection::Signature };
            assert_eq!(refusal(&token, &RSA.public()), expected);
        }
    }
}

#[test]
fn another_key_and_another_algorithm_are_refused() {
    let claims = payload().to_string();
    let header_json = header("RS256", "k").to_string();
    let forged = OTHER_RSA.token("RS256", header_json.as_bytes(), claims.as_bytes());
    assert_eq!(refusal(&forged, &RSA.public()), Rejection::Signature);
    assert_eq!(refusal(&token_of(&payload()), &P256.public()), Rejection::Algorithm);
    let mut pinned = RSA.jwk("k");
    pinned["alg"] = json!("PS256");
    assert_eq!(refusal(&token_of(&payload()), &only_key(&pinned)), Rejection::Algorithm);
}

#[test]
fn keys_in_the_header_are_never_used() {
    let brought: [(&str, Value); 4] = [
        ("jwk", OTHER_RSA.jwk("k")),
        ("jku", json!("http://127.0.0.1:1/jwks")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["AAAA"])),
    ];
    for (name, value) in brought {
        let mut header = header("RS256", "k");
        header[name] = value;
        let header = header.to_string();
        let claims = payload().to_string();
        let forged = OTHER_RSA.token("RS256", header.as_bytes(), claims.as_bytes());
        assert_eq!(refusal(&forged, &RSA.public()), Rejection::Signature, "{name}");
        assert!(verify(&with_header(&header), &RSA.public(), &rules(), NOW).is_ok(), "{name}");
    }
}

#[test]
fn the_form_has_one_spelling() {
    let good = token_of(&payload());
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = [parts[0], parts[1], parts[2]];
    let malformed = [
        String::new(),
        "..".into(),
        head.into(),
        format!("{head}.{body}"),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!(".{good}"),
        format!("{head}..{body}.{signature}"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}="),
        format!("{good}=="),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}=.{signature}"),
        format!("{head}.{body}.{}+", &signature[1..]),
        format!("{head}.{body}.{}/", &signature[1..]),
        format!("{head}.{body}.{}é", &signature[2..]),
        format!("Bearer {good}"),
    ];
    for token in malformed {
        assert_eq!(refusal(&token, &RSA.public()), Rejection::Malformed, "{token}");
    }
    // 256 bytes end in a letter with four unused bits: fifteen other letters decode alike where
    // they are ignored.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = letters.find(last).unwrap();
    for letter in letters[index + 1..index + 16].chars() {
        let token = format!("{head}.{body}.{rest}{letter}");
        assert_eq!(refusal(&token, &RSA.public()), Rejection::Malformed);
    }
}

#[test]
fn size_is_bounded_before_anything_else() {
    let million = "A".repeat(1_000_000);
    for token in [million.clone(), format!("{million}.{million}.{million}"), ".".repeat(1_000_000)]
    {
        assert_eq!(refusal(&token, &RSA.public()), Rejection::TooLarge);
    }
    let dots = ".".repeat(DEFAULT_MAX_BYTES);
    assert_eq!(refusal(&dots, &RSA.public()), Rejection::Malformed);
}

#[test]
fn rejections_have_stable_codes_and_show_no_token() {
    let codes = [
        (Rejection::Malformed, "malformed"),
        (Rejection::TooLarge, "too_large"),
        (Rejection::Algorithm, "algorithm"),
        (Rejection::UnknownKey, "unknown_key"),
        (Rejection::Signature, "signature"),
        (Rejection::Issuer, "issuer"),
        (Rejection::Audience, "audience"),
        (Rejection::Type, "type"),
        (Rejection::SenderConstrained, "sender_constrained"),
        (Rejection::Expired, "expired"),
        (Rejection::NotYetValid, "not_yet_valid"),
        (Rejection::Claims, "claims"),
    ];
    for (rejection, code) in codes {
        assert_eq!(rejection.code(), code);
    }
    let marked = with_header(r#"{"alg":"MARK","kid":"MARK"}"#);
    assert!(!refusal(&marked, &RSA.public()).to_string().contains("MARK"));
}
