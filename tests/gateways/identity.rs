//! Who has a good token passes, and the service is told who it is by Hallpass alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Setting, TOKENS, bearer, jwt, request, said_by_hallpass};

#[tokio::test]
async fn a_good_token_passes_with_the_seven_headers_and_stays_at_the_gateway() {
    let setting = Setting::start().await;
    let user = setting.user().await;
    let whole = user.mint("whole").await;
    // What it has not is an empty header.
    let narrow = json!({"name": "narrow", "roles": ["hallpass:create-tokens"]});
    let narrow = user.post(TOKENS, &narrow).await.expect(201);
    let basic = STANDARD.encode(format!("anybody:{}", jwt(&whole)));
    let large = "x".repeat(200_000);
    for (token, lines) in [
        (&whole, bearer(jwt(&whole))),
        (&whole, format!("Authorization: Basic {basic}\r\n")),
        (&narrow, bearer(jwt(&narrow))),
    ] {
        let identity = said_by_hallpass(&setting.server, jwt(token)).await;
        for gateway in &setting.gateways {
            for (method, body) in
                [("GET", ""), ("HEAD", ""), ("DELETE", ""), ("POST", "a=b"), ("PUT", &large)]
            {
                let lines = format!("{lines}Content-Length: {}\r\n", body.len());
                let target = "/x/y?page=2&role=nobody";
                let reply = request(gateway, method, target, &lines, body).await;
                let of = format!("{method} {lines}");
                assert_eq!(reply.status, 200, "{gateway}, {of}: {reply:?}");
                let seen = gateway.passed_as(&identity, &of);
                assert_eq!((seen.method(), seen.target()), (method, target), "{gateway}");
                assert!(seen.body == body.as_bytes(), "{gateway}, {of}: another body");
                let credential = lines.split([' ', '\r']).nth(2).unwrap();
                assert!(!seen.head.contains(credential), "{gateway}, {of}: {seen:?}");
                assert_eq!(seen.value("authorization"), None, "{gateway}, {of}");
            }
        }
    }
    setting.stop().await;
}

#[tokio::test]
async fn what_is_public_is_nobodys_and_takes_no_token_along() {
    let setting = Setting::start().await;
    let minted = setting.user().await.mint("public").await;
    for gateway in &setting.gateways {
        for lines in [String::new(), bearer("rubbish"), bearer(jwt(&minted))] {
            let reply = request(gateway, "GET", "/public/page", &lines, "").await;
            assert_eq!(reply.status, 200, "{gateway}, {lines}: {reply:?}");
            let [seen] = <[_; 1]>::try_from(gateway.service.take()).unwrap();
            gateway.has_identity(&seen, None, &lines);
            assert_eq!(seen.value("authorization"), None, "{gateway}, {lines}");
        }
    }
    setting.stop().await;
}
