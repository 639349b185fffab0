//! What was chosen by flag is kept: a later run without the flag widens nothing.

use hallpass::bootstrap::Options;

use super::Ground;
use crate::support::options;

fn narrow() -> Options {
    let scopes = vec!["reports=Read reports".parse().unwrap()];
    Options { scopes, default_role: Some(false), events: Some(false), ..options() }
}

async fn grantable(ground: &Ground) -> Vec<String> {
    let all = ground.admin.get(&ground.path("/client-scopes")).await;
    let marked = all.as_array().unwrap().iter();
    let marked = marked.filter(|scope| scope["attributes"]["hallpass.grantable"] == "true");
    let mut names: Vec<_> =
        marked.map(|scope| scope["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_plain_run_after_a_narrow_one_changes_nothing_and_says_what_would_widen() {
    let ground = Ground::new().await;
    ground.bootstrap_with(narrow()).await;
    let events = ground.admin.get(&ground.path("/events/config")).await;
    let again = ground.bootstrap().await;
    assert_eq!(again.lines, Vec::<String>::new());
    let notes = again.outcome.notes.join("\n");
    assert!(notes.contains("--default-role") && notes.contains("--events"), "{notes}");
    assert_eq!(grantable(&ground).await, ["reports"]);
    assert_eq!(ground.admin.get(&ground.path("/events/config")).await, events);

    // Asked for, it is wider from then on.
    let scopes = vec!["more=More".parse().unwrap()];
    let wider = Options { default_role: Some(true), events: Some(true), scopes, ..options() };
    let lines = ground.bootstrap_with(wider).await.lines;
    let role = "add create-tokens to the realm's default roles".to_owned();
    assert!(lines.contains(&role), "{lines:?}");
    assert_eq!(grantable(&ground).await, ["more", "reports"]);
    let again = ground.bootstrap().await;
    assert_eq!((again.lines, again.outcome.notes), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn what_an_earlier_version_was_told_is_read_from_the_realm() {
    let mut ground = Ground::new().await;
    let secret = ground.bootstrap_with(narrow()).await.outcome.client_secret;
    // The store of an earlier version: neither choices nor a list of what was made.
    ground.forget_the_list().await;
    let before = ground.snapshot().await;
    let error = ground.try_bootstrap(options(), super::silent()).await.unwrap_err();
    assert!(error.to_string().contains(": client hallpass, "), "{error}");
    super::snapshot::assert_same(&before, &ground.snapshot().await);

    // The settings' secret proves that this store and this realm belong together.
    ground.settings.client_secret = secret;
    let done = ground.bootstrap().await;
    let registrations = "replace the registration access token of client hallpass";
    assert_eq!(done.lines.len(), 4, "{:?}", done.lines);
    assert!(done.lines.iter().all(|line| line.starts_with(registrations)), "{:?}", done.lines);
    let notes = done.outcome.notes.join("\n");
    assert!(notes.contains("--default-role") && notes.contains("--events"), "{notes}");
    assert_eq!(grantable(&ground).await, ["reports"]);
    assert_eq!(ground.bootstrap().await.lines, Vec::<String>::new());
    assert_eq!(ground.providers().await.len(), 1);
}
