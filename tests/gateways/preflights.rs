//! A browser asks before it sends a request to another origin, without a token: the service has to hear that.

use super::{Setting, bearer, jwt, request};

const ORIGIN: &str = "Origin: https://app.example\r\n";
const METHOD: &str = "Access-Control-Request-Method: PUT\r\n";
const NAMES: &str = "Access-Control-Request-Headers: authorization\r\n";

#[tokio::test]
async fn a_preflight_reaches_the_service_as_nobodys() {
    let setting = Setting::start().await;
    let minted = setting.user().await.mint("preflight").await;
    let token = bearer(jwt(&minted));
    for gateway in &setting.gateways {
        for path in ["/x", "/reports", "/reports/x?y=z", "/public/x"] {
            for more in ["", &token, "X-Auth-Username: evil\r\nX_Auth_Roles: evil\r\n"] {
                let lines = format!("{ORIGIN}{METHOD}{NAMES}{more}");
                let reply = request(gateway, "OPTIONS", path, &lines, "").await;
                assert_eq!(reply.status, 200, "{gateway}, {path}: {reply:?}");
                let [seen] = <[_; 1]>::try_from(gateway.service.take()).unwrap();
                assert_eq!((seen.method(), seen.target()), ("OPTIONS", path), "{gateway}");
                gateway.has_identity(&seen, None, path);
                assert_eq!(seen.value("authorization"), None, "{gateway}");
                for (name, value) in [
                    ("origin", "https://app.example"),
                    ("access-control-request-method", "PUT"),
                    ("access-control-request-headers", "authorization"),
                ] {
                    assert_eq!(seen.value(name).as_deref(), Some(value), "{gateway}: {seen:?}");
                }
                assert!(!seen.head.contains("evil"), "{gateway}: {seen:?}");
            }
        }
        // What is none is nobody's way in.
        for (method, lines) in [
            ("OPTIONS", String::new()),
            ("OPTIONS", ORIGIN.to_owned()),
            ("OPTIONS", METHOD.to_owned()),
            ("OPTIONS", format!("Origin:\r\n{METHOD}")),
            ("OPTIONS", format!("{ORIGIN}Access-Control-Request-Method:\r\n")),
            ("GET", format!("{ORIGIN}{METHOD}")),
            ("POST", format!("{ORIGIN}{METHOD}X-HTTP-Method-Override: OPTIONS\r\n")),
            ("options", format!("{ORIGIN}{METHOD}")),
            ("OPTIONSX", format!("{ORIGIN}{METHOD}")),
        ] {
            let reply = request(gateway, method, "/x", &lines, "").await;
            gateway.nothing_passed(&lines);
            assert!((400..500).contains(&reply.status), "{gateway}, {method} {lines}: {reply:?}");
        }
    }
    setting.stop().await;
}
