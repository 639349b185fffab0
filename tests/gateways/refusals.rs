//! Who has no good token, or too small a one, is told so, and the service hears nothing of it.

use serde_json::{Value, json};

use super::{
    CHALLENGES, Setting, TOKENS, bearer, get, jwt, realm_with_reader, request, said_by_hallpass,
};

#[tokio::test]
async fn without_a_good_token_nothing_passes() {
    let setting = Setting::start().await;
    let user = setting.user().await;
    let (good, revoked) = (user.mint("good").await, user.mint("revoked").await);
    let path = format!("{TOKENS}/{}/invalidate", revoked["patId"].as_str().unwrap());
    user.post_empty(&path).await.expect(200);
    let good = jwt(&good);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let reversed: String = signature.chars().rev().collect();
    let cases = [
        ("no token", String::new()),
        ("revoked", bearer(jwt(&revoked))),
        ("rubbish", bearer("rubbish")),
        ("another signature", bearer(&format!("{head}.{reversed}"))),
        ("an access token of the realm", bearer(user.token().unwrap())),
        ("a cookie", format!("Cookie: token={good}; Authorization=Bearer {good}\r\n")),
        ("another header", format!("X-Forwarded-Authorization: Bearer {good}\r\n")),
        (
            "underscores",
            format!("Author_ization: Bearer {good}\r\nX_Authorization: Bearer {good}\r\n"),
        ),
        ("the header of proxies", format!("Proxy-Authorization: Bearer {good}\r\n")),
        ("in one header twice", bearer(&format!("{good}, Bearer {good}"))),
        ("in two headers", bearer(good).repeat(2)),
        ("a good and a bad one", bearer(good) + &bearer("rubbish")),
        ("a bad and a good one", bearer("rubbish") + &bearer(good)),
    ];
    for gateway in &setting.gateways {
        for (of, lines) in &cases {
            // A query is the service's: Hallpass must not take it for what is needed.
            for target in ["/x".to_owned(), format!("/x?aud=hallpass&access_token={good}")] {
                for method in ["GET", "HEAD", "POST", "OPTIONS"] {
                    let reply = request(gateway, method, &target, lines, "").await;
                    gateway.nothing_passed(of);
                    // Some refuse two by themselves.
                    if reply.status != 400 || !of.contains("one") && !of.contains("two") {
                        assert_eq!(reply.status, 401, "{gateway}, {of}: {reply:?}");
                        let challenges = reply.values("www-authenticate");
                        assert_eq!(challenges.len(), 1, "{gateway}, {of}: {reply:?}");
                        assert!(CHALLENGES.contains(&challenges[0]), "{gateway}, {of}: {reply:?}");
                    }
                }
            }
        }
    }
    setting.stop().await;
}

#[tokio::test]
async fn who_lacks_the_role_is_told_which_one() {
    let (realm, reader) = realm_with_reader().await;
    let setting = Setting::in_realm(realm.clone()).await;
    let reader = setting.server.user(&reader).await;
    let may = reader.mint("may").await;
    let narrow = json!({"name": "narrow", "roles": ["hallpass:create-tokens"]});
    let narrow = reader.post(TOKENS, &narrow).await.expect(201);
    let never = setting.user().await.mint("never").await;
    let identity = said_by_hallpass(&setting.server, jwt(&may)).await;
    for gateway in &setting.gateways {
        for target in ["/reports", "/reports/2026", "/reports/?role=hallpass:create-tokens&x=y"] {
            let reply = get(gateway, target, &bearer(jwt(&may))).await;
            assert_eq!(reply.status, 200, "{gateway}, {target}: {reply:?}");
            assert_eq!(gateway.passed_as(&identity, target).target(), target, "{gateway}");
            for token in [&narrow, &never] {
                for (method, body) in [("GET", ""), ("POST", "a=b")] {
                    let lines = format!("{}Content-Length: {}\r\n", bearer(jwt(token)), body.len());
                    let reply = request(gateway, method, target, &lines, body).await;
                    gateway.nothing_passed(target);
                    assert_eq!(reply.status, 403, "{gateway}, {target}: {reply:?}");
                    assert_eq!(reply.values("content-type"), ["application/problem+json"]);
                    let (_, body) = reply.text.split_once("\r\n\r\n").unwrap();
                    let problem: Value = serde_json::from_str(body).unwrap();
                    assert_eq!(problem["detail"], "The token lacks the role `reports:read`.");
                }
            }
            let reply = get(gateway, target, "").await;
            gateway.nothing_passed(target);
            assert_eq!(reply.status, 401, "{gateway}, {target}: {reply:?}");
        }
    }
    setting.stop().await;
}
