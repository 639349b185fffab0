//! Realms as they are: one for each thing that a realm of somebody else may have otherwise than a new one. Each is lived
//! through: dry run, bootstrap twice, doctor, mint, validate, a change that is followed, an API client, and removal, once
//! with the store and once without it.

mod blind;
mod ground;
mod impersonation;

use std::time::Duration;

use hallpass::bootstrap::Mode;
use hallpass::clock::Clock;
use hallpass::doctor::{self, examine};
use hallpass::store::Store;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::bootstrap::snapshot::{self, assert_same};
use crate::support::{Database, TestRealm, TestServer, decode_claims, passes};
use ground::{Ground, Mending};

const TOKENS: &str = "/api/pat/v1/tokens";
const CLIENTS: &str = "/api/clients/v1/clients";
/// Far longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is special about a realm, and what becomes of it.
struct Oddity {
    /// The realm, beside its name, keys and policy of passwords.
    realm: &'static str,
    /// What bootstrap says when it refuses the realm, and what an operator does then.
    refused: Option<(&'static [&'static str], Mending)>,
    /// What bootstrap says beside its changes.
    noted: Option<&'static str>,
    /// The checks of doctor that warn.
    warned: &'static [&'static str],
    /// A claim of a token that is not narrowed.
    claim: Option<(&'static str, &'static str)>,
    /// What the client by which people log in here has otherwise.
    login: &'static str,
}

const PLAIN: Oddity =
    Oddity { realm: "{}", refused: None, noted: None, warned: &[], claim: None, login: "{}" };
/// Its tokens are such as Hallpass can check, whatever the realm signs with.
const SIGNED_BY_RSA: &str = r#"{"attributes": {"access.token.signed.response.alg": "RS256"}}"#;
/// A policy of the realm allows no other. The roles that it needs are put into its scope.
const NARROW: &str = r#"{"fullScopeAllowed": false}"#;

macro_rules! lived_through {
    ($($name:ident: $oddity:expr,)*) => {
        $(#[tokio::test]
        async fn $name() {
            live_through($oddity).await;
        })*
    };
}

