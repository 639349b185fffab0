//! Claims that carry authority, such as groups: a token does not go on saying what is no longer true.

use serde_json::{Value, json};

use super::brake::BRAKE;
use super::{EVENTS_ONLY, Holder, Scene, TOKENS, user};
use crate::support::{
    Admin, DATABASES, Database, Fault, FaultProxy, Person, TestRealm, TestServer, claims_of, unique,
};

/// Hallpass evaluates the claims by this client.
const DESIGNATED: &str = "hallpass-pat";

impl Scene {
    /// From now on personal access tokens name the groups of their owners, by their paths.
    async fn map_groups(&self) {
        let uuid = self.admin.client_uuid(&self.realm.name, DESIGNATED).await;
        let mapper = json!({"name": "groups", "protocol": "openid-connect",
            "protocolMapper": "oidc-group-membership-mapper",
            "config": {"claim.name": "groups", "full.path": "true", "access.token.claim": "true"}});
        self.post(&format!("clients/{uuid}/protocol-mappers/models"), &mapper).await;
    }

    async fn join(&self, person: &Person, group: &str) {
        self.put(&format!("{}/groups/{group}", user(person)), &Value::Null).await;
    }

    async fn leave(&self, person: &Person, group: &str) {
        self.delete(&format!("{}/groups/{group}", user(person)), &Value::Null).await;
    }

    /// So many members of a group, each with a token that says so.
    async fn members(&self, group: &str, count: usize) -> Vec<Holder> {
        let mut holders = Vec::new();
        for _ in 0..count {
            let person = self.realm.person().await;
            self.join(&person, group).await;
            holders.push(self.holder_of(person).await);
        }
        self.wait_until_followed().await;
        holders
    }
}

#[tokio::test]
async fn a_token_that_names_a_group_is_revoked_when_its_owner_leaves_or_joins_one_on_both_databases()
 {
    for database in DATABASES {
        let scene = Scene::set_with(database, &EVENTS_ONLY).await;
        scene.map_groups().await;
        let (a, b) = (scene.group("a").await, scene.group("b").await);
        let (person, other) = (scene.realm.person().await, scene.holder().await);
        scene.join(&person, &a).await;
        scene.join(&person, &b).await;
        scene.wait_until_followed().await;
        let holder = scene.holder_of(person.clone()).await;
        let mut groups = claims_of(&holder.token)["groups"].as_array().unwrap().clone();
        groups.sort_by_key(Value::to_string);
        assert_eq!(groups, ["/a", "/b"]);
        let body = json!({"name": unique("narrowed"), "roles": ["hallpass:create-tokens"]});
        let minted = holder.api.post(TOKENS, &body).await.expect(201);
        let text = |name: &str| minted[name].as_str().unwrap().to_owned();
        let (pat_id, token, api) = (text("patId"), text("token"), holder.api.clone());
        let narrowed = Holder { person: person.clone(), api, pat_id, token };
        assert_eq!(claims_of(&narrowed.token)["groups"], Value::Null);

        scene.leave(&person, &a).await;
        scene.assert_revoked(&holder, "claims_changed", "groups removed /a").await;
        let again = scene.holder_of(person.clone()).await;
        scene.join(&person, &a).await;
        scene.assert_revoked(&again, "claims_changed", "groups added /a").await;
        // What a token does not say does not matter.
        scene.join(&other.person, &a).await;
        scene.wait_until_followed().await;
        for holder in [&narrowed, &other] {
            scene.assert_good(holder).await;
            assert_eq!(scene.audited(holder).await.len(), 1);
        }
        scene.server.stop().await;
    }
}

