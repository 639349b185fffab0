//! Validation, by the processor time of the server for each request: Hallpass beside the floor and beside its peers, in rounds
//! of one run.

mod ask;
mod floor;
mod load;
mod peers;
mod signature;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::release::free_address;
use crate::support::{Admin, forged, http};
use crate::{Report, cpu, median};
use load::{Ask, Right};
use peers::{Peer, Peers};
use signature::Signature;
use tokens::{Scene, Twin};

const ROUNDS: usize = 5;
/// How many tokens were seen before.
const SEEN: usize = 10_000;
/// How many are seen for the first time in each round.
const NEW: usize = 20_000;
/// How many requests a round has for a server that is as fast as the floor: some seconds, in which each token is used
/// again and again. Hallpass writes the last use of a token once a minute, and so in each round.
const MANY: usize = 160_000;
/// For one that takes ten times as long.
const SOME: usize = 8_000;
/// For Keycloak. It is warm after some ten thousand.
const FEW: usize = 4_000;
const WARM: usize = 24_000;
/// Hallpass writes last uses once a second.
const UNTIL_WRITTEN: Duration = Duration::from_millis(1_500);
/// More than this share of the processors for others, and the run says little.
const MOST_FOR_OTHERS: f64 = 0.15;

/// A server, and what is asked of it.
struct Target {
    name: &'static str,
    address: SocketAddr,
    processes: Vec<u32>,
    ask: Ask,
    right: Right,
    /// How many requests a round has.
    requests: usize,
    /// Each round goes on where the last one ended.
    goes_on: bool,
    runs: Vec<Run>,
}

struct Run {
    /// Microseconds a request.
    cpu: f64,
    per_second: f64,
    late: Duration,
    /// MiB.
    resident: f64,
    /// The share of the processors that neither the server nor who asks it used.
    others: f64,
}

impl Target {
    fn new(name: &'static str, at: (SocketAddr, &[u32]), ask: Ask, right: Right) -> Self {
        let (address, processes) = (at.0, at.1.to_vec());
        Self { name, address, processes, ask, right, requests: MANY, goes_on: false, runs: vec![] }
    }

    fn of(name: &'static str, peer: &Peer, ask: Ask, right: Right) -> Self {
        Self { requests: SOME, ..Self::new(name, (peer.address, &peer.processes), ask, right) }
    }

    /// Their processor time counts, too.
    fn beside(mut self, processes: &[u32]) -> Self {
        self.processes.extend(processes);
        self
    }

    fn anew(self) -> Self {
        Self { requests: NEW, goes_on: true, ..self }
    }

    async fn run(&mut self, round: usize) {
        let first = if self.goes_on { round * self.requests } else { 0 };
        let numbers = first..first + self.requests;
        let (used, all) = (cpu::used_by(&self.processes), cpu::used_by_all());
        let own = cpu::used_by_this();
        let began = Instant::now();
        let (took, late) = load::send(self.address, &self.ask, self.right, numbers).await;
        if self.goes_on {
            // So short a run ends before the last uses of its tokens are written, or not, by chance.
            tokio::time::sleep(UNTIL_WRITTEN).await;
        }
        let all_took = began.elapsed();
        let used = cpu::used_by(&self.processes).saturating_sub(used);
        let own = cpu::used_by_this().saturating_sub(own);
        let others = cpu::used_by_all().saturating_sub(all).saturating_sub(used + own);
        let requests = f64::from(u32::try_from(self.requests).unwrap());
        self.runs.push(Run {
            cpu: used.as_secs_f64() * 1e6 / requests,
            per_second: requests / took.as_secs_f64(),
            late,
            resident: cpu::resident(&self.processes),
            others: others.as_secs_f64() / all_took.as_secs_f64() / cpu::processors(),
        });
    }

    fn median(&self, value: fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(value).collect())
    }
}

/// What one costs over what another costs, and the most that it may be.
struct Ratio(&'static str, &'static str, Bound);

enum Bound {
    AtMost(f64),
    /// So many times as cheap.
    Cheaper(f64),
}

