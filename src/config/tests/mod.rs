use std::fs;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

mod refusals;

const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Sources { environment, ..Sources::default() }
}

fn complete() -> Vec<(&'static str, &'static str)> {
    vec![
        ("HALLPASS_KEYCLOAK__URL", "http://127.0.0.1:8080/"),
        ("HALLPASS_KEYCLOAK__REALM", "demo realm"),
        ("HALLPASS_KEYCLOAK__CLIENT_SECRET", "s3cret-value"),
        ("HALLPASS_STORE__ENCRYPTION_KEY", KEY),
    ]
}

fn load(extra: &[(&str, &str)]) -> Result<Settings, Problems> {
    Settings::load(&environment(&[&complete(), extra].concat()))
}

fn problems(extra: &[(&str, &str)]) -> String {
    load(extra).unwrap_err().to_string()
}

#[test]
fn what_is_required_is_enough() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8090");
    assert_eq!(settings.server.allowed_clients, ["hallpass", "hallpass-cli"]);
    assert_eq!(settings.keycloak.realm.issuer(), "http://127.0.0.1:8080/realms/demo%20realm");
    assert_eq!(settings.tokens.max_lifetime.as_secs(), 365 * 24 * 3600);
    assert_eq!(settings.tokens.max_per_user, 100);
}

