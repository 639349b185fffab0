//! What each request costs, without a network: the decision about a token alone, and with all that stands around it.
//! `make bench-hot-path`, beside a real Keycloak; its arguments are those of criterion.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]
#![allow(unreachable_pub, missing_docs)]

#[allow(dead_code, unused_imports)]
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use criterion::{Criterion, Throughput};
use hallpass::app::App;
use hallpass::clock::{Clock, Timestamp};
use hallpass::decide::{Accepts, Presented};
use hallpass::http::Service;
use hallpass::id::RequestId;
use hallpass::principal::Origin;
use hallpass::verify::{DEFAULT_MAX_BYTES, JwksCache, Rules, UnverifiedToken, check};
use tokio::runtime::Runtime;

use support::{Database, TestRealm, TestServer, forged};

const ADDRESS: [u8; 4] = [192, 0, 2, 1];

struct Scene {
    app: App,
    realm: TestRealm,
    good: String,
    forged: String,
    server: TestServer,
}

impl Scene {
    async fn set() -> Self {
        let realm = TestRealm::shared().await;
        let server = TestServer::start_with(realm.clone(), Database::postgres, &[]).await;
        let minted = server.user(&realm.person().await).await.mint("good").await;
        let good = minted["token"].as_str().unwrap().to_owned();
        let forged = forged(&good);
        let settings = realm.settings(&server.database, &[]);
        let app = App::build(settings, Clock::system()).await.unwrap();
        Self { app, realm, good, forged, server }
    }

    /// As the service does it four times a second.
    fn listen(&self, runtime: &Runtime) {
        let store = self.app.store.clone();
        runtime.spawn(async move {
            loop {
                store.hear().await.unwrap();
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
    }
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let scene = runtime.block_on(Scene::set());
    scene.listen(&runtime);
    let mut criterion = Criterion::default().configure_from_args();
    signatures(&mut criterion, &runtime, &scene);
    decisions(&mut criterion, &runtime, &scene);
    requests(&mut criterion, &runtime, &scene);
    criterion.final_summary();
    runtime.block_on(scene.server.stop());
}

fn signatures(criterion: &mut Criterion, runtime: &Runtime, scene: &Scene) {
    let keys = JwksCache::new(support::http(), scene.realm.jwks_url().parse().unwrap());
    runtime.block_on(keys.refresh()).unwrap();
    let rules = Rules::new(scene.realm.issuer(), "PAT");
    let now = Clock::system().now().seconds();
    let mut group = criterion.benchmark_group("token");
    group.bench_function("taken apart", |bench| {
        bench.iter(|| UnverifiedToken::parse(black_box(&scene.good), DEFAULT_MAX_BYTES).is_ok());
    });
    for (name, token) in [("checked, good", &scene.good), ("checked, forged", &scene.forged)] {
        group.bench_function(name, |bench| {
            bench.iter(|| runtime.block_on(check(&keys, token, &rules, now)).is_ok());
        });
    }
}

fn decisions(criterion: &mut Criterion, runtime: &Runtime, scene: &Scene) {
    let origin = Origin {
        address: IpAddr::from(ADDRESS),
        request_id: RequestId::new(Timestamp::from_millis(0)),
    };
    let presented = |token| Presented {
        token,
        accepts: Accepts::Pats,
        from: Some(origin.address),
        service: None,
        origin: &origin,
    };
    let mut group = criterion.benchmark_group("decision");
    println!("a decision takes {} bytes", size_of_val(&scene.app.decider.decide(presented(""))));
    let (_, rest) = scene.good.split_once('.').unwrap();
    let foreign = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"somebody-elses"}"#);
    let (foreign, cut) = (format!("{foreign}.{rest}"), &scene.good[..scene.good.len() - 8]);
    let tokens = [
        ("seen before", &*scene.good),
        ("no token", "rubbish"),
        ("of another key", &foreign),
        ("cut short", cut),
    ];
    for (name, token) in tokens {
        group.bench_function(name, |bench| {
            bench.iter(|| runtime.block_on(scene.app.decider.decide(presented(token))).is_ok());
        });
    }
}

fn requests(criterion: &mut Criterion, runtime: &Runtime, scene: &Scene) {
    let edge = Service::new(scene.app.clone()).edge(SocketAddr::from((ADDRESS, 1)));
    let mut group = criterion.benchmark_group("request");
    group.throughput(Throughput::Elements(1));
    for (name, path, token, status) in [
        ("/livez", "/livez", "", 200),
        ("/forward-auth, seen before", "/forward-auth", &*scene.good, 200),
        ("/forward-auth, no token", "/forward-auth", "rubbish", 401),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let request = Request::get(path).header("authorization", format!("Bearer {token}"));
                let request = request.body(Body::empty()).unwrap();
                let answer = runtime.block_on(edge.answer(request)).unwrap();
                assert_eq!(answer.status(), status);
            });
        });
    }
}
