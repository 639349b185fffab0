//! A token that is bound to networks is good from where the client really is, whatever the client says.

use serde_json::json;

use super::{Setting, TOKENS, bearer, get, jwt, said_by_hallpass};

#[tokio::test]
async fn the_clients_own_address_counts_and_no_other() {
    let setting = Setting::start().await;
    let user = setting.user().await;
    let bound = async |name: &str, network: &str| {
        let body = json!({"name": name, "allowedCidrs": [network]});
        user.post(TOKENS, &body).await.expect(201)
    };
    // The client's, the gateway's own, and one that only exists in what the client says.
    let here = bound("here", "127.0.0.2/32").await;
    let gateways = bound("gateway", "127.0.0.1/32").await;
    let elsewhere = bound("elsewhere", "198.51.100.0/24").await;
    let mut said = vec![String::new()];
    for address in ["198.51.100.7", "127.0.0.1", "198.51.100.7, 127.0.0.1", "127.0.0.2"] {
        for name in [
            "X-Forwarded-For",
            "x_forwarded_for",
            "X-Real-IP",
            "X-Client-IP",
            "True-Client-IP",
            "X-Envoy-External-Address",
        ] {
            said.push(format!("{name}: {address}\r\n"));
            said.push(format!("{name}: {address}\r\n{name}: 127.0.0.1\r\n"));
        }
        said.push(format!("Forwarded: for={address}\r\n"));
        said.push(format!("Connection: close, X-Forwarded-For\r\nX-Forwarded-For: {address}\r\n"));
    }
    // Hallpass itself is asked from 127.0.0.1.
    let identity = said_by_hallpass(&setting.server, jwt(&gateways)).await;
    for gateway in &setting.gateways {
        for lines in &said {
            for token in [&gateways, &elsewhere] {
                let reply = get(gateway, "/x", &(bearer(jwt(token)) + lines)).await;
                gateway.nothing_passed(lines);
                assert!([400, 401].contains(&reply.status), "{gateway}, {lines}: {reply:?}");
            }
            let reply = get(gateway, "/x", &(bearer(jwt(&here)) + lines)).await;
            // Some do not like what `Connection` says.
            if reply.status != 400 || !lines.starts_with("Connection") {
                assert_eq!(reply.status, 200, "{gateway}, {lines}: {reply:?}");
                let [seen] = <[_; 1]>::try_from(gateway.service.take()).unwrap();
                let address = seen.value("x-forwarded-for");
                assert_eq!(address.as_deref(), Some("127.0.0.2"), "{gateway}, {lines}: {seen:?}");
                assert_eq!(seen.value("x-auth-user-id").as_ref(), Some(&identity[0]), "{gateway}");
            }
        }
    }
    setting.stop().await;
}
