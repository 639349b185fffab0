//! A mint and a change of its owner at the same time: no usable token is left that the owner should not have.

use std::net::Ipv4Addr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{EVENTS_ONLY, Scene, TOKENS, user};
use crate::support::{
    Admin, Api, DATABASES, Person, TestRealm, TestServer, claims_of, soak, unique,
};

/// In all; `make soak` runs thousands.
const RACES: usize = 200;
const AT_ONCE: usize = 6;
/// A mint takes about as long: the change comes at each moment of it.
const SPREAD: u64 = 60;

/// Each token is shown from an address of its own: so many refusals of one would be limited.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);
const SETTINGS: [(&str, &str); 3] =
    [EVENTS_ONLY[0], EVENTS_ONLY[1], ("HALLPASS_SERVER__TRUSTED_PROXIES", "127.0.0.1")];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Roles,
    Disable,
    Delete,
}

/// Who raced, and the token that the mint answered.
struct Raced {
    change: Change,
    token: Option<String>,
}

/// One mint and one change; `moment` is when the change comes.
async fn race(realm: TestRealm, api: Api, person: Person, change: Change, moment: u64) -> Raced {
    let admin = Admin::log_in().await;
    let mint = async {
        let answer = api.post(TOKENS, &json!({"name": unique("race")})).await;
        match answer.status.as_u16() {
            201 => Some(answer.json()["token"].as_str().unwrap().to_owned()),
            403 => {
                answer.expect_problem(403, "owner-disabled");
                None
            }
            _ => {
                answer.expect_problem(409, "owner-changed");
                None
            }
        }
    };
    let act = async {
        tokio::time::sleep(Duration::from_millis(moment)).await;
        let path = format!("/{}/{}", realm.name, user(&person));
        match change {
            Change::Roles => realm.give_roles(&person, "hallpass", &["read-audit"]).await,
            Change::Disable => drop(admin.put(&path, &json!({"enabled": false})).await),
            Change::Delete => drop(admin.delete(&path).await),
        }
    };
    let (token, ()) = tokio::join!(mint, act);
    Raced { change, token }
}

async fn race_all(realm: &TestRealm, server: &TestServer, count: usize) -> Vec<Raced> {
    let (mut under_way, mut outcomes) = (JoinSet::new(), Vec::new());
    for number in 0..count {
        if under_way.len() >= AT_ONCE {
            outcomes.extend(under_way.join_next().await.map(Result::unwrap));
        }
        let change = [Change::Roles, Change::Disable, Change::Delete][number % 3];
        let person = realm.person().await;
        let api = server.user(&person).await;
        let moment = number as u64 * 7 % SPREAD;
        under_way.spawn(race(realm.clone(), api, person, change, moment));
    }
    outcomes.extend(under_way.join_all().await);
    outcomes
}

fn reads_audit(token: &str) -> bool {
    let roles = claims_of(token)["resource_access"]["hallpass"]["roles"].clone();
    roles.as_array().is_some_and(|roles| roles.contains(&Value::from("read-audit")))
}

#[tokio::test]
async fn a_mint_that_races_a_change_of_its_owner_leaves_no_token_that_should_not_be() {
    let count = soak("HALLPASS_TEST_RACES", RACES) / DATABASES.len();
    for database in DATABASES {
        let scene = Scene::set_with(database, &SETTINGS).await;
        let outcomes = race_all(&scene.realm, &scene.server, count).await;
        scene.wait_until_followed().await;
        let (mut refused, mut good) = (0, 0);
        for (number, Raced { change, token }) in (0..).zip(&outcomes) {
            let Some(token) = token else { continue };
            let api = scene.server.with_token(token);
            let address = Ipv4Addr::from_bits(FIRST_ADDRESS.to_bits() + number);
            let request = api.request(Method::GET, &format!("{TOKENS}/self"));
            let answer = api.send(request.header("x-forwarded-for", address.to_string())).await;
            if answer.status == 200 {
                assert!(*change == Change::Roles && reads_audit(token), "{change:?}");
                good += 1;
            } else {
                answer.expect_problem(401, "unauthenticated");
                refused += 1;
            }
        }
        assert!(refused > 0, "no change came after a mint");
        let none = outcomes.len() - refused - good;
        println!("{count} races: {refused} refused afterwards, {none} not minted, {good} good");
        scene.server.stop().await;
    }
}

/// Changed, then a mint, then nothing: the older tokens are revoked all the same.
#[tokio::test]
async fn a_mint_after_a_change_saves_no_older_token() {
    let mut scene = Scene::set().await;
    let old = scene.holder().await;
    scene.wait_until_followed().await;
    scene.server.halt().await;
    scene.realm.give_roles(&old.person, "hallpass", &["read-audit"]).await;
    // No event is read any more: what happened is only in the roles of the tokens.
    let later = scene.server.clock.now().millis() + 60_000;
    scene.server.execute(format!("UPDATE followed_events SET position = {later}")).await;
    scene.server = scene.server.restart(&EVENTS_ONLY).await;
    let new = scene.holder_of(old.person.clone()).await;
    let old = super::Holder { api: new.api.clone(), ..old };
    scene.assert_revoked(&old, "roles_changed", "added hallpass:read-audit").await;
    scene.assert_good(&new).await;
    scene.server.stop().await;
}
