//! Without an answer from Hallpass nobody passes.

use super::{Setting, bearer, get, jwt, said_by_hallpass};

#[tokio::test]
async fn while_hallpass_is_away_nothing_passes_and_it_is_nobodys_fault() {
    let mut setting = Setting::start().await;
    let minted = setting.user().await.mint("away").await;
    let identity = said_by_hallpass(&setting.server, jwt(&minted)).await;
    for gateway in &setting.gateways {
        get(gateway, "/x", &bearer(jwt(&minted))).await;
        gateway.passed_as(&identity, "before");
    }
    setting.server.halt().await;
    for gateway in &setting.gateways {
        for path in ["/x", "/reports/x"] {
            for lines in [bearer(jwt(&minted)), bearer("rubbish"), String::new()] {
                let reply = get(gateway, path, &lines).await;
                gateway.nothing_passed(path);
                assert!((500..600).contains(&reply.status), "{gateway}, {path}: {reply:?}");
            }
        }
    }
    setting.stop().await;
}
