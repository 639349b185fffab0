//! Keycloak answers each call of an operation in each wrong way: the caller is told the truth in time, nothing is
//! sent twice, and record and Keycloak agree again.

use std::time::{Duration, Instant};

use hallpass::id::{AccountId, ClientId};
use tokio::task::JoinHandle;

use super::agree::{assert_nothing_stuck, find_in_keycloak, until_agreed};
use super::operation::{Call, Operation};
use super::{Account, HEALED, Made, path, settings, unswept};
use crate::support::{Answer, Database, Fault, FaultProxy, Rule, TestRealm, TestServer};

/// From the request to the answer, whatever Keycloak does.
const BOUND: Duration = Duration::from_secs(20);
/// Longer than a call to Keycloak may take.
const LATE: Duration = Duration::from_secs(7);
/// More than any answer that is read.
const HUGE: usize = 9 * 1024 * 1024;

type Problem = (u16, &'static str);
const AWAY: Problem = (503, "keycloak-unavailable");
const REFUSED: Problem = (503, "keycloak-refused");

fn quick_faults() -> Vec<Fault> {
    let statuses = [401, 403, 404, 409, 500, 503].map(Fault::status);
    let others = [
        Fault::Garbage,
        Fault::Answer(200, "x".repeat(HUGE)),
        Fault::CutRequest,
        Fault::CutAnswer,
        Fault::CutHalfWay,
    ];
    statuses.into_iter().chain(others).collect()
}

/// What is answered; `None` when the operation succeeds all the same.
fn expected(operation: Operation, call: &Call, fault: &Fault) -> Option<Problem> {
    match fault {
        Fault::Answer(409, _) if operation == Operation::Create && !call.reads() => {
            Some((409, "client-id-taken"))
        }
        Fault::Answer(200..=499, _) => Some(REFUSED),
        // An answer without a body has no second half.
        Fault::CutHalfWay if !call.reads() && operation != Operation::Regenerate => None,
        _ => Some(AWAY),
    }
}

/// A server behind a proxy, and what was done to its clients.
struct Trial {
    account: Account,
    proxy: FaultProxy,
    server: TestServer,
    victims: Vec<(Operation, String, String, Option<Made>)>,
}

impl Trial {
    async fn new() -> Self {
        let (realm, proxy) = (TestRealm::shared().await, FaultProxy::start());
        let account = Account::new(&realm).await;
        let extra = settings(&proxy);
        let server =
            Box::pin(unswept(&proxy, TestServer::start_with(realm, Database::sqlite, &extra)))
                .await;
        Self { account, proxy, server, victims: Vec::new() }
    }

    /// Begins the operation on a client of its own, with these rules for Keycloak.
    async fn begin(
        &mut self,
        operation: Operation,
        what: &str,
        rule: impl FnOnce(&FaultProxy, Option<&Made>) -> Rule,
    ) -> (Rule, JoinHandle<(Answer, Duration)>) {
        let base = self.server.base();
        let name = format!("{operation:?}-{}", self.victims.len());
        let made = operation.prepare(&self.account, base, &name).await;
        let rule = rule(&self.proxy, made.as_ref());
        let (api, asked) = (self.account.member(base), Instant::now());
        let request = operation.request(&self.account, base, &name);
        let id = self.account.client_id(&name);
        self.victims.push((operation, what.to_owned(), id, made));
        (rule, tokio::spawn(async move { (api.send(request).await, asked.elapsed()) }))
    }

    fn check(&self, what: &str, problem: Option<Problem>, (answer, took): (Answer, Duration)) {
        let (operation, _, _, made) = self.victims.last().unwrap();
        let what = format!("{what} after {took:?}: {answer:?}");
        assert!(took < BOUND, "{what}");
        let Some((status, code)) = problem else {
            assert_eq!(answer.status.as_u16(), operation.success(), "{what}");
            return;
        };
        assert_eq!(answer.status.as_u16(), status, "{what}");
        assert!(!answer.text.contains("clientSecret"), "{what}");
        assert!(made.as_ref().is_none_or(|made| !answer.text.contains(&made.secret)), "{what}");
        answer.expect_problem(status, code);
    }

    /// Each quick fault at each call, one after the other.
    async fn fails_quickly(&mut self, operation: Operation, calls: &[Call]) {
        for fault in quick_faults() {
            for call in calls {
                let mut what = format!("{operation:?} {call:?} {fault:?}");
                what.truncate(200);
                let failing = fault.clone();
                let (rule, request) = self
                    .begin(operation, &what, |proxy, made| {
                        proxy.clear();
                        proxy.on_from(call.nth, &call.pattern_for(made), failing)
                    })
                    .await;
                self.check(&what, expected(operation, call, &fault), request.await.unwrap());
                assert!(rule.hits() >= call.nth, "the call was not made: {what}");
                // A new login is the one reason to say it again: Keycloak did not listen.
                let again = usize::from(matches!(fault, Fault::Answer(401, _)));
                assert!(call.reads() || rule.hits() <= call.nth + again, "sent twice: {what}");
                self.assert_nothing_sent_twice(&what);
                self.proxy.clear();
            }
        }
    }

    fn assert_nothing_sent_twice(&self, what: &str) {
        let mut changes = self.proxy.passed();
        changes.retain(|line| !line.starts_with("GET ") && !line.ends_with("/token"));
        for change in &changes {
            assert_eq!(self.proxy.count(change), 1, "{what}: {changes:?}");
        }
    }

    /// Each call is carried out only after Hallpass gave it up.
    async fn is_late(&mut self, operation: Operation, calls: &[Call]) {
        self.proxy.clear();
        let mut late = Vec::new();
        for call in calls {
            let what = format!("{operation:?} {call:?} late");
            let (rule, request) = self
                .begin(operation, &what, |proxy, made| {
                    proxy.on_nth(call.nth, &call.pattern_for(made), Fault::Delay(LATE))
                })
                .await;
            rule.wait_for_hits(call.nth).await;
            late.push((what, request));
        }
        for (what, request) in late {
            self.check(&what, Some(AWAY), request.await.unwrap());
        }
        if operation == Operation::Create {
            self.until_made_late().await;
        }
    }

    /// Waits until Keycloak has carried out the creation that nobody waits for any more. A look that took long has found
    /// and removed it by then, and so the record went too.
    async fn until_made_late(&self) {
        let is_creation = |what: &str| what.contains("\"POST ") && what.ends_with("late");
        let (_, what, id, _) = self.victims.iter().find(|(_, what, ..)| is_creation(what)).unwrap();
        let began = Instant::now();
        let administrator = self.account.administrator(self.server.base());
        while find_in_keycloak(&self.account, id).await.is_none()
            && administrator.get(&path(id)).await.status != 404
        {
            assert!(began.elapsed() < HEALED, "{what}: never made");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A minute later everything is whole.
    async fn heals(self) {
        self.proxy.clear();
        self.server.clock.advance(HEALED);
        let (account, base) = (&self.account, self.server.base());
        for (operation, what, id, made) in &self.victims {
            until_agreed((account, base), id, what, HEALED).await;
            if let Some(made) = made {
                operation.assert_whole(account, base, made).await;
            }
        }
        assert_nothing_stuck(account, base, "after all faults").await;
        self.server.stop().await;
    }
}

async fn survives_every_answer(operations: &[Operation]) {
    let mut trial = Box::pin(Trial::new()).await;
    for operation in operations {
        let calls = operation.record(&trial.account, trial.server.base(), &trial.proxy).await;
        trial.fails_quickly(*operation, &calls).await;
        trial.is_late(*operation, &calls).await;
    }
    Box::pin(trial.heals()).await;
}

#[tokio::test]
async fn a_creation_survives_every_answer_of_keycloak() {
    Box::pin(survives_every_answer(&[Operation::Create])).await;
}

#[tokio::test]
async fn a_change_survives_every_answer_of_keycloak() {
    Box::pin(survives_every_answer(&[Operation::ChangeScopes])).await;
}

#[tokio::test]
async fn a_new_secret_and_a_deletion_survive_every_answer_of_keycloak() {
    Box::pin(survives_every_answer(&[Operation::Regenerate, Operation::Delete])).await;
}

/// A proxy before Keycloak that gives up has not stopped Keycloak: its 504 says nothing.
#[tokio::test]
async fn a_creation_that_keycloak_carries_out_after_a_gateway_gave_up_leaves_nothing() {
    let mut trial = Box::pin(Trial::new()).await;
    for status in [502, 503, 504] {
        let operation = Operation::Create;
        let what = format!("{status}");
        let pattern = format!("POST /admin/realms/{}/clients", trial.account.realm.name);
        let (_, request) = trial
            .begin(operation, &what, |proxy, _| proxy.on(&pattern, Fault::status(status)))
            .await;
        trial.check(&what, Some(AWAY), request.await.unwrap());
        trial.proxy.clear();
        // What the gateway gave up comes to Keycloak now: the record's mark is known from the record.
        let (_, _, id, _) = trial.victims.last().unwrap();
        make_as_hallpass_would(&trial, id).await;
        assert!(find_in_keycloak(&trial.account, id).await.is_some());
    }
    Box::pin(trial.heals()).await;
}

async fn make_as_hallpass_would(trial: &Trial, id: &str) {
    let store = trial.server.store().await;
    let account = AccountId::parse(&trial.account.name).unwrap();
    let record = store.find_client(&ClientId::parse(&account, id).unwrap()).await.unwrap();
    let record = record.unwrap_or_else(|| panic!("{id} was given up at once"));
    store.close().await;
    let client = serde_json::json!({"clientId": id, "attributes": {
        "hallpass.client": record.record_id, "hallpass.account": trial.account.name}});
    let admin = trial.account.keycloak().await;
    admin.post(&format!("/{}/clients", trial.account.realm.name), &client).await;
}