const FLOOR: &str = "the floor: axum, empty, same headers";
/// The floor, and one RSA-2048 verification, which is measured alone in each round.
const FLOOR_AND_SIGNATURE: &str = "the floor and one RSA-2048 verification";
const FLOOR_OF_FORMS: &str = "the floor: axum, form read, same answer";
const SEEN_BEFORE: &str = "Hallpass, forward-auth, seen before";
const LOGGED: &str = "the same, each request logged";
const FIRST_SEEN: &str = "Hallpass, forward-auth, first seen";
const RUBBISH: &str = "Hallpass, forward-auth, rubbish";
const FORGED: &str = "Hallpass, forward-auth, forged signature";
const INTROSPECTION: &str = "Hallpass, introspection, seen before";
const KEYCLOAK: &str = "Keycloak, introspection, warm";
const NGINX: &str = "nginx, `return 200`";
const NGINX_AND_HALLPASS: &str = "nginx, `auth_request` to Hallpass, both";
const NGINX_AND_OAUTH2_PROXY: &str = "nginx, `auth_request` to oauth2-proxy, both";
const OAUTH2_PROXY: &str = "oauth2-proxy";
const ENVOY: &str = "Envoy `jwt_authn`";
const ENVOY_CACHED: &str = "Envoy `jwt_authn`, cached";
const APACHE: &str = "Apache mod_auth_openidc";
const FASTIFY: &str = "fastify with jose";

const RATIOS: [Ratio; 11] = [
    Ratio(SEEN_BEFORE, FLOOR, Bound::AtMost(1.35)),
    Ratio(LOGGED, FLOOR, Bound::AtMost(f64::INFINITY)),
    Ratio(SEEN_BEFORE, ENVOY_CACHED, Bound::Cheaper(2.0)),
    Ratio(SEEN_BEFORE, OAUTH2_PROXY, Bound::Cheaper(18.0)),
    Ratio(FIRST_SEEN, FLOOR_AND_SIGNATURE, Bound::AtMost(1.4)),
    Ratio(FIRST_SEEN, ENVOY, Bound::Cheaper(1.5)),
    Ratio(RUBBISH, FLOOR, Bound::AtMost(1.4)),
    Ratio(INTROSPECTION, FLOOR_OF_FORMS, Bound::AtMost(1.5)),
    Ratio(INTROSPECTION, KEYCLOAK, Bound::Cheaper(30.0)),
    Ratio(NGINX_AND_HALLPASS, NGINX_AND_OAUTH2_PROXY, Bound::Cheaper(6.0)),
    Ratio(FORGED, FLOOR, Bound::AtMost(f64::INFINITY)),
];

pub async fn measure(report: &mut Report) {
    let scene = Scene::set().await;
    let admin = Admin::log_in().await;
    // One token of the realm's own lasts for the whole run.
    admin.put(&format!("/{}", scene.realm.name), &json!({"accessTokenLifespan": 7200})).await;
    println!("signing {} tokens …", SEEN + NEW * (ROUNDS + 1));
    let seen: Arc<[String]> = scene.tokens(0..SEEN).await.into();
    let new: Arc<[String]> = scene.tokens(SEEN..SEEN + NEW * (ROUNDS + 1)).await.into();
    let (scene, twin) = scene.with_twin().await;
    let (_floor, mut targets) = ours(&scene, &twin, &seen, new).await;
    let peers = Peers::of(&scene.realm).await;
    let others = Others::start(&peers, &scene).await;
    let realms_own: Arc<[String]> = [scene.realm.access_token(&scene.owner).await].into();
    targets.extend(others.targets(&scene, &seen, realms_own));
    let signatures = run_all(&mut targets).await;
    tell(report, &targets, &signatures);
}

