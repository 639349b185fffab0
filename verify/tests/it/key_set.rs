//! Which published keys are taken, and with which algorithms.

use hallpass_verify::Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
use hallpass_verify::{KeySet, KeySetError};
use serde_json::{Value, json};

use crate::support::{
    ED25519, NOW, OTHER_RSA, P256, P384, RSA, encode, header, key_set, only_key, payload, rules,
    verify,
};

fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

#[test]
fn algorithms_are_pinned_by_type_and_by_alg() {
    let all = [RS256, RS384, RS512, PS256, PS384, PS512];
    assert_eq!(RSA.public().algorithms(), all);
    assert_eq!(P256.public().algorithms(), [ES256]);
    assert_eq!(P384.public().algorithms(), [ES384]);
    assert_eq!(ED25519.public().algorithms(), [EdDSA]);
    let pinned = only_key(&with(RSA.jwk("k"), "alg", json!("PS384")));
    assert_eq!(pinned.algorithms(), [PS384]);
}

#[test]
fn each_type_and_algorithm_verifies() {
    let signers = [
        (&*RSA, vec!["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
        (&*P256, vec!["ES256"]),
        (&*P384, vec!["ES384"]),
        (&*ED25519, vec!["EdDSA"]),
    ];
    for (signer, algorithms) in signers {
        for alg in algorithms {
            let header = header(alg, "k").to_string();
            let token = signer.token(alg, header.as_bytes(), payload().to_string().as_bytes());
            assert!(verify(&token, &signer.public(), &rules(), NOW).is_ok(), "{alg}");
        }
    }
}

#[test]
fn unusable_keys_are_passed_over() {
    let short_n = { encode([0xff; 128]) };
    let padded_short_n = encode([vec![0; 200], vec![0xff; 128]].concat());
    let unusable = [
        json!({ "kty": "oct", "kid": "k", "k": encode([7; 32]) }),
        json!({ "kty": "oct", "kid": "k", "alg": "HS256", "k": encode([7; 32]) }),
        json!({ "kty": "AKP", "kid": "k", "alg": "ML-DSA-44", "pub": "AA" }),
        json!({ "kty": "EC", "kid": "k", "crv": "P-521", "x": encode([1; 66]), "y": encode([1; 66]) }),
        json!({ "kty": "OKP", "kid": "k", "crv": "X25519", "x": encode([1; 32]) }),
        json!({ "kid": "k" }),
        json!("k"),
        with(RSA.jwk("k"), "use", json!("enc")),
        with(RSA.jwk("k"), "use", json!(null)),
        with(RSA.jwk("k"), "key_ops", json!(["encrypt"])),
        with(RSA.jwk("k"), "key_ops", json!("verify")),
        with(RSA.jwk("k"), "kid", json!(null)),
        with(RSA.jwk("k"), "kid", json!(7)),
        with(RSA.jwk("k"), "kid", json!("")),
        with(RSA.jwk("k"), "kid", json!("a b")),
        with(RSA.jwk("k"), "kid", json!("k".repeat(201))),
        with(RSA.jwk("k"), "alg", json!("RSA-OAEP")),
        with(RSA.jwk("k"), "alg", json!("HS256")),
        with(RSA.jwk("k"), "alg", json!("none")),
        with(RSA.jwk("k"), "alg", json!("ES256")),
        with(RSA.jwk("k"), "alg", json!(null)),
        with(RSA.jwk("k"), "n", json!(short_n)),
        with(RSA.jwk("k"), "n", json!(padded_short_n)),
        with(RSA.jwk("k"), "n", json!(encode(vec![0xff; 1025]))),
        with(RSA.jwk("k"), "n", json!("")),
        with(RSA.jwk("k"), "n", json!("+/==")),
        with(RSA.jwk("k"), "e", json!("AQ")),
        with(RSA.jwk("k"), "e", json!("Ag")),
        with(RSA.jwk("k"), "e", json!("AA")),
        with(RSA.jwk("k"), "d", json!("AQAB")),
        with(P256.jwk("k"), "alg", json!("ES384")),
        with(P256.jwk("k"), "crv", json!("P-384")),
        with(P256.jwk("k"), "x", json!(encode([1; 31]))),
        with(ED25519.jwk("k"), "x", json!(encode([1; 31]))),
    ];
    for jwk in &unusable {
        let set = key_set(&[jwk, &P384.jwk("good")]);
        assert_eq!(set.kids().collect::<Vec<_>>(), ["good"], "{jwk}");
    }
}

#[test]
fn a_name_of_two_keys_names_neither() {
    let (one, other) = (RSA.jwk("twice"), OTHER_RSA.jwk("twice"));
    let good = P256.jwk("good");
    assert_eq!(key_set(&[&one, &good, &other]).kids().collect::<Vec<_>>(), ["good"]);
    assert_eq!(key_set(&[&one, &other, &one, &good]).kids().collect::<Vec<_>>(), ["good"]);
    let repinned = with(one.clone(), "alg", json!("RS256"));
    assert!(key_set(&[&one, &repinned]).find("twice").is_none());
    assert!(key_set(&[&one, &one]).find("twice").is_some());
    let for_encryption = with(other, "use", json!("enc"));
    assert!(key_set(&[&one, &for_encryption]).find("twice").is_some());
}

#[test]
fn keys_are_found_by_their_whole_name() {
    let set = key_set(&[&RSA.jwk("Key-1"), &P256.jwk("../k")]);
    assert_eq!(set.kids().collect::<Vec<_>>(), ["../k", "Key-1"]);
    assert!(set.find("key-1").is_none());
    assert!(set.find("Key").is_none());
    assert!(set.find("").is_none());
    assert_eq!(set.find("../k").unwrap().kid(), "../k");
}

#[test]
fn a_document_is_a_key_set_or_not() {
    for document in ["", "[]", "<html>", "{\"keys\":[]", "{\"keys\":[],\"keys\":[]}"] {
        let error = KeySet::from_json(document.as_bytes()).unwrap_err();
        assert_eq!(error, KeySetError::NotAnObject, "{document}");
    }
    for document in ["{}", "{\"keys\":{}}", "{\"keys\":null}", "{\"error\":\"realm\"}"] {
        let error = KeySet::from_json(document.as_bytes()).unwrap_err();
        assert_eq!(error, KeySetError::NoKeys, "{document}");
    }
    assert_eq!(KeySet::from_json(b"{\"keys\":[]}").unwrap().kids().count(), 0);
}
