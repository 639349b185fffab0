//! Once is enough, and looking changes nothing.

use hallpass::bootstrap::Mode;
use secrecy::ExposeSecret as _;

use super::snapshot::assert_same;
use super::{Ground, dry_run};

#[tokio::test]
async fn a_second_bootstrap_reports_nothing_and_changes_nothing() {
    let ground = Ground::new().await;
    let first = ground.bootstrap().await;
    assert!(first.lines.len() > 20, "{:?}", first.lines);
    let before = ground.snapshot().await;

    let second = ground.bootstrap().await;
    assert_eq!(second.lines, Vec::<String>::new());
    assert_same(&before, &ground.snapshot().await);
    assert_eq!(
        first.outcome.client_secret.unwrap().expose_secret(),
        second.outcome.client_secret.unwrap().expose_secret()
    );
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_would_be() {
    let ground = Ground::new().await;
    let before = ground.snapshot().await;
    let dry = ground.bootstrap_with(dry_run()).await;
    assert_same(&before, &ground.snapshot().await);
    assert!(dry.outcome.client_secret.is_none());
    assert!(dry.lines.iter().all(|line| line.starts_with("would: ")), "{:?}", dry.lines);
    for part in [
        "create client scope datahub-api",
        "declare the user attribute account_id",
        "create client hallpass",
        "create client hallpass-cli",
        "create client hallpass-pat",
        "create client hallpass-probe",
        "make a signing key and publish it as a passive key",
    ] {
        assert!(dry.lines.contains(&format!("would: {part}")), "{part}: {:?}", dry.lines);
    }
    let file = ground.database.url_text().replace("sqlite://", "");
    assert!(!std::path::Path::new(&file).exists(), "a dry run makes no database");
}

#[tokio::test]
async fn a_dry_run_of_a_removal_changes_nothing_and_says_what_would_be() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let before = ground.snapshot().await;
    let dry = ground.remove(Mode::DryRun).await;
    assert_same(&before, &ground.snapshot().await);
    assert!(ground.active_kid().await.is_some());
    assert!(dry.iter().all(|line| line.starts_with("would: ")), "{dry:?}");

    let real = ground.remove(Mode::Apply).await;
    let promised: Vec<_> =
        dry.iter().map(|line| line.trim_start_matches("would: ").to_owned()).collect();
    assert_eq!(promised, real);
}
