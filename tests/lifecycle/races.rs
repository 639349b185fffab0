//! A mint and a change of roles at the same time: no usable token has other roles than its owner.

use serde_json::{Value, json};

use super::{Scene, TOKENS};
use crate::support::{DATABASES, claims_of, unique};

const ROUNDS: usize = 8;

fn hallpass_roles(token: &str) -> Vec<Value> {
    let mut roles =
        claims_of(token)["resource_access"]["hallpass"]["roles"].as_array().unwrap().clone();
    roles.sort_by_key(Value::to_string);
    roles
}

#[tokio::test]
async fn a_mint_that_races_a_change_of_roles_leaves_no_token_with_other_roles_on_both_databases() {
    for database in DATABASES {
        let scene = Scene::set_with(database, &super::EVENTS_ONLY).await;
        let person = scene.realm.person().await;
        let api = scene.server.user(&person).await;
        let mut minted: Vec<String> = Vec::new();
        for round in 0..ROUNDS {
            let mint = async || {
                let answer = api.post(TOKENS, &json!({"name": unique("race")})).await;
                if answer.status == 201 {
                    Some(answer.json()["token"].as_str().unwrap().to_owned())
                } else {
                    answer.expect_problem(409, "owner-changed");
                    None
                }
            };
            let change = async {
                if round % 2 == 0 {
                    scene.realm.give_roles(&person, "hallpass", &["read-audit"]).await;
                } else {
                    scene.realm.take_roles(&person, "hallpass", &["read-audit"]).await;
                }
            };
            let (one, two, ()) =
                tokio::join!(mint(), async { mint().await.or(mint().await) }, change);
            minted.extend(one.into_iter().chain(two));
        }
        let last = scene.holder_of(person.clone()).await;
        scene.wait_until_followed().await;
        scene.assert_good(&last).await;
        let now = hallpass_roles(&last.token);
        let mut good = 0;
        for token in &minted {
            let answer = scene.server.with_token(token).get(&format!("{TOKENS}/self")).await;
            if answer.status == 200 {
                assert_eq!(hallpass_roles(token), now);
                good += 1;
            }
        }
        assert!(good < minted.len(), "no change met a token");
        scene.server.stop().await;
    }
}