/// One event that concerns several: what it says of all of them is followed.
#[tokio::test]
async fn a_group_that_is_renamed_revokes_the_tokens_of_its_members() {
    let scene = Scene::set().await;
    scene.map_groups().await;
    let group = scene.group("old").await;
    let holders = scene.members(&group, 2).await;
    scene.put(&format!("groups/{group}"), &json!({"name": "new"})).await;
    for holder in &holders {
        let told = "groups added /new; groups removed /old";
        scene.assert_revoked(holder, "claims_changed", told).await;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn claims_of_many_owners_wait_for_a_person_and_a_release_gives_back_no_lost_one() {
    let mut scene = Scene::set_with(Database::sqlite, &BRAKE).await;
    scene.wait_until_started().await;
    scene.map_groups().await;
    let (group, more) = (scene.group("team").await, scene.group("more").await);
    let mut holders = scene.members(&group, 3).await;
    scene.server.halt().await;
    for holder in &holders {
        scene.join(&holder.person, &more).await;
    }
    scene.server = scene.server.restart(&BRAKE).await;
    holders = holders.into_iter().map(|holder| scene.renewed(holder)).collect();
    let held = scene.wait_for_held(3).await;
    assert!(held.iter().all(|held| held["reason"] == "claims_changed"), "{held:?}");
    scene.admin_tokens(&["release"]).await;
    for holder in &holders {
        scene.assert_good(holder).await;
        let log = scene.audited(holder).await;
        let told = "token_suspended by hallpass, claims_changed";
        assert_eq!(log[1..], [told, "token_released by operator, released_by_operator"]);
    }
    // What was accepted counts from now on.
    let scene = scene.sweep_anew(&BRAKE).await;
    let holders: Vec<_> = holders.into_iter().map(|holder| scene.renewed(holder)).collect();
    scene.wait_for_held(0).await;

    scene.put(&format!("groups/{group}"), &json!({"name": "renamed"})).await;
    scene.wait_for_held(3).await;
    scene.refuse_to_release(&holders[0]).await;
    scene.wait_for_held(3).await;
    for holder in &holders {
        scene.wait_for(holder, "suspended").await;
    }
    scene.put(&format!("groups/{group}"), &json!({"name": "team"})).await;
    scene.wait_for_held(0).await;
    for holder in &holders {
        scene.assert_good(holder).await;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn what_is_not_configured_or_older_than_the_comparison_is_not_compared() {
    let none = ("HALLPASS_TOKENS__AUTHORITY_CLAIMS", "teams");
    let configured = [EVENTS_ONLY[0], EVENTS_ONLY[1], none];
    let mut scene = Scene::set().await;
    scene.map_groups().await;
    let group = scene.group("a").await;
    let [old, young] = <[Holder; 2]>::try_from(scene.members(&group, 2).await).ok().unwrap();
    let forget = "UPDATE tokens SET authority_claims = NULL WHERE pat_id";
    assert_eq!(scene.server.execute(format!("{forget} = '{}'", old.pat_id)).await, 1);
    scene.leave(&old.person, &group).await;
    scene.wait_until_followed().await;
    scene.assert_good(&old).await;

    scene.server = scene.server.restart(&configured).await;
    let young = scene.renewed(young);
    scene.leave(&young.person, &group).await;
    scene.wait_until_followed().await;
    scene.assert_good(&young).await;
    // Configured again, the next sweep compares.
    scene.server = scene.server.restart(&EVENTS_ONLY).await;
    let (old, young) = (scene.renewed(old), scene.renewed(young));
    scene.assert_revoked(&young, "claims_changed", "groups removed /a").await;
    scene.assert_good(&old).await;
    scene.server.stop().await;
}

/// A scene whose Keycloak is behind this proxy, and the calls by which the designated client's claims of a person are asked.
async fn scene_behind(proxy: &FaultProxy) -> (Scene, String) {
    let realm = TestRealm::own().await;
    let mut extra = EVENTS_ONLY.to_vec();
    extra.push(("HALLPASS_KEYCLOAK__URL", proxy.url()));
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &extra).await;
    let scene = Scene { realm, server, admin: Admin::log_in().await };
    scene.map_groups().await;
    let uuid = scene.admin.client_uuid(&scene.realm.name, DESIGNATED).await;
    (scene, format!("GET */clients/{uuid}/evaluate-scopes/*userId="))
}

#[tokio::test]
async fn claims_that_cannot_be_seen_keep_their_tokens_and_nothing_else_is_held_up() {
    let proxy = FaultProxy::start();
    let (scene, evaluation) = scene_behind(&proxy).await;
    let group = scene.group("a").await;
    for fault in [Fault::status(500), Fault::Answer(200, "{}".to_owned())] {
        let [left, changed, other] =
            <[Holder; 3]>::try_from(scene.members(&group, 3).await).ok().unwrap();
        let rules = [&left, &changed]
            .map(|holder| proxy.on(&format!("{evaluation}{}*", holder.person.id), fault.clone()));
        scene.leave(&left.person, &group).await;
        rules[0].wait_for_hits(1).await;
        scene.realm.give_roles(&changed.person, "hallpass", &["read-audit"]).await;
        // Roles are seen by another client.
        scene.assert_revoked(&changed, "roles_changed", "added hallpass:read-audit").await;
        scene.leave(&other.person, &group).await;
        scene.assert_revoked(&other, "claims_changed", "groups removed /a").await;
        rules[0].wait_for_hits(rules[0].hits() + 2).await;
        scene.wait_for(&left, "active").await;
        proxy.clear();
        scene.assert_revoked(&left, "claims_changed", "groups removed /a").await;
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn an_owner_who_leaves_a_group_while_a_token_says_it_gets_none() {
    let proxy = FaultProxy::start();
    let (scene, evaluation) = scene_behind(&proxy).await;
    let (group, person) = (scene.group("a").await, scene.realm.person().await);
    scene.join(&person, &group).await;
    scene.wait_until_followed().await;
    let api = scene.server.user(&person).await;
    let rule = proxy.on_nth(2, &format!("{evaluation}{}*", person.id), Fault::HoldRequest);
    let body = json!({"name": unique("race")});
    let (answer, ()) = tokio::join!(api.post(TOKENS, &body), async {
        rule.wait_until_held().await;
        scene.leave(&person, &group).await;
        rule.release();
    });
    answer.expect_problem(409, "owner-changed");
    assert_eq!(api.get(TOKENS).await.expect(200)["pagination"]["total"], 0);
    api.post(TOKENS, &body).await.expect(201);
    scene.server.stop().await;
}
