//! Once is enough, and looking changes nothing.

use hallpass::bootstrap::{BootstrapError, Mode};
use secrecy::ExposeSecret as _;

use super::snapshot::assert_same;
use super::{Ground, dry_run, silent};
use crate::support::Database;

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
    let file = ground.database.url_text().replace("sqlite://", "");
    assert!(!std::path::Path::new(&file).exists(), "a dry run makes no database");
    // In a realm that has nothing yet it names exactly what is done then.
    assert_promised(&dry.lines, &ground.bootstrap().await.lines);
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
    assert_promised(&dry, &real);
}

#[tokio::test]
async fn a_dry_run_names_what_is_made_again_of_a_realm_that_lost_some() {
    let ground = Ground::new().await;
    ground.bootstrap().await;
    let service = ground.client("hallpass").await;
    let service = service["id"].as_str().unwrap();
    let cli = ground.client("hallpass-cli").await;
    for path in [
        format!("/clients/{service}/roles/administrator"),
        format!("/clients/{}", cli["id"].as_str().unwrap()),
        format!("/components/{}", ground.providers().await[0]["id"].as_str().unwrap()),
    ] {
        ground.admin.delete(&ground.path(&path)).await;
    }
    let dry = ground.bootstrap_with(dry_run()).await.lines;
    let real = ground.bootstrap().await.lines;
    assert!(real.contains(&"compose role administrator".to_owned()), "{real:?}");
    assert!(real.contains(&"create client hallpass-cli".to_owned()), "{real:?}");
    assert_promised(&dry, &real);
    assert_eq!(ground.bootstrap().await.lines, Vec::<String>::new());
}

#[track_caller]
fn assert_promised(dry: &[String], real: &[String]) {
    let promised: Vec<_> = dry.iter().map(|line| line.trim_start_matches("would: ")).collect();
    assert_eq!(promised, real);
}

#[tokio::test]
async fn on_postgresql_a_dry_run_makes_no_table_and_a_bootstrap_works_as_on_sqlite() {
    let ground = Ground::on(Database::postgres).await;
    let dry = ground.bootstrap_with(dry_run()).await;
    assert!(!dry.lines.is_empty());
    for mode in [Mode::DryRun, Mode::Apply] {
        let error = ground.try_remove(mode, silent()).await.unwrap_err();
        assert!(matches!(error, BootstrapError::NoStore(_)), "{error}");
    }
    assert_eq!(tables(&ground).await, 0);

    let before = ground.snapshot().await;
    ground.bootstrap().await;
    assert_eq!(ground.bootstrap().await.lines, Vec::<String>::new());
    assert_eq!(ground.bootstrap_with(dry_run()).await.lines, Vec::<String>::new());
    assert_ne!(tables(&ground).await, 0);
    ground.remove(Mode::Apply).await;
    assert_same(&before, &ground.snapshot().await);
    assert_eq!(ground.active_kid().await, None);
}

async fn tables(ground: &Ground) -> i64 {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(&ground.database.url_text()).await.unwrap();
    let sql = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}
