//! No spelling of a path gets by what the path needs.

use super::{Setting, bearer, get, jwt};

/// The path by the most generous readings that a service may have: with empty segments dropped before `..` is followed,
/// or after (RFC 3986 section 5.2.4).
fn generously_read(target: &str) -> [String; 2] {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let plain: Vec<_> =
        path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    let plain = plain.join("/");
    let decoded = percent_encoding::percent_decode_str(&plain).decode_utf8_lossy().into_owned();
    let decoded = decoded.replace('\\', "/");
    [false, true].map(|counts_empty| {
        let mut segments = Vec::new();
        for segment in decoded.split('/').skip(1) {
            match segment {
                "" if !counts_empty => {}
                "." => {}
                ".." => drop(segments.pop()),
                _ => segments.push(segment),
            }
        }
        segments.retain(|segment| !segment.is_empty());
        format!("/{}", segments.join("/"))
    })
}

#[test]
fn a_generous_service_takes_many_spellings_for_one() {
    for spelling in [
        "/reports/x",
        "//reports/x?y",
        "/public/../reports/x",
        "/public/%2e%2E/reports/x",
        "/public%2f..%2freports/x",
        "/public/..;a/reports/x",
        "/public/..\\reports/x",
        "/;a/%72eports;b/x",
    ] {
        assert_eq!(generously_read(spelling), ["/reports/x"; 2], "{spelling}");
    }
    assert_eq!(generously_read("/reports//../public/x"), ["/public/x", "/reports/public/x"]);
    assert_eq!(generously_read("/public/x/.."), ["/public"; 2]);
    assert_eq!(generously_read("/public/.."), ["/"; 2]);
}

const SPELLINGS: [&str; 38] = [
    "/reports/x",
    "/reports",
    "/reports//x",
    "//reports/x",
    "///reports/x",
    "/./reports/x",
    "/x/../reports/x",
    "/x/y/../../reports/x",
    "/x//../reports/x",
    "/%72eports/x",
    "/%2freports/x",
    "/%2Freports/x",
    "/%5creports/x",
    "/x%2f..%2freports/x",
    "/x/%2e%2e/reports/x",
    "/x/.%2E/reports/x",
    "/;a/reports/x",
    "/reports;a/x",
    "/reports%2fx",
    "/public/../reports/x",
    "/public/..;/reports/x",
    "/public/..;a=b/reports/x",
    "/public/;/../../reports/x",
    "/public/%2e%2e/reports/x",
    "/public/..%2freports/x",
    "/public/..%5creports/x",
    "/public/..\\reports/x",
    "/public\\..\\reports/x",
    "/public/%2e%2e%2freports/x",
    "/public%2f../reports/x",
    "/public//../reports/x",
    "/public//../../reports/x",
    "/public/../public/../reports/x",
    "/reports//../public/x",
    "/reports//../../x",
    "/public/..",
    "/public/x/../..",
    "/public/%2e%2e",
];

#[tokio::test]
async fn no_spelling_of_a_path_needs_less() {
    let setting = Setting::start().await;
    // Without the role that reports need.
    let minted = setting.user().await.mint("paths").await;
    for gateway in &setting.gateways {
        let host = gateway.address();
        for spelling in SPELLINGS {
            for target in [
                spelling.to_owned(),
                format!("{spelling}?x=/public/"),
                format!("http://{host}{spelling}"),
            ] {
                let reply = get(gateway, &target, "").await;
                for seen in gateway.service.take() {
                    let read = generously_read(seen.target());
                    let is_public = read.iter().all(|read| read.starts_with("/public"));
                    assert!(is_public, "{gateway}, {target}: {seen:?}");
                }
                assert_ne!(reply.status, 0, "{gateway}, {target}: no answer");
                let reply = get(gateway, &target, &bearer(jwt(&minted))).await;
                for seen in gateway.service.take() {
                    let read = generously_read(seen.target());
                    let is_report = read.iter().any(|read| read.starts_with("/reports"));
                    assert!(!is_report, "{gateway}, {target}: {seen:?}");
                }
                assert_ne!(reply.status, 0, "{gateway}, {target}: no answer");
            }
        }
        // Honest ones are not in the way.
        for (path, lines) in [
            ("/public/a.b/..c/%C3%BC?d=../e%2f;f", String::new()),
            ("/a.b/..c/%C3%BC~d:e@f?g=http://h/../i", bearer(jwt(&minted))),
            ("/?x=/reports/..;/", bearer(jwt(&minted))),
        ] {
            let reply = get(gateway, path, &lines).await;
            assert_eq!(reply.status, 200, "{gateway}, {path}: {reply:?}");
            assert_eq!(gateway.service.take().len(), 1, "{gateway}, {path}");
        }
    }
    setting.stop().await;
}
