//! The profile `domo`: each manages only their own, ids are generated, nothing changes, the secret shows once.

use serde_json::{Value, json};

use super::secrets::audited;
use super::{CLIENTS, at, fields, in_keycloak, make, make_at_once, manager, member, used};
use crate::support::{
    Answer, DATABASES, Database, Fault, FaultProxy, TestRealm, TestServer, unique,
};

const DOMO: [(&str, &str); 2] =
    [("HALLPASS_CLIENTS__PROFILE", "domo"), ("HALLPASS_CLIENTS__QUOTA", "100")];

fn named(name: &str) -> Value {
    json!({"displayName": name, "description": "What it is for", "capabilities": ["script"]})
}

#[tokio::test]
async fn ids_are_generated_and_names_are_required_and_unique_in_the_account() {
    let realm = TestRealm::shared().await;
    let (account, elsewhere) = (unique("acme"), unique("globex"));
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let foreigner = member(&realm, &elsewhere).await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &DOMO).await;
        let (api, other) = (server.user(&person).await, server.user(&colleague).await);
        let problem = api.post(CLIENTS, &json!({"clientId": format!("{account}_a")})).await;
        let problem = problem.expect_problem(400, "invalid");
        assert_eq!(fields(&problem), ["capabilities", "clientId", "description", "displayName"]);
        let blank = json!({"displayName": " ", "description": null, "capabilities": ["script"]});
        let problem = api.post(CLIENTS, &blank).await.expect_problem(400, "invalid");
        assert_eq!(fields(&problem), ["description", "displayName"]);

        let made = make(&api, &named("Reports")).await;
        let id = made["clientId"].as_str().unwrap();
        let end = id.strip_prefix(&format!("{account}_")).unwrap();
        assert!(end.len() >= 20, "{id} can be guessed");
        assert!(made["clientSecret"].as_str().unwrap().len() >= 32);
        let taken = |answer: Answer| answer.expect_problem(409, "display-name-taken");
        taken(api.post(CLIENTS, &named(" REPORTS ")).await);
        taken(other.post(CLIENTS, &named("reports")).await);
        make(&server.user(&foreigner).await, &named("Reports")).await;
        // Free again when it is gone.
        api.delete(&at(id)).await.expect(204);
        make(&other, &named("Reports")).await;
        assert_eq!(used(&api).await, 1);

        let wanted = (0..6).map(|n| {
            let caller = if n % 2 == 0 { &api } else { &other };
            (caller.clone(), named("Race"))
        });
        let (made, refused): (Vec<_>, Vec<_>) = make_at_once(wanted)
            .await
            .into_iter()
            .map(|(_, answer)| answer)
            .partition(|answer| answer.status == 201);
        assert_eq!(made.len(), 1, "{refused:?}");
        for answer in refused {
            taken(answer);
        }
        assert_eq!(used(&api).await, 2);
        server.stop().await;
    }
}

#[tokio::test]
async fn nothing_can_be_changed_and_the_secret_shows_once() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, manager) = (member(&realm, &account).await, manager(&realm).await);
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &DOMO).await;
    let (api, managing) = (server.user(&person).await, server.user(&manager).await);
    let made = make(&api, &named("Reports")).await;
    let path = at(made["clientId"].as_str().unwrap());
    for caller in [&api, &managing] {
        let change = json!({"displayName": "Other", "surprise": 1});
        caller.patch(&path, &change).await.expect_problem(409, "not-editable");
        let secret = format!("{path}/secret");
        caller.post_empty(&secret).await.expect_problem(409, "not-editable");
        caller.get(&secret).await.expect_problem(404, "secret-not-available");
        assert!(caller.get(&path).await.expect(200).get("clientSecret").is_none());
    }
    // What is not there is not there, rather than not editable.
    api.patch(&at("nobody_x"), &json!({})).await.expect_problem(404, "not-found");
    server.stop().await;
}

