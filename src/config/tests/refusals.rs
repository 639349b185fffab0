//! What is refused, in which words, and what those words never repeat.

use super::*;

/// The problems of settings that are complete but for `extra` and the file.
fn refused(extra: &[(&str, &str)], file: &str) -> String {
    loaded(extra, file).unwrap_err().to_string()
}

fn loaded(extra: &[(&str, &str)], file: &str) -> Result<Settings, Problems> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hallpass.toml"), file).unwrap();
    let given = |name: &str| extra.iter().any(|(other, _)| other.starts_with(name));
    let rest: Vec<_> = complete().into_iter().filter(|(name, _)| !given(name)).collect();
    let sources = environment(&[&rest[..], extra].concat());
    Settings::load(&Sources { folder: folder.path().to_owned(), ..sources })
}

#[test]
fn no_problem_repeats_a_secret() {
    for (name, value) in [
        ("HALLPASS_KEYCLOAK__URL", "https://u:hunter2@h:99999"),
        ("HALLPASS_KEYCLOAK__URL", "//u:hunter2@h"),
        ("HALLPASS_SERVER__PUBLIC_URL", "https://u:hunter2@h"),
        ("HALLPASS_STORE__URL", "postgres://u:hunter2@h:99999/d"),
        ("HALLPASS_STORE__URL", "sqlite://hunter2?mode=memory"),
        ("HALLPASS_STORE__ENCRYPTION_KEY", "hunter2"),
        ("HALLPASS_KEYCLOAK__CLIENT_SECRET_FILE", "hunter2"),
        ("HALLPASS_KEYCLOAK__CLIENT_SECRTE", "hunter2"),
        ("HALLPASS_KEYCLOAK__client_secret", "hunter2"),
    ] {
        let text = refused(&[(name, value)], "");
        assert!(text.contains(name) && !text.contains("hunter2"), "{text}");
    }
    for line in ["hunter2", "'hunter2", "\"hunter2\\q\"", "'hunter2'\nclient_secret = 'hunter2'"] {
        let text = refused(&[], &format!("[keycloak]\nclient_secret = {line}\n"));
        assert!(text.contains("hallpass.toml") && !text.contains("hunter2"), "{text}");
    }
    for value in ["['hunter2']", "{ a = 'hunter2' }", "[{ a = 'hunter2' }]"] {
        let file = format!("[keycloak]\nclient_secret = {value}\n");
        let from_file = [("HALLPASS_KEYCLOAK__CLIENT_SECRET", "")];
        let text = refused(&from_file, &file);
        assert!(text.contains("keycloak.client_secret") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn sources_do_not_show_their_values() {
    let mut sources = environment(&complete());
    sources.flags = vec![("keycloak.client_secret", "hunter2".to_owned())];
    let shown = format!("{sources:?}");
    assert!(!shown.contains("s3cret-value") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn unknown_keys_are_named_and_the_near_one_suggested() {
    for (extra, file, expected) in [
        (&[("HALLPASS_TOKENS__MAX_LIFETME", "1d")][..], "", "did you mean `tokens.max_lifetime`?"),
        (&[("HALLPASS_TOKEN__CLIENT_ID", "x")], "", "did you mean `tokens.client_id`?"),
        (&[("HALLPASS_SERVER_LISTEN", "x")], "", "write HALLPASS_SERVER__LISTEN"),
        (
            &[("HALLPASS_KEYCLOAK_CLIENT_SECRET_FILE", "x")],
            "",
            "HALLPASS_KEYCLOAK__CLIENT_SECRET_FILE",
        ),
        (&[], "listen = '1.1.1.1:1'", "did you mean `server.listen`?"),
        (&[], "[colours]", "colours (from "),
        (
            &[],
            "[colours]\nred = 1",
            "there is no section `colours`; allowed: `accounts`, `clients`, `forward_auth`",
        ),
        (&[], "server = 'x'", "is not a setting; allowed: `server.allowed_clients`"),
        (&[], "\"server.listen\" = '1.1.1.1:1'", "is not a setting"),
        (&[], "[server.listen]\nport = 1", "server.listen.port (from "),
        (&[], "[server.listen]", "server.listen (from "),
        (&[("HALLPASS_SERVER__LISTEN_FILE", "x")], "", "is not a setting; allowed: `server."),
        (&[("HALLPASS_CLIENTS__QOTA", "1")], "", "did you mean `clients.quota`?"),
        (&[("HALLPASS_SERVER__listen", "1.1.1.1:1")], "", "upper case only"),
    ] {
        let text = refused(extra, file);
        assert!(text.contains("1 problem in") && text.contains(expected), "{expected}:\n{text}");
    }
    assert!(loaded(&[], "[server]\n[clients]\n[telemetry]\n").is_ok());
}

#[test]
fn settings_of_later_parts_are_told_apart() {
    let file = "[clients]\nquota = 5\nconsent = 'never'\nprofile = 'domo'\n[lifecycle]\n\
                poll_interval = '1s'\nsweep_interval = '1m'\nbrake = 5\n[api_keys]\nenabled = true\n\
                header = 'X'\n[telemetry]\notlp_endpoint = 'http://x'\n";
    let text = refused(&[], file);
    assert_eq!(text.matches("belongs to a part that this version does not have yet").count(), 3);
}

#[test]
fn lists_have_only_good_entries() {
    for file in [
        "[server]\nallowed_clients = [{ a = 1 }]",
        "[server]\nallowed_clients = [['a']]",
        "[server]\nallowed_clients = ['']",
        "[server]\ntrusted_proxies = ['10.0.0.0/40']",
        "[tokens]\naudiences = ['a b']",
        "[tokens]\naudiences = [\"a\\u0007\"]",
        "[tokens]\nauthority_claims = ['a..b']",
        // Another with each evaluation.
        "[tokens]\nauthority_claims = ['iat']",
        "[tokens]\nauthority_claims = ['realm_access.roles']",
        "[server]\nlisten = ['127.0.0.1:1']",
    ] {
        assert!(refused(&[], file).contains("1 problem in"), "{file}");
    }
    let settings = loaded(
        &[
            ("HALLPASS_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("HALLPASS_SERVER__ALLOWED_CLIENTS", ","),
        ],
        "[tokens]\naudiences = ['https://api.example', 'b']",
    )
    .unwrap();
    assert_eq!(settings.server.trusted_proxies.len(), 2);
    assert!(settings.server.allowed_clients.is_empty());
    assert_eq!(settings.tokens.audiences, ["https://api.example", "b"]);
}

#[test]
fn a_broken_file_hides_no_other_problem_and_makes_up_none() {
    let sources = environment(&[
        ("HALLPASS_SERVER__LISTEN", "here"),
        ("HALLPASS_TOKENS__MAX_LIFETIME", "1h"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.toml");
    fs::write(&path, "\n\n\n]x\n").unwrap();
    let text = Settings::load(&Sources { file: Some(path), ..sources }).unwrap_err().to_string();
    for part in ["2 problems", "line 4", "server.listen"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn the_higher_place_of_a_secret_wins_whichever_its_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "from-a-file\r\n\n").unwrap();
    let path = path.to_str().unwrap();
    let secret = |extra: &[(&str, &str)], file: &str| {
        loaded(extra, file).unwrap().keycloak.client_secret.expose_secret().to_owned()
    };
    let (plain, from_file) =
        ("HALLPASS_KEYCLOAK__CLIENT_SECRET", "HALLPASS_KEYCLOAK__CLIENT_SECRET_FILE");
    assert_eq!(secret(&[(from_file, path)], "[keycloak]\nclient_secret = 'lower'"), "from-a-file");
    let lower = format!("[keycloak]\nclient_secret_file = '{path}'");
    assert_eq!(secret(&[(plain, "higher")], &lower), "higher");
    assert_eq!(secret(&[(plain, ""), (from_file, "")], &lower), "from-a-file");

    let endless = refused(&[(from_file, "/dev/zero")], "");
    assert!(endless.contains("too long") && endless.contains("client_secret_file"), "{endless}");
}

#[test]
fn every_secret_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("url");
    fs::write(&url, "postgres://u:hunter2@h/d\n").unwrap();
    let key = folder.path().join("key");
    fs::write(&key, format!("{KEY}\n")).unwrap();
    let settings = loaded(
        &[
            ("HALLPASS_STORE__URL_FILE", url.to_str().unwrap()),
            ("HALLPASS_STORE__ENCRYPTION_KEY_FILE", key.to_str().unwrap()),
            ("HALLPASS_STORE__ENCRYPTION_KEY_PREVIOUS_FILE", key.to_str().unwrap()),
        ],
        "",
    )
    .unwrap();
    assert!(settings.store.encryption_key_previous.is_some());
    assert!(matches!(&settings.store.url, StoreUrl::Postgres(_)));
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
}

#[test]
fn urls_are_taken_as_written_or_refused() {
    for bad in [
        "http:/k",
        "http:\\\\k",
        "ht\ntp://k",
        " http://k",
        "k:8080",
        "http://k?a",
        "http://k/#a",
        "",
    ] {
        assert!(PublicUrl::parse(bad).is_err(), "{bad:?}");
    }
    for (text, expected) in [("http://k/", "http://k"), ("https://k/a//", "https://k/a")] {
        assert_eq!(PublicUrl::parse(text).unwrap().as_str(), expected);
    }
    for bad in ["sqlite://file::memory:", "sqlite:///var/lib/", "sqlite:hallpass.db"] {
        assert!(StoreUrl::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_issuer_is_written_as_keycloak_writes_it() {
    for (realm, expected) in [
        ("bob's realm", "bob's%20realm"),
        ("é", "%C3%A9"),
        ("a?b#c%d", "a%3Fb%23c%25d"),
        ("a|b", "a%7Cb"),
    ] {
        let settings = loaded(&[("HALLPASS_KEYCLOAK__REALM", realm)], "").unwrap();
        assert!(settings.keycloak.realm.issuer().ends_with(&format!("/realms/{expected}")));
    }
    assert!(loaded(&[("HALLPASS_KEYCLOAK__REALM", &"é".repeat(255))], "").is_ok());
    for bad in ["a/b", "..", "a\\b", "a\tb", &"a".repeat(256)] {
        assert!(loaded(&[("HALLPASS_KEYCLOAK__REALM", bad)], "").is_err(), "{bad:?}");
    }
}

#[test]
fn a_backslash_in_a_claim_path_means_what_it_means_to_keycloak() {
    let json = json!({r"a\": {"b": 1}, "ab": 2});
    let find = |path: &str| {
        let settings = loaded(&[("HALLPASS_ACCOUNTS__CLAIM", path)], "").unwrap();
        assert_eq!(settings.account_claim.as_str(), path);
        settings.account_claim.find(json.as_object().unwrap()).cloned()
    };
    assert_eq!(find(r"a\\.b"), Some(json!(1)));
    assert_eq!(find(r"a\b"), Some(json!(2)));
    assert!(refused(&[("HALLPASS_ACCOUNTS__CLAIM", r"a\")], "").contains("ends with a backslash"));
}

#[test]
fn the_designated_client_is_not_our_own() {
    let text = refused(&[("HALLPASS_TOKENS__CLIENT_ID", "hallpass")], "");
    assert!(text.contains("is the same client as `keycloak.client_id`"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_a_problem() {
    use std::os::unix::ffi::OsStringExt as _;
    let mut sources = environment(&complete());
    let odd = std::ffi::OsString::from_vec(vec![0xff]);
    sources.environment.push(("HALLPASS_SERVER__LISTEN".into(), odd.clone()));
    sources.environment.push((odd.clone(), odd));
    let text = Settings::load(&sources).unwrap_err().to_string();
    assert!(text.contains("1 problem") && text.contains("is not UTF-8"), "{text}");
}

#[test]
fn the_committed_reference_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(committed == reference(), "docs/settings.md differs from config::reference()");
}

proptest! {
    #[test]
    fn any_file_is_taken_or_refused(text in r#"(\[?[a-z_."]{0,12}\]?( ?= ?['"\[{]?.{0,8}['"\]}]?)?\n){0,4}"#) {
        let _ = loaded(&[], &text);
    }
}

#[test]
fn policies_are_tables_of_lists() {
    for (extra, file, expected) in [
        (&[][..], "[forward_auth.policies.a]\nrole = ['x']", "forward_auth.policies.a.role (from "),
        (
            &[],
            "[forward_auth.policies.a.b]\nroles = ['x']",
            "forward_auth.policies.a.b.roles (from ",
        ),
        (&[], "[forward_auth.policies]\na = ['x']", "is none of these lists"),
        (&[], "[forward_auth.policies.'a/b']\nroles = ['x']", "is no name of a policy"),
        (&[], "[forward_auth.policies.a]\nroles = ['']", "is empty, too long"),
        (&[], "[forward_auth]\npolicies = 'x'", "is no JSON object"),
        (&[], "[forward_auth]\npolicy = {}", "forward_auth.policy (from "),
        (&[], "[forward_auth]\nunverified_email = 'yes'", "is neither `true` nor `false`"),
        (&[("HALLPASS_FORWARD_AUTH__POLICIES", r#"{"a": 1}"#)], "", "is none of these lists"),
        (&[("HALLPASS_FORWARD_AUTH__POLICIES", r#"["a"]"#)], "", "is no JSON object"),
        (
            &[("HALLPASS_FORWARD_AUTH__POLICIES", r#"{"a": {}}"#)],
            "[forward_auth.policies.b]",
            "is given twice",
        ),
    ] {
        let text = refused(extra, file);
        assert!(text.contains("1 problem in") && text.contains(expected), "{expected}:\n{text}");
    }
}