/// Hallpass, and the floor below it.
async fn ours(
    scene: &Scene,
    twin: &Twin,
    seen: &Arc<[String]>,
    new: Arc<[String]>,
) -> (tokio::process::Child, Vec<Target>) {
    let hallpass = (scene.hallpass.address, &[scene.hallpass.id()][..]);
    let logging = (twin.hallpass.address, &[twin.hallpass.id()][..]);
    let (child, floor_address) = floor_like(scene, &seen[0]).await;
    let floor = [child.id().unwrap()];
    let floor = (floor_address, &floor[..]);
    let service = (&*scene.service.id, &*scene.service.secret);
    let introspect = || ask::introspection(service, "/oauth2/introspect", seen.clone());
    let forward = |tokens: &Arc<[String]>| ask::bearer("/forward-auth", tokens.clone());
    let forged = new.iter().map(|token| forged(token)).collect();
    let targets = vec![
        Target::new(FLOOR, floor, forward(seen), ask::passes),
        Target::new(SEEN_BEFORE, hallpass, forward(seen), ask::passes),
        Target::new(LOGGED, logging, forward(seen), ask::passes),
        Target::new(FIRST_SEEN, hallpass, forward(&new), ask::passes).anew(),
        Target::new(RUBBISH, hallpass, forward(&ask::rubbish(seen)), ask::is_refused),
        Target::new(FORGED, hallpass, forward(&forged), ask::is_refused).anew(),
        Target::new(FLOOR_OF_FORMS, floor, introspect(), ask::is_active),
        Target::new(INTROSPECTION, hallpass, introspect(), ask::is_active),
    ];
    (child, targets)
}

/// The peers that run.
struct Others {
    keycloak: Peer,
    nginx: Peer,
    envoy_cached: Peer,
    envoy: Peer,
    apache: Peer,
    fastify: Peer,
    /// With an nginx that asks it.
    oauth2_proxy: Option<(Peer, Peer)>,
}

impl Others {
    async fn start(peers: &Peers, scene: &Scene) -> Self {
        let oauth2_proxy = match peers.oauth2_proxy(scene.audience()).await {
            Some(proxy) => {
                let nginx = peers.nginx(proxy.address, "/oauth2/auth").await;
                Some((proxy, nginx))
            }
            None => None,
        };
        Self {
            keycloak: Peers::keycloak(),
            nginx: peers.nginx(scene.hallpass.address, "/forward-auth").await,
            envoy_cached: peers.envoy(true).await,
            envoy: peers.envoy(false).await,
            apache: peers.apache().await,
            fastify: peers.fastify().await,
            oauth2_proxy,
        }
    }

    fn targets(
        &self,
        scene: &Scene,
        seen: &Arc<[String]>,
        realms_own: Arc<[String]>,
    ) -> Vec<Target> {
        let with = |path| ask::bearer(path, seen.clone());
        let path = format!("/realms/{}/protocol/openid-connect/token/introspect", scene.realm.name);
        // Keycloak answers only who is in the token's audience.
        let client = ("hallpass", scene.realm.client_secret.expose_secret());
        let introspect = ask::introspection(client, &path, realms_own);
        let hallpass = [scene.hallpass.id()];
        let mut targets = vec![
            Target {
                requests: FEW,
                ..Target::of(KEYCLOAK, &self.keycloak, introspect, ask::is_active)
            },
            Target { requests: MANY, ..Target::of(NGINX, &self.nginx, with("/plain"), ask::is_ok) },
            Target::of(NGINX_AND_HALLPASS, &self.nginx, with("/protected"), ask::is_ok)
                .beside(&hallpass),
            Target::of(ENVOY_CACHED, &self.envoy_cached, with("/"), ask::is_ok),
            Target::of(ENVOY, &self.envoy, with("/"), ask::is_ok),
            Target::of(APACHE, &self.apache, with("/index.html"), ask::is_ok),
            Target::of(FASTIFY, &self.fastify, with("/"), ask::is_ok),
        ];
        if let Some((proxy, nginx)) = &self.oauth2_proxy {
            targets.push(Target::of(OAUTH2_PROXY, proxy, with("/oauth2/auth"), ask::is_accepted));
            targets.push(
                Target::of(NGINX_AND_OAUTH2_PROXY, nginx, with("/protected"), ask::is_ok)
                    .beside(&proxy.processes),
            );
        }
        targets
    }
}