#[test]
fn every_problem_is_listed_at_once() {
    let text = Settings::load(&environment(&[
        ("HALLPASS_SERVER__LISTEN", "here"),
        ("HALLPASS_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,nowhere"),
        ("HALLPASS_KEYCLOAK__URL", "ftp://x"),
        ("HALLPASS_STORE__URL", "mysql://user:hunter2@host/db"),
        ("HALLPASS_STORE__ENCRYPTION_KEY", "c2hvcnQ="),
        ("HALLPASS_TOKENS__MAX_LIFETIME", "5 parsecs"),
        ("HALLPASS_TOKENS__KEYCLOAK_INTROSPECTION", "honour"),
        ("HALLPASS_TOKENS__COLOUR", "red"),
        ("HALLPASS_LIFECYCLE__BRAKE", "-7"),
    ]))
    .unwrap_err()
    .to_string();
    for part in [
        "11 problems",
        "server.listen (from HALLPASS_SERVER__LISTEN): \"here\" is no address",
        "server.trusted_proxies (from HALLPASS_SERVER__TRUSTED_PROXIES): \"nowhere\"",
        "keycloak.url (from HALLPASS_KEYCLOAK__URL)",
        "keycloak.realm: must be set, in the file or as HALLPASS_KEYCLOAK__REALM",
        "keycloak.client_secret: must be set",
        "store.url (from HALLPASS_STORE__URL): is neither SQLite nor PostgreSQL",
        "store.encryption_key (from HALLPASS_STORE__ENCRYPTION_KEY): is not 32 bytes",
        "tokens.max_lifetime (from HALLPASS_TOKENS__MAX_LIFETIME): \"5 parsecs\" is no duration",
        "tokens.keycloak_introspection",
        "\"honour\" belongs to a part that this version does not have yet",
        "tokens.colour (from HALLPASS_TOKENS__COLOUR): is not a setting; allowed: `tokens.audiences`",
        "lifecycle.brake (from HALLPASS_LIFECYCLE__BRAKE): \"-7\" is no number",
    ] {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    assert!(!text.contains("hunter2") && !text.contains("c2hvcnQ"), "{text}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("hallpass.toml"),
        "[server]\nlisten = '1.1.1.1:1'\npublic_url = 'https://file.example'\n\
         allowed_clients = ['a', 'b']\n[tokens]\nmax_per_user = 3",
    )
    .unwrap();
    let mut sources = environment(
        &[
            &complete()[..],
            &[
                ("HALLPASS_SERVER__LISTEN", "2.2.2.2:2"),
                ("HALLPASS_SERVER__PUBLIC_URL", "https://env.example"),
            ],
        ]
        .concat(),
    );
    sources.folder = folder.path().to_owned();
    sources.flags = vec![("server.listen", "3.3.3.3:3".to_owned())];
    let settings = Settings::load(&sources).unwrap();
    assert_eq!(settings.server.listen.to_string(), "3.3.3.3:3");
    assert_eq!(settings.server.public_url.as_str(), "https://env.example");
    assert_eq!(settings.server.allowed_clients, ["a", "b"]);
    assert_eq!(settings.tokens.max_per_user, 3);
}

#[test]
fn a_named_file_must_be_there_and_well_formed() {
    let missing =
        Sources { file: Some("/nonexistent/hallpass.toml".into()), ..environment(&complete()) };
    let text = Settings::load(&missing).unwrap_err().to_string();
    assert!(text.contains("/nonexistent/hallpass.toml"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.toml");
    fs::write(&path, "[store]\nurl = \"hunter2\n").unwrap();
    let broken = Sources { file: Some(path), ..environment(&complete()) };
    let text = Settings::load(&broken).unwrap_err().to_string();
    assert!(text.contains("line 2") && !text.contains("hunter2"), "{text}");
}

#[test]
fn secrets_come_from_files_too_and_never_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "from-a-file\n").unwrap();
    let path = path.to_str().unwrap();

    let from_file: Vec<_> =
        complete().into_iter().filter(|(name, _)| !name.ends_with("CLIENT_SECRET")).collect();
    let with_file = [&from_file[..], &[("HALLPASS_KEYCLOAK__CLIENT_SECRET_FILE", path)]].concat();
    let settings = Settings::load(&environment(&with_file)).unwrap();
    assert_eq!(settings.keycloak.client_secret.expose_secret(), "from-a-file");
    let shown = format!("{settings:?}");
    assert!(!shown.contains("from-a-file") && !shown.contains(KEY), "{shown}");

    let twice = problems(&[("HALLPASS_KEYCLOAK__CLIENT_SECRET_FILE", path)]);
    assert!(twice.contains("is given twice") && !twice.contains("s3cret-value"), "{twice}");

    let unreadable = problems(&[("HALLPASS_STORE__ENCRYPTION_KEY_PREVIOUS_FILE", "/nonexistent")]);
    assert!(unreadable.contains("cannot be read"), "{unreadable}");
}

#[test]
fn a_variable_without_a_section_is_not_a_setting_and_an_empty_one_is_not_set() {
    let settings =
        load(&[("HALLPASS_ADMIN_PASSWORD", "x"), ("HALLPASS_SERVER__LISTEN", "")]).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8090");
}

#[test]
fn bootstrap_needs_no_secrets() {
    let settings = BootstrapSettings::load(&environment(&complete()[..2])).unwrap();
    assert!(settings.encryption_key.is_none());
}

#[test]
fn the_default_lifetime_is_within_the_maximum() {
    let text = problems(&[("HALLPASS_TOKENS__MAX_LIFETIME", "1h")]);
    assert!(text.contains("tokens.default_lifetime") && text.contains("max_lifetime"), "{text}");
    for bad in ["59s", "1500ms", "200years", "-1d", ""] {
        let loaded = load(&[("HALLPASS_TOKENS__DEFAULT_LIFETIME", bad)]);
        assert_eq!(loaded.is_err(), !bad.is_empty(), "{bad:?}");
    }
}

#[test]
fn store_urls() {
    let path = |text| match StoreUrl::parse(text).unwrap() {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(_) => panic!("{text} is PostgreSQL"),
    };
    assert_eq!(path("sqlite://hallpass.db"), "hallpass.db");
    assert_eq!(path("sqlite:///var/lib/a.db"), "/var/lib/a.db");
    for good in ["postgres://u:p@host/db", "postgresql://host/db"] {
        assert!(matches!(StoreUrl::parse(good), Ok(StoreUrl::Postgres(_))));
    }
    for bad in
        ["sqlite::memory:", "sqlite://:memory:", "sqlite://", "sqlite://a?mode=ro", "a.db", ""]
    {
        assert!(StoreUrl::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn claim_paths_descend_at_dots() {
    let claim = |path: &str| {
        let settings = load(&[("HALLPASS_ACCOUNTS__CLAIM", path)]).unwrap();
        let json = json!({"a": {"b": 1, "c.d": 2}, "a.b": 3, "e": "x"});
        settings.account_claim.find(json.as_object().unwrap()).cloned()
    };
    assert_eq!(claim("e"), Some(json!("x")));
    assert_eq!(claim("a.b"), Some(json!(1)));
    assert_eq!(claim(r"a.c\.d"), Some(json!(2)));
    assert_eq!(claim(r"a\.b"), Some(json!(3)));
    assert_eq!(claim("e.x"), None);
    assert!(problems(&[("HALLPASS_ACCOUNTS__CLAIM", "a..b")]).contains("empty name"));
}

#[test]
fn a_generated_key_reads_back() {
    let key = SealingKey::generate().unwrap();
    let text = key.to_base64();
    let settings = Settings::load(&environment(
        &[&complete()[..3], &[("HALLPASS_STORE__ENCRYPTION_KEY", text.expose_secret())]].concat(),
    ))
    .unwrap();
    assert_eq!(settings.store.encryption_key.bytes(), key.bytes());
}

proptest! {
    #[test]
    fn any_text_for_any_key_is_taken_or_refused(key in 0..18_usize, text in ".{0,40}") {
        let reference = reference();
        let names: Vec<_> = reference.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let name = names[key % names.len()];
        let variable = format!("HALLPASS_{}", name.to_uppercase().replacen('.', "__", 1));
        let _ = load(&[(&variable, &text)]);
    }
}

#[test]
fn policies_come_from_tables_variables_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[forward_auth]\nunverified_email = true\n[forward_auth.policies.reports]\nroles = ['a', 'c:d']\nscopes = ['s']\naud = ['x']\n\
                [forward_auth.policies.any]\n[forward_auth.policies.other]\nroles = ['b']\n";
    fs::write(folder.path().join("hallpass.toml"), file).unwrap();
    let variables = [&complete()[..], &[("HALLPASS_FORWARD_AUTH__POLICIES__OTHER__ROLES", "e,f")]];
    let sources = Sources { folder: folder.path().to_owned(), ..environment(&variables.concat()) };
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let reports =
        Policy { roles: list(&["a", "c:d"]), scopes: list(&["s"]), audience: list(&["x"]) };
    let other = Policy { roles: list(&["e", "f"]), ..Policy::default() };
    let expected = [("any", Policy::default()), ("other", other), ("reports", reports.clone())];
    let expected = expected.map(|(name, policy)| (name.to_owned(), policy)).into();
    let forward_auth = Settings::load(&sources).unwrap().forward_auth;
    assert_eq!((forward_auth.policies, forward_auth.unverified_email), (expected, true));

    let json = r#"{"reports": {"roles": ["a", "c:d"], "scopes": ["s"], "aud": ["x"]}}"#;
    let from_json = load(&[("HALLPASS_FORWARD_AUTH__POLICIES", json)]).unwrap();
    assert_eq!(from_json.forward_auth.policies, [("reports".to_owned(), reports)].into());
    assert_eq!(load(&[]).unwrap().forward_auth, ForwardAuth::default());
}