#[tokio::test]
async fn each_sees_their_own_and_lists_show_the_beginning_of_ids() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let manager = manager(&realm).await;
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &DOMO).await;
    let (api, other) = (server.user(&person).await, server.user(&colleague).await);
    let managing = server.user(&manager).await;
    let mine = make(&api, &named("Mine")).await["clientId"].as_str().unwrap().to_owned();
    let theirs = make(&other, &named("Theirs")).await["clientId"].as_str().unwrap().to_owned();

    let page = api.get(CLIENTS).await.expect(200);
    assert_eq!(page["pagination"]["total"], 1);
    let shown = page["clients"][0]["clientId"].as_str().unwrap();
    let beginning = shown.strip_suffix('…').unwrap();
    assert_eq!(beginning, &mine[..account.len() + 9]);
    assert_eq!(page["clients"][0]["owner"]["id"], person.id);
    assert!(!page.to_string().contains(&mine));
    let all = managing.get(&format!("{CLIENTS}?search={account}")).await.expect(200);
    assert_eq!(all["pagination"]["total"], 2);
    assert!(!all.to_string().contains(&mine) && !all.to_string().contains(&theirs));
    // The quota is the account's.
    assert_eq!(used(&api).await, 2);

    // The beginning will do while it is unambiguous, for those who may see it.
    for caller in [&api, &managing] {
        assert_eq!(caller.get(&at(shown)).await.expect(200)["clientId"], mine.as_str());
    }
    other.get(&at(shown)).await.expect_problem(404, "not-found");
    other.get(&at(&mine)).await.expect_problem(404, "not-found");
    other.delete(&at(shown)).await.expect_problem(404, "not-found");
    for wrong in
        ["…".to_owned(), format!("{account}_…"), format!("{account}_%…"), shown.to_uppercase()]
    {
        managing.get(&at(&wrong)).await.expect_problem(404, "not-found");
    }
    let bulk = json!({"clientIds": [shown, format!("{account}_…")]});
    let answer = other.post(&format!("{CLIENTS}/delete/bulk"), &bulk).await.expect(200);
    assert_eq!(answer["results"][0]["outcome"], "not_found");
    // The colleague has one client: of it, any beginning is unambiguous.
    assert_eq!(answer["results"][1]["outcome"], "deleted");
    assert!(in_keycloak(&realm, &theirs).await.is_none());
    let answer = api.post(&format!("{CLIENTS}/delete/bulk"), &bulk).await.expect(200);
    assert_eq!(answer["results"][0], json!({"clientId": shown, "outcome": "deleted"}));
    assert!(in_keycloak(&realm, &mine).await.is_none());
    assert_eq!(used(&api).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn after_a_transfer_the_new_owner_reads_the_secret_once_and_nobody_else_does() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let manager = manager(&realm).await;
    for database in DATABASES {
        let server = TestServer::start_with(realm.clone(), database, &DOMO).await;
        let (api, other) = (server.user(&person).await, server.user(&colleague).await);
        let managing = server.user(&manager).await;
        let made = make(&api, &named("Handed on")).await;
        assert_eq!(made["secretUnread"], false);
        let id = made["clientId"].as_str().unwrap();
        let (transfer, secret) = (format!("{}/transfer", at(id)), format!("{}/secret", at(id)));
        // To oneself would be a new secret by another name.
        let own = api.post(&transfer, &json!({"ownerId": person.id})).await;
        assert_eq!(fields(&own.expect_problem(400, "invalid")), ["ownerId"]);
        let handed_on = api.post(&transfer, &json!({"ownerId": colleague.id})).await.expect(200);
        assert_eq!(handed_on["owner"], json!({"id": colleague.id, "username": colleague.username}));
        assert_eq!(handed_on["secretUnread"], true);
        let now = in_keycloak(&realm, id).await.unwrap()["secret"].as_str().unwrap().to_owned();
        assert_ne!(made["clientSecret"], now.as_str());
        assert!(!handed_on.to_string().contains(&now), "{handed_on}");

        api.get(&at(id)).await.expect_problem(404, "not-found");
        api.get(&secret).await.expect_problem(404, "not-found");
        managing.get(&secret).await.expect_problem(404, "secret-not-available");
        // A look at the headers alone does not use it up.
        let head = other.send(other.request(reqwest::Method::HEAD, &secret)).await;
        assert_eq!(head.status, 405);
        assert_eq!(other.get(&at(id)).await.expect(200)["secretUnread"], true);
        // Of several at once one is shown it.
        let answers = tokio::join!(other.get(&secret), other.get(&secret), other.get(&secret));
        let (shown, refused): (Vec<_>, Vec<_>) =
            [answers.0, answers.1, answers.2].into_iter().partition(|one| one.status == 200);
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert_eq!(shown[0].headers["cache-control"], "no-store");
        assert_eq!(shown[0].json()["clientSecret"], now.as_str());
        for answer in refused {
            answer.expect_problem(404, "secret-not-available");
        }
        other.get(&secret).await.expect_problem(404, "secret-not-available");
        assert_eq!(other.get(&at(id)).await.expect(200)["secretUnread"], false);
        assert_eq!(in_keycloak(&realm, id).await.unwrap()["secret"], now.as_str());
        let log = audited(&server.database, id).await;
        let expected = [
            ("client_created", &person.id),
            ("client_transferred", &person.id),
            ("client_secret_read", &colleague.id),
        ];
        let log: Vec<_> = log.iter().map(|(action, actor)| (action.as_str(), actor)).collect();
        assert_eq!(log, expected);

        // Handed on unread, it is the next owner's to read.
        let back = json!({"ownerUsername": person.username});
        other.post(&transfer, &back).await.expect(200);
        other.get(&secret).await.expect_problem(404, "not-found");
        let again = managing.post(&transfer, &json!({"ownerId": colleague.id})).await.expect(200);
        assert!(again.get("clientSecret").is_none());
        api.get(&secret).await.expect_problem(404, "not-found");
        assert_ne!(other.get(&secret).await.expect(200)["clientSecret"], now.as_str());
        other.delete(&at(id)).await.expect(204);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_secret_that_keycloak_did_not_tell_is_still_to_be_read() {
    let realm = TestRealm::shared().await;
    let account = unique("acme");
    let (person, colleague) = (member(&realm, &account).await, member(&realm, &account).await);
    let proxy = FaultProxy::start();
    let settings = [DOMO[0], DOMO[1], ("HALLPASS_KEYCLOAK__URL", proxy.url())];
    let server = TestServer::start_with(realm.clone(), Database::sqlite, &settings).await;
    let (api, other) = (server.user(&person).await, server.user(&colleague).await);
    let made = make(&api, &named("Handed on")).await;
    let id = made["clientId"].as_str().unwrap();
    let (transfer, secret) = (format!("{}/transfer", at(id)), format!("{}/secret", at(id)));
    api.post(&transfer, &json!({"ownerId": colleague.id})).await.expect(200);
    proxy.on("GET /admin/*/clients/*/client-secret", Fault::CutAnswer);
    other.get(&secret).await.expect_problem(503, "keycloak-unavailable");
    proxy.clear();
    other.get(&secret).await.expect(200);
    other.get(&secret).await.expect_problem(404, "secret-not-available");
    server.stop().await;
}