/// Runs all of them in turn, and tells what a signature took in each round, in µs.
async fn run_all(targets: &mut [Target]) -> Vec<f64> {
    let signature = Signature::generate();
    for target in &mut *targets {
        println!("warming up: {}", target.name);
        let requests = target.requests;
        target.requests = if target.name == KEYCLOAK { WARM } else { requests };
        target.run(0).await;
        target.requests = requests;
        target.runs.clear();
    }
    let mut signatures = vec![];
    for round in 1..=ROUNDS {
        println!("round {round} of {ROUNDS}");
        for target in &mut *targets {
            // As a machine runs now, so it runs for both: it may be a quarter slower a minute later.
            if target.name == FIRST_SEEN {
                signatures.push(signature.time_verification());
            }
            target.run(round).await;
        }
    }
    signatures
}

fn tell(report: &mut Report, targets: &[Target], signatures: &[f64]) {
    report.section(
        "Validation, by the server's processor time",
        "10,000 tokens over 64 connections, every answer checked, all targets in turn in five rounds; medians. Server CPU is user \
         and system time of the server's processes over answered requests, with what Hallpass writes of last uses; the load comes from the \
         same two cores.",
        "| what | server CPU, µs | requests/s | 99 %, ms | RSS, MiB |\n|---|---:|---:|---:|---:|",
    );
    for target in targets {
        let row = format!(
            "| {} | {:.1} | {:.0} | {:.1} | {:.0} |",
            target.name,
            target.median(|run| run.cpu),
            target.median(|run| run.per_second),
            target.median(|run| run.late.as_secs_f64() * 1e3),
            target.median(|run| run.resident),
        );
        report.row(&row, true);
    }
    let others = median(targets.iter().map(|target| target.median(|run| run.others)).collect());
    report.section(
        "Validation, as ratios",
        &format!(
            "Of server CPU, medians of the rounds' ratios. One RSA-2048 verification alone took {:.1} µs. Other processes \
             used {:.0} % of the machine.",
            median(signatures.to_vec()),
            others * 100.0
        ),
        "| what | over what | ratio | target |\n|---|---|---:|---:|",
    );
    for Ratio(what, over, bound) in &RATIOS {
        let find = |name: &str| targets.iter().find(|target| target.name == name);
        let (floor, beside) = if *over == FLOOR_AND_SIGNATURE {
            (FLOOR, signatures)
        } else {
            (*over, &[0.0; ROUNDS][..])
        };
        let (Some(one), Some(other)) = (find(what), find(floor)) else { continue };
        let rounds = one.runs.iter().zip(&other.runs).zip(beside);
        let ratios = rounds.map(|((one, other), beside)| one.cpu / (other.cpu + beside));
        let ratio = median(ratios.collect());
        let (text, target, is_good) = match bound {
            Bound::AtMost(most) if most.is_infinite() => {
                (format!("{ratio:.2}"), String::new(), true)
            }
            Bound::AtMost(most) => (format!("{ratio:.2}"), format!("≤ {most}"), ratio <= *most),
            Bound::Cheaper(least) => {
                let times = 1.0 / ratio;
                (format!("{times:.1} times cheaper"), format!("≥ {least}"), times >= *least)
            }
        };
        report.row(&format!("| {what} | {over} | {text} | {target} |"), is_good);
    }
    assert!(others <= MOST_FOR_OTHERS, "others used {:.0} % of the machine", others * 100.0);
}

/// The floor, with the headers and the body of Hallpass's own answers.
async fn floor_like(scene: &Scene, token: &str) -> (tokio::process::Child, SocketAddr) {
    let url = format!("{}/forward-auth", scene.hallpass.base());
    let answer = http().get(&url).bearer_auth(token).send().await.unwrap();
    let mut headers = answer.headers().clone();
    // Those are written by the server itself.
    for name in ["content-length", "date"] {
        headers.remove(name);
    }
    let api = scene.hallpass.anonymous();
    let body = scene.service.ask(&api, token, &[]).await.text;
    floor::start(&headers, &body).await
}

/// Waits until something answers there.
async fn until_answers(url: &str) {
    let began = Instant::now();
    while http().get(url).send().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "{url} does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
