//! Lists of API clients. They are made through Hallpass, so each has its Keycloak client.

use std::time::{Duration, Instant};

use hallpass::page::{Direction, PageRequest};
use hallpass::store::{ClientFilter, ClientSort, NewClient, Seen, Store, StoredSpec, Visible};
use serde_json::json;

use crate::support::{Api, Database, TestRealm, TestServer, unique};
use crate::{Question, Report};

const CLIENTS: u64 = 5_000;
/// How many one person makes.
const EACH: u64 = 100;
const PATH: &str = "/api/clients/v1/clients";
const QUESTIONS: [(&str, &str, u64); 9] = [
    ("first page", "", CLIENTS),
    ("last page", "offset=4990", CLIENTS),
    ("a hundred at once", "limit=100&offset=2000", CLIENTS),
    ("by name", "sort=displayName&direction=asc&offset=2500", CLIENTS),
    ("by owner", "sort=owner&offset=2500", CLIENTS),
    ("by status", "sort=status&offset=2500", CLIENTS),
    ("search, one hit", "search=client+number+4321", 1),
    ("search, no hit", "search=100%25", 0),
    ("search and status, all", "search=NUMBER&status=active&sort=clientId&offset=4000", CLIENTS),
];

pub async fn measure(report: &mut Report) {
    report.lists(
        "Lists of API clients",
        "An administrator's list over HTTP, with 5,000 API clients in one realm, each with its Keycloak client.",
    );
    let realm = TestRealm::own().await;
    let person = realm.person().await;
    realm.give_roles(&person, "hallpass", &["create-api-clients", "manage-api-clients"]).await;
    let quota = [("HALLPASS_CLIENTS__QUOTA", "10000"), ("HALLPASS_LIFECYCLE__POLL_INTERVAL", "1h")];
    let questions = QUESTIONS.map(|(name, query, total)| Question {
        name,
        path: format!("{PATH}?{query}"),
        total,
    });

    let sqlite = TestServer::start_with(realm.clone(), Database::sqlite, &quota).await;
    let user = sqlite.user(&person).await;
    let began = Instant::now();
    make_clients(&sqlite, &person.username.replace('-', "")).await;
    println!("made {CLIENTS} clients in {:.0} s", began.elapsed().as_secs_f64());
    report.ask("SQLite", &user, &questions).await;

    let postgres = TestServer::start_with(realm.clone(), Database::postgres, &quota).await;
    copy(&sqlite.store().await, &postgres.store().await).await;
    report.ask("PostgreSQL", &postgres.user(&person).await, &questions).await;
    sqlite.stop().await;
    postgres.stop().await;
}

/// By as many members of the account as it takes: one alone is not let make so many at once.
async fn make_clients(server: &TestServer, account: &str) {
    let mut tasks = tokio::task::JoinSet::new();
    for lane in 0..8 {
        let mut makers = Vec::new();
        for turn in (lane..CLIENTS / EACH).step_by(8) {
            makers.push((turn * EACH, member(server, account).await));
        }
        let account = account.to_owned();
        tasks.spawn(async move {
            for (first, maker) in makers {
                for number in first..first + EACH {
                    let body = json!({"clientId": format!("{account}_{number}"), "capabilities": ["script"],
                        "displayName": format!("Client number {number}"), "scopes": ["push-data"]});
                    maker.post(PATH, &body).await.expect(201);
                }
            }
        });
    }
    tasks.join_all().await;
}

async fn member(server: &TestServer, account: &str) -> Api {
    let attributes = json!({"attributes": {"account_id": [account]}});
    let person = server.realm.person_with(&unique("maker"), attributes).await;
    server.realm.give_roles(&person, "hallpass", &["create-api-clients"]).await;
    server.user(&person).await
}

/// The same records in another store: making the Keycloak clients again would only take time.
async fn copy(from: &Store, to: &Store) {
    let mut offset = 0;
    loop {
        let filter = ClientFilter {
            search: String::new(),
            status: None,
            owner: None,
            capability: None,
            scope: None,
            sort: ClientSort::ClientId,
            direction: Direction::Ascending,
            page: PageRequest { offset, limit: 100 },
        };
        let page = from.list_clients(&Visible::All, &filter).await.unwrap();
        if page.items.is_empty() {
            return;
        }
        offset += 100;
        for record in page.items {
            let name =
                serde_json::from_str::<serde_json::Value>(&record.spec).unwrap()["displayName"]
                    .as_str()
                    .unwrap()
                    .to_lowercase();
            let spec = StoredSpec {
                json: record.spec,
                search_text: format!("{}\n{name}\n\n{}", record.client_id, record.owner_username),
                display_name: name,
                unique_name: None,
            };
            let new = NewClient {
                record_id: record.record_id.clone(),
                client_id: record.client_id,
                account_id: record.account_id,
                owner_id: record.owner_id,
                owner_username: record.owner_username,
                spec: spec.clone(),
                created_at: record.created_at,
                // Nobody takes it for interrupted before it is complete.
                lease_until: record.created_at.plus(Duration::from_hours(24)),
            };
            to.reserve_client(&new, 10_000).await.unwrap();
            let seen = Seen {
                spec,
                secret_created_at: record.secret_created_at,
                drifted_fields: Vec::new(),
            };
            let event = created(&new);
            let reserved = to.find_client_record(&record.record_id).await.unwrap().unwrap();
            to.complete_client(&reserved, &record.keycloak_id.unwrap(), &seen, &event)
                .await
                .unwrap();
        }
    }
}

fn created(client: &NewClient) -> hallpass::audit::Event {
    let subject = (client.client_id.to_string(), client.client_id.to_string());
    let actor = hallpass::audit::Actor::hallpass();
    let action = hallpass::audit::Act::ClientCreated;
    hallpass::audit::Event::new(action, subject, &client.owner_id, &actor, client.created_at)
}
