//! What holds for every token, good or made up.

use std::sync::LazyLock;

use hallpass_verify::{KeySet, UnverifiedToken};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{
    ED25519, NOW, P256, RSA, Signer, encode, header, payload, rules, token_of, verify,
};

static RSA_TOKEN: LazyLock<String> = LazyLock::new(|| token_of(&payload()));
static EC_TOKEN: LazyLock<String> = LazyLock::new(|| token(&P256, "ES256"));
static ED_TOKEN: LazyLock<String> = LazyLock::new(|| token(&ED25519, "EdDSA"));

fn token(signer: &Signer, alg: &str) -> String {
    let header = header(alg, "k").to_string();
    signer.token(alg, header.as_bytes(), payload().to_string().as_bytes())
}

fn letter() -> impl Strategy<Value = char> {
    prop_oneof![
        8 => proptest::char::ranges(vec!['A'..='Z', 'a'..='z', '0'..='9', '-'..='-', '_'..='_'].into()),
        1 => proptest::char::range('\0', '\x7f'),
        1 => any::<char>(),
    ]
}

fn never_panics(text: &str) {
    let _ = UnverifiedToken::parse(text, usize::MAX);
    assert!(verify(text, &RSA.public(), &rules(), NOW).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_character_is_refused(which in 0..3_usize, at: Index, new in letter()) {
        let (good, key) = [
            (&*RSA_TOKEN, RSA.public()), (&*EC_TOKEN, P256.public()), (&*ED_TOKEN, ED25519.public()),
        ].into_iter().nth(which).unwrap();
        prop_assert!(verify(good, &key, &rules(), NOW).is_ok());
        let mut letters: Vec<char> = good.chars().collect();
        let at = at.index(letters.len());
        prop_assume!(letters[at] != new);
        letters[at] = new;
        let changed: String = letters.iter().collect();
        prop_assert!(verify(&changed, &key, &rules(), NOW).is_err());
    }

    #[test]
    fn a_removed_or_added_character_is_refused(at: Index, new in letter()) {
        let at = at.index(RSA_TOKEN.len());
        let mut shorter = RSA_TOKEN.clone();
        shorter.remove(at);
        prop_assert!(verify(&shorter, &RSA.public(), &rules(), NOW).is_err());
        let mut longer = RSA_TOKEN.clone();
        longer.insert(at, new);
        prop_assert!(verify(&longer, &RSA.public(), &rules(), NOW).is_err());
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        never_panics(&text);
    }

    #[test]
    fn arbitrary_segments_never_panic(text in "[A-Za-z0-9_.-]{0,80}", dots in "[.]{0,4}") {
        never_panics(&text);
        never_panics(&format!("{text}{dots}{text}"));
    }

    #[test]
    fn arbitrary_headers_never_panic(bytes: Vec<u8>, json in "[{}\\[\\]\",:a-z0-9\\\\]{0,60}") {
        for header in [&bytes[..], json.as_bytes()] {
            never_panics(&format!("{}.{}.AAAA", encode(header), encode(b"{}")));
        }
    }

    #[test]
    fn arbitrary_documents_never_panic(bytes: Vec<u8>, n in "[A-Za-z0-9_-]{0,400}", e in "[A-Za-z0-9_-]{0,8}") {
        let _ = KeySet::from_json(&bytes);
        let jwk = format!(r#"{{"keys":[{{"kty":"RSA","kid":"k","n":"{n}","e":"{e}"}}]}}"#);
        let set = KeySet::from_json(jwk.as_bytes()).unwrap();
        if let Some(key) = set.find("k") {
            prop_assert!(verify(&RSA_TOKEN, key, &rules(), NOW).is_err());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_signed_payloads_never_panic(bytes: Vec<u8>, json in "\\{[{}\\[\\]\",:a-z0-9]{0,60}\\}") {
        for payload in [&bytes[..], json.as_bytes()] {
            let header = header("EdDSA", "k").to_string();
            let token = ED25519.token("EdDSA", header.as_bytes(), payload);
            prop_assert!(verify(&token, &ED25519.public(), &rules(), NOW).is_err());
        }
    }
}
