//! Claims of properly signed tokens.

use hallpass_verify::{Algorithm, Rejection, Rules};
use serde_json::{Value, json};

use crate::support::{
    AUDIENCE, ISSUER, NOW, RSA, header, payload, payload_with, rules, token_of, verify,
};

fn outcome(payload: &Value) -> Result<(), Rejection> {
    verify(&token_of(payload), &RSA.public(), &rules(), NOW).map(|_| ())
}

fn raw_outcome(payload: &[u8]) -> Result<(), Rejection> {
    let token = RSA.token("RS256", header("RS256", "k").to_string().as_bytes(), payload);
    verify(&token, &RSA.public(), &rules(), NOW).map(|_| ())
}

#[test]
fn a_good_token_gives_its_claims() {
    let claims = verify(&token_of(&payload()), &RSA.public(), &rules(), NOW).unwrap();
    assert_eq!(claims.iss, ISSUER);
    assert_eq!(claims.sub, "4f1c");
    assert_eq!(claims.aud, [AUDIENCE, "other"]);
    assert_eq!((claims.exp, claims.iat, claims.nbf), (NOW + 3600, NOW - 60, None));
    assert_eq!((claims.jti.as_str(), claims.typ.as_str()), ("0190", "PAT"));
    assert_eq!(claims.azp.as_deref(), Some("hallpass-pat"));
    assert_eq!(claims.sid.as_deref(), Some("s"));
    assert_eq!(Value::Object(claims.rest), json!({ "realm_access": { "roles": ["reader"] } }));
}

#[test]
fn the_rules_table() {
    let rows = [
        (json!({}), None),
        (json!({ "aud": AUDIENCE }), None),
        (json!({ "azp": null, "sid": null }), None),
        (json!({ "iss": "https://sso.test/realms/other" }), Some(Rejection::Issuer)),
        (json!({ "iss": "https://sso.test/realms/demo/" }), Some(Rejection::Issuer)),
        (json!({ "iss": "https://SSO.test/realms/demo" }), Some(Rejection::Issuer)),
        (json!({ "typ": "Bearer" }), Some(Rejection::Type)),
        (json!({ "typ": "pat" }), Some(Rejection::Type)),
        (json!({ "cnf": { "jkt": "x" } }), Some(Rejection::SenderConstrained)),
        (json!({ "cnf": false }), Some(Rejection::SenderConstrained)),
        (json!({ "aud": "other" }), Some(Rejection::Audience)),
        (json!({ "aud": [] }), Some(Rejection::Audience)),
        (json!({ "aud": null }), Some(Rejection::Audience)),
        (json!({ "aud": ["datahub2"] }), Some(Rejection::Audience)),
        (json!({ "exp": NOW + 1 }), None),
        (json!({ "exp": NOW }), Some(Rejection::Expired)),
        (json!({ "exp": NOW - 1 }), Some(Rejection::Expired)),
        (json!({ "exp": 0 }), Some(Rejection::Expired)),
        (json!({ "iat": NOW + 30 }), None),
        (json!({ "iat": NOW + 31 }), Some(Rejection::NotYetValid)),
        (json!({ "nbf": NOW + 30 }), None),
        (json!({ "nbf": NOW + 31 }), Some(Rejection::NotYetValid)),
        (json!({ "exp": 253_402_300_799_i64 }), None),
    ];
    for (changes, rejection) in rows {
        assert_eq!(outcome(&payload_with(&changes)).err(), rejection, "{changes}");
    }
}

#[test]
fn missing_and_malformed_claims_are_refused() {
    for name in ["iss", "sub", "exp", "iat", "jti", "typ"] {
        let missing = payload_with(&json!({ name: null }));
        assert_eq!(outcome(&missing), Err(Rejection::Claims), "{name} missing");
    }
    for name in ["iss", "sub", "jti", "typ", "azp", "sid"] {
        for value in [json!(7), json!(["x"]), json!({}), json!(true), json!("")] {
            let changed = payload_with(&json!({ name: value }));
            assert_eq!(outcome(&changed), Err(Rejection::Claims), "{name} {value}");
        }
    }
    for name in ["exp", "iat", "nbf"] {
        for value in [
            "\"1800003600\"",
            "1800003600.0",
            "1.8e9",
            "-1",
            "253402300800",
            "9223372036854775808",
            "18446744073709551616",
            "1e300",
            "true",
            "null",
            "[1]",
        ] {
            let text = format!("\"{name}\":");
            let payload = payload_with(&json!({ name: "here" })).to_string();
            let changed = payload.replace(&format!("{text}\"here\""), &format!("{text}{value}"));
            assert_ne!(changed, payload);
            assert_eq!(raw_outcome(changed.as_bytes()), Err(Rejection::Claims), "{name} {value}");
        }
    }
    for aud in [json!(7), json!([AUDIENCE, 7]), json!({}), json!([[AUDIENCE]])] {
        assert_eq!(outcome(&payload_with(&json!({ "aud": aud }))), Err(Rejection::Claims), "{aud}");
    }
}

#[test]
fn a_payload_that_is_not_one_plain_object_is_refused() {
    let good = payload().to_string();
    let twice = good.replacen('{', "{\"exp\":4000000000,", 1);
    let twice_inside = good.replace("{\"roles\"", "{\"roles\":[\"admin\"],\"roles\"");
    let escaped_twice = good.replacen('{', "{\"\\u0065xp\":4000000000,", 1);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(3000), "]".repeat(3000));
    let not_utf8 = good.replace("4f1c", "4f1~").into_bytes();
    let not_utf8: Vec<u8> = not_utf8.iter().map(|b| if *b == b'~' { 0xff } else { *b }).collect();
    let payloads: [&[u8]; 12] = [
        b"",
        b"null",
        b"[]",
        b"\"text\"",
        b"{",
        b"{}{}",
        b"\xff\xfe",
        twice.as_bytes(),
        twice_inside.as_bytes(),
        escaped_twice.as_bytes(),
        deep.as_bytes(),
        &not_utf8,
    ];
    for payload in payloads {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(80)]);
        assert_eq!(raw_outcome(payload), Err(Rejection::Malformed), "{shown}");
    }
    assert_eq!(raw_outcome(b"{}"), Err(Rejection::Claims));
}

#[test]
fn rules_narrow_and_widen() {
    let (token, key) = (token_of(&payload()), RSA.public());
    let anybody = Rules::new(ISSUER, "PAT");
    let nobody = token_of(&payload_with(&json!({ "aud": null })));
    assert_eq!(verify(&nobody, &key, &anybody, NOW).unwrap().aud, Vec::<String>::new());
    let only = |algorithms| rules().with_algorithms(algorithms);
    assert!(verify(&token, &key, &only(&[Algorithm::RS256]), NOW).is_ok());
    let others = only(&[Algorithm::PS256, Algorithm::ES256]);
    assert_eq!(verify(&token, &key, &others, NOW), Err(Rejection::Algorithm));
    assert_eq!(verify(&token, &key, &only(&[]), NOW), Err(Rejection::Algorithm));
    assert!(verify(&token, &key, &rules().with_max_bytes(token.len()), NOW).is_ok());
    let small = rules().with_max_bytes(token.len() - 1);
    assert_eq!(verify(&token, &key, &small, NOW), Err(Rejection::TooLarge));
}

#[test]
fn extreme_clocks_do_not_overflow() {
    let token = token_of(&payload());
    let at = |now| verify(&token, &RSA.public(), &rules(), now).map(|_| ());
    assert_eq!(at(i64::MAX), Err(Rejection::Expired));
    assert_eq!(at(i64::MIN), Err(Rejection::NotYetValid));
}
