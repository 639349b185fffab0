//! The database: private, there, up to date, of this realm, and its signing key opens.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::finding::{BOOTSTRAP, Checked, Verdict, with_causes};
use super::{Examination, left};
use crate::config::{SealingKey, StoreUrl};
use crate::keys::SigningKey;
use crate::seal::Sealer;
use crate::store::Store;

pub(super) async fn files(examination: &Examination) -> Checked {
    let url = &examination.settings.store.url;
    Store::check_files(url)?;
    if let StoreUrl::Sqlite(path) = url
        && let Some((path, mode)) = read_only(path)
    {
        let path = path.display();
        return Ok(Verdict::fail(
            format!("{path} cannot be written (mode {mode:04o}): `hallpass serve` cannot start"),
            format!("run `chmod u+w {path}`"),
        ));
    }
    Ok(Verdict::ok(match url {
        StoreUrl::Sqlite(_) => "only their owner can use the database's files",
        StoreUrl::Postgres(_) => "PostgreSQL keeps its own files",
    }))
}

/// The database or its folder, where nobody may write it. SQLite makes files beside the database.
fn read_only(database: &Path) -> Option<(PathBuf, u32)> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    [folder, database].into_iter().find_map(|path| {
        let mode = path.metadata().ok()?.mode() & 0o777;
        (mode & 0o222 == 0).then(|| (path.to_owned(), mode))
    })
}

pub(super) async fn opens(examination: &Examination) -> Checked {
    let url = &examination.settings.store.url;
    let what = match url {
        StoreUrl::Sqlite(path) if !path.exists() => {
            let advice = "run `hallpass bootstrap`, which makes it, or mend `store.url`";
            return Ok(Verdict::fail(format!("there is no file {}", path.display()), advice));
        }
        StoreUrl::Sqlite(path) => format!("SQLite, {}", path.display()),
        StoreUrl::Postgres(_) => "PostgreSQL".to_owned(),
    };
    let store = Store::open_to_inspect(url).await?;
    let migrations = store.inspect_migrations().await?;
    if migrations.applied == 0 {
        store.close().await;
        let advice = "run `hallpass bootstrap`, which makes them, or mend `store.url`";
        return Ok(Verdict::fail(format!("{what}: there are no tables of Hallpass"), advice));
    }
    store.check_place().await?;
    // One check opens it once.
    let _ = examination.store.set(store);
    if migrations.pending > 0 {
        let detail = format!("{what}: the tables are {} migrations behind", migrations.pending);
        return Ok(Verdict::warn(
            detail,
            "start this version of `hallpass serve`: it brings them up to date",
        ));
    }
    Ok(Verdict::ok(format!("{what}, its tables are up to date")))
}

pub(super) async fn realm(examination: &Examination) -> Checked {
    let wanted = examination.settings.keycloak.realm.issuer();
    match left(&examination.store)?.find_issuer().await? {
        Some(found) if found == wanted => Ok(Verdict::ok(format!("it belongs to {wanted}"))),
        Some(found) => Ok(Verdict::fail(
            format!("it belongs to {found}, not to {wanted}"),
            "mend `keycloak.public_url` and `keycloak.realm`, or give this realm a store of its own",
        )),
        None => Ok(Verdict::fail("it belongs to no realm yet", BOOTSTRAP)),
    }
}

pub(super) async fn encryption_key(examination: &Examination) -> Checked {
    let settings = &examination.settings;
    let Some(key) = left(&examination.store)?.find_active_key().await? else {
        return Ok(Verdict::fail("the store has no signing key in use", BOOTSTRAP));
    };
    let previous = settings.store.encryption_key_previous.as_ref().map(SealingKey::bytes);
    let issuer = settings.keycloak.realm.issuer();
    let opened = Sealer::new(settings.store.encryption_key.bytes(), previous)
        .map_err(|error| with_causes(&error))
        .and_then(|sealer| {
            SigningKey::from_sealed(&sealer, &issuer, &key)
                .and_then(SigningKey::into_signer)
                .map_err(|error| with_causes(&error))
        });
    match opened {
        Ok(signer) => {
            let detail = format!("it opens the signing key {}", signer.kid());
            let _ = examination.signer.set(Arc::new(signer));
            Ok(Verdict::ok(detail))
        }
        Err(detail) => Ok(Verdict::fail(
            detail,
            "set `store.encryption_key` to the one that bootstrap used; an older one may stand in \
             `store.encryption_key_previous`",
        )),
    }
}