lived_through! {
    without_the_stock_scopes: Oddity {
        realm: include_str!("trimmed.json"),
        noted: Some("basic, profile, email, roles, acr, web-origins, service_account"),
        warned: &["client-scopes"],
        claim: Some(("preferred_username", "")),
        ..PLAIN
    },
    from_an_old_export: Oddity {
        realm: include_str!("old-export.json"),
        noted: Some("basic, email, acr, service_account"),
        warned: &["client-scopes"],
        claim: Some(("email", "@example.org")),
        ..PLAIN
    },
    with_default_scopes_of_its_own: Oddity {
        realm: include_str!("own-default-scopes.json"),
        claim: Some(("department", "research")),
        ..PLAIN
    },
    with_roles_under_another_claim: Oddity {
        realm: include_str!("roles-elsewhere.json"),
        claim: Some(("roles", "default-roles-")),
        ..PLAIN
    },
    with_a_default_group_that_has_roles: Oddity {
        realm: include_str!("default-group.json"),
        claim: Some(("realm_access", "everyone")),
        ..PLAIN
    },
    with_a_policy_that_takes_full_scope: Oddity {
        realm: include_str!("full-scope-disabled.json"),
        refused: Some((&["hallpass-pat", "fullScopeAllowed", "`narrow` (full-scope-disabled)"], Mending::Exemption)),
        claim: Some(("realm_access", "default-roles-")),
        ..PLAIN
    },
    with_a_policy_that_rejects_full_scope: Oddity {
        realm: include_str!("full-scope-refused.json"),
        refused: Some((&["the client hallpass-pat:", "`narrow` (full-scope-disabled)"], Mending::Exemption)),
        claim: Some(("realm_access", "default-roles-")),
        login: NARROW,
        ..PLAIN
    },
    with_a_policy_that_demands_consent: Oddity {
        realm: include_str!("consent-demanded.json"),
        refused: Some((&["the client hallpass:", "`asked` (consent-required)"], Mending::PoliciesOff)),
        ..PLAIN
    },
    with_a_policy_of_lightweight_tokens: Oddity {
        realm: include_str!("lightweight.json"),
        claim: Some(("realm_access", "default-roles-")),
        ..PLAIN
    },
    that_calls_itself_otherwise: Oddity {
        realm: include_str!("frontend-url.json"),
        refused: Some((&["https://sso.example/realms/"], Mending::Members(r#"{"attributes": {"frontendUrl": ""}}"#))),
        ..PLAIN
    },
    that_requires_https: Oddity {
        realm: include_str!("https-only.json"),
        refused: Some((&["requires https"], Mending::Members(r#"{"sslRequired": "external"}"#))),
        ..PLAIN
    },
    with_elliptic_keys_only: Oddity { realm: include_str!("elliptic-only.json"), ..PLAIN },
    that_signs_with_es512: Oddity {
        realm: include_str!("signs-with-es512.json"),
        noted: Some("ES512, which Hallpass cannot check"),
        login: SIGNED_BY_RSA,
        ..PLAIN
    },
    that_signs_with_hs256: Oddity {
        realm: include_str!("signs-with-hs256.json"),
        noted: Some("HS256, which Hallpass cannot check"),
        login: SIGNED_BY_RSA,
        ..PLAIN
    },
    that_signs_with_ed448: Oddity {
        realm: include_str!("signs-with-ed448.json"),
        noted: Some("EdDSA, which Hallpass cannot check"),
        login: SIGNED_BY_RSA,
        ..PLAIN
    },
    with_imported_people: Oddity {
        realm: include_str!("imported-people.json"),
        noted: Some("of 3 people at least 2 lack the realm's default role"),
        ..PLAIN
    },
    with_a_scope_of_saml: Oddity {
        realm: include_str!("saml-scope.json"),
        refused: Some((&["`push-data` of the protocol saml"], Mending::Scope("push-data"))),
        ..PLAIN
    },
}

/// A dry run, which promises what is done; bootstrap, twice, with its notes; doctor.
async fn bootstrapped(ground: &Ground, oddity: &Oddity, before: &Value) -> TestRealm {
    let (dry, lines) = ground.try_bootstrap(Mode::DryRun).await.unwrap();
    assert_eq!(dry.changes, lines.len());
    assert_same(before, &snapshot::of(&ground.admin, &ground.realm.name).await);
    let promised: Vec<_> = lines.iter().map(|line| line.trim_start_matches("would: ")).collect();
    let (first, done) = ground.try_bootstrap(Mode::Apply).await.unwrap();
    assert_eq!(promised, done);
    let (second, lines) = ground.try_bootstrap(Mode::Apply).await.unwrap();
    assert_eq!(lines, Vec::<String>::new());
    match oddity.noted {
        None => assert_eq!(first.notes, Vec::<String>::new()),
        Some(words) => {
            assert!(first.notes.iter().any(|note| note.contains(words)), "{:?}", first.notes);
        }
    }
    assert_eq!(first.notes, second.notes);

    let store = Store::open(&ground.settings.store_url).await.unwrap();
    let (secret, key) = (first.client_secret.unwrap(), ground.key.clone());
    let realm = TestRealm::bootstrapped(&ground.realm, secret, key, &store).await;
    store.close().await;
    assert_doctor_is_content(ground, &realm, oddity.warned).await;
    realm
}

async fn live_through(oddity: Oddity) {
    let ground = Ground::new(&oddity).await;
    if let Some((words, mending)) = &oddity.refused {
        ground.assert_refused(words).await;
        ground.mend(mending).await;
    }
    let person = ground.realm.person(serde_json::from_str(oddity.login).unwrap()).await;
    let before = snapshot::of(&ground.admin, &ground.realm.name).await;
    let realm = bootstrapped(&ground, &oddity, &before).await;

    realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    let account = person.username.replace('-', "");
    ground.change_person(&person, json!({"account_id": [account]})).await;
    ground.show_roles_at_login().await;
    let extra = [("HALLPASS_LIFECYCLE__POLL_INTERVAL", "100ms")];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &extra).await;
    let user = server.user(&person).await;
    let minted = user.mint("odd").await;
    let (token, pat_id) = (minted["token"].as_str().unwrap(), minted["patId"].as_str().unwrap());
    let claims = decode_claims(token);
    if let Some((name, part)) = oddity.claim {
        assert!(claims.get(name).is_some_and(|claim| claim.to_string().contains(part)), "{claims}");
    }
    assert!(passes(&server.anonymous(), token).await);
    make_and_remove_a_client(&user, &account).await;
    // Every user can still be saved by an administrator.
    let people = ground.admin.get(&ground.path("/users?briefRepresentation=false")).await;
    for user in people.as_array().unwrap() {
        ground
            .admin
            .put(&ground.path(&format!("/users/{}", user["id"].as_str().unwrap())), user)
            .await;
    }
    assert!(passes(&server.anonymous(), token).await);

    let role = ground.admin.get(&ground.path("/roles/reader")).await;
    let mapping = ground.path(&format!("/users/{}/role-mappings/realm", person.id));
    ground.admin.post(&mapping, &json!([role])).await;
    let followed = async {
        while passes(&server.anonymous(), token).await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, followed).await.expect("the change is followed");
    let ended = user.get(&format!("{TOKENS}/{pat_id}")).await.expect(200);
    assert_eq!(ended["revokedReason"], "roles_changed", "{ended}");
    server.stop().await;

    ground.admin.call(Method::DELETE, &mapping, Some(&json!([role]))).await;
    realm.take_roles(&person, "hallpass", &["create-api-clients"]).await;
    ground.change_person(&person, json!({})).await;
    ground.remove().await;
    assert_same(&before, &snapshot::of(&ground.admin, &ground.realm.name).await);
    ground.try_bootstrap(Mode::Apply).await.unwrap();
    ground.remove_without_store().await;
    assert_same(&before, &snapshot::of(&ground.admin, &ground.realm.name).await);
    drop(ground.folder);
}

/// Nothing fails, these checks warn, and looking makes nothing in the realm.
async fn assert_doctor_is_content(ground: &Ground, realm: &TestRealm, warned: &[&str]) {
    let database = Database::Sqlite(ground.folder.path().join("hallpass.db"));
    let before = ground.key_providers().await;
    let settings = realm.settings(&database, &[]);
    let findings = examine(Ok(settings), None, &Clock::system()).await.unwrap();
    let of = |outcome| -> Vec<_> {
        findings.iter().filter(|one| one.result == outcome).map(|one| one.check).collect()
    };
    assert_eq!(of(doctor::Outcome::Fail), [""; 0], "{findings:#?}");
    assert_eq!(of(doctor::Outcome::Warn), warned, "{findings:#?}");
    assert_eq!(ground.key_providers().await, before);
}

async fn make_and_remove_a_client(user: &crate::support::Api, account: &str) {
    let body = json!({"clientId": format!("{account}_script"), "capabilities": ["script"], "scopes": ["datahub-api"]});
    let made = user.post(CLIENTS, &body).await.expect(201);
    assert_eq!(made["status"], "active", "{made}");
    let path = format!("{CLIENTS}/{}", made["clientId"].as_str().unwrap());
    let changed = user.patch(&path, &json!({"displayName": "Script"})).await.expect(200);
    assert_eq!(changed["status"], "active", "{changed}");
    user.delete(&path).await.expect(204);
}
