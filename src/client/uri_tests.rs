use proptest::prelude::*;

use super::*;

const ROOT: Option<&str> = Some("https://app.example");

#[test]
fn redirect_uris_that_are_taken() {
    for good in [
        "https://app.example/cb",
        "https://app.example",
        "https://app.example/",
        "https://app.example/*",
        "https://app.example/a/b/*",
        "https://app.example:8443/cb",
        "https://app.example/cb?tenant=a&lang=de",
        "https://app.example/a%20b",
        "https://app.example/a.b/..c/c..",
        "https://xn--mnchen-3ya.example/cb",
        "https://192.0.2.7/cb",
        "https://[2001:db8::1]/cb",
        "http://localhost/cb",
        "http://localhost:3000/*",
        "http://127.0.0.1:8080/cb",
        "http://127.8.9.1/cb",
        "http://[::1]:8080/cb",
        "com.example.app:/cb",
        "com.example.app:/",
        "/",
        "org.example-app.x+y:/oauth/cb?x=1",
        "/cb",
        "/*",
        "/a/b?c=d",
    ] {
        assert_eq!(check_redirect(good, ROOT), Ok(()), "{good}");
    }
}

#[test]
fn redirect_uris_that_are_refused() {
    let long = format!("https://app.example/{}", "x".repeat(240));
    for bad in [
        "",
        "*",
        "+",
        "-",
        "https://*",
        "https://*/",
        "https://*.example/cb",
        "https://app*/",
        "https://app.example*",
        "https://app.example:*",
        "https://app.example/a*",
        "https://app.example/*/b",
        "https://app.example/**",
        "https://app.example/cb?x=*",
        "https://app.example/cb?x=/*",
        "https://app.example?/*",
        "http://app.example/cb",
        "http://localhost.example/cb",
        "http://128.0.0.1/cb",
        "ftp://app.example/cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java.script:alert(1)",
        "data:text/html,x",
        "myapp:/cb",
        "com.example.app://cb",
        "com.example.app:cb",
        "com.example.app:/*",
        "com..app:/cb",
        "com.example.:/cb",
        "Com.Example.App:/cb",
        "com.example.app:/../x",
        "com.example.app:/cb?code=1",
        "https://user@app.example/cb",
        "https://user:pass@app.example/cb",
        "https://@app.example/cb",
        "https://app.example/cb#x",
        "https://app.example/#",
        "https://app.example/a/../b",
        "https://app.example/..",
        "https://app.example/%2e%2e/b",
        "https://app.example/.%2E/b",
        "https://app.example/./b",
        "https://app.example/..;/b",
        "https://app.example/a%2fb",
        "https://app.example/a%5cb",
        "https://app.example\\@evil.example/",
        "https://app.example/\\evil",
        "https://app.example/${x}",
        "https://app.example/{x}",
        "https://app.example/%7Bx%7D",
        "https://app.example/a b",
        "https://app.example/a\tb",
        "https://app.example/a\n",
        " https://app.example/",
        "https://app.example/%00",
        "https://app.example/%0d%0a",
        "https://app.example/%zz",
        "https://app.example/%",
        "https://app.example/ä",
        "https://münchen.example/cb",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "https://app.example:443/cb",
        "https://app.example./cb",
        "https:///cb",
        "https:/app.example/cb",
        "https:app.example/cb",
        "https://",
        "//app.example/cb",
        "///cb",
        "cb",
        "https://0x7f.1/cb",
        "https://2130706433/cb",
        "http://0177.0.0.1/cb",
        "https://app.example/cb?code=1",
        "https://app.example/cb?State=1",
        "https://app.example/cb?a=b&id_token=1",
        "https://app.example/cb?%63ode=1",
        &long,
    ] {
        assert!(check_redirect(bad, ROOT).is_err(), "{bad}");
    }
}

#[test]
fn relative_uris_need_a_root() {
    assert!(check_redirect("/cb", None).is_err());
    assert!(check_home("/home", None).is_err());
    assert_eq!(check_home("/home", ROOT), Ok(()));
    assert_eq!(check_redirect("/cb", Some("https://app.example/base")), Ok(()));
    // Keycloak appends: it would be `//cb`.
    assert!(check_redirect("/cb", Some("https://app.example/base/")).is_err());
}

#[test]
fn a_reason_names_the_mistake_and_the_spelling_that_is_taken() {
    let redirect = |text: &str| check_redirect(text, ROOT).unwrap_err();
    for (text, part) in [
        ("https://APP.example/cb", "write `https://app.example/cb`"),
        ("HTTPS://app.example/cb", "write `https://app.example/cb`"),
        ("https://app.example:443/cb", "write `https://app.example/cb`"),
        ("https://münchen.example/cb", "write it as `xn--mnchen-3ya.example`"),
        ("https://MÜNCHEN.example", "write it as `xn--mnchen-3ya.example`"),
        ("https://app.example./cb", "ends with a dot"),
        ("http://app.example/cb", "must be `https`"),
        (
            "myapp://cb",
            "without a dot: write that of a domain reversed, such as `com.example.app:/cb`",
        ),
        ("myapp:/cb", "`com.example.app:/cb`"),
        ("Com.Example.App:/cb", "write `com.example.app:`"),
        ("com.example.app://cb", "one slash after its scheme"),
        ("javascript:alert(1)", "does not begin with `https://`"),
        ("https://*.example/cb", "wildcard"),
        ("/cb/../x", "plain form"),
    ] {
        let reason = redirect(text);
        assert!(reason.contains(part), "{text}: {reason}");
    }
    for (text, part) in [
        ("*", "list each origin, or write `+`"),
        ("https://*", "list each origin, or write `+`"),
        ("https://*.example", "list each origin, or write `+`"),
        ("https://app.example:*", "list each origin, or write `+`"),
        ("https://app.example/", "ends with a `/`: write `https://app.example`"),
        ("https://app.example/x", "write `https://app.example`"),
        ("https://APP.example", "write `https://app.example`"),
        ("https://app.example:443", "write `https://app.example`"),
        ("https://münchen.example", "write it as `xn--mnchen-3ya.example`"),
        ("http://app.example", "must be `https`"),
        ("app.example", "absolute"),
    ] {
        let reason = check_origin(text).unwrap_err();
        assert!(reason.contains(part), "{text}: {reason}");
    }
    for (text, part) in [
        ("/k_logout", "is relative: Keycloak calls it"),
        ("http://app.example/", "must be `https`; for a host in an inner network"),
        ("http://app.example/", "`clients.allowed_networks`"),
        ("https://APP.example/", "write `https://app.example/`"),
    ] {
        let reason = check_called(text).unwrap_err();
        assert!(reason.contains(part), "{text}: {reason}");
    }
}

#[test]
fn only_redirect_uris_take_wildcards_and_schemes_of_apps() {
    assert!(check_home("https://app.example/*", ROOT).is_err());
    assert!(check_root("https://app.example/*").is_err());
    assert!(check_called("https://app.example/*").is_err());
    assert_eq!(check_post_logout("https://app.example/*", ROOT), Ok(()));
    assert!(check_post_logout("com.example.app:/cb", ROOT).is_err());
    assert!(check_root("https://app.example/?x=1").is_err());
    assert!(check_called("/k_logout").is_err());
}

#[test]
fn web_origins() {
    for good in [
        "+",
        "https://app.example",
        "https://app.example:8443",
        "http://localhost:3000",
        "https://[2001:db8::1]",
    ] {
        assert_eq!(check_origin(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "*",
        "-",
        "https://*",
        "https://*.example",
        "https://app.example/",
        "https://app.example/x",
        "http://app.example",
        "https://app.example:443",
        "https://APP.example",
        "null",
        "file://",
        "app.example",
        "https://user@app.example",
        "com.example.app:/",
        "https://app.example?x",
        "++",
    ] {
        assert!(check_origin(bad).is_err(), "{bad}");
    }
}

/// Keycloak's rule: a wildcard counts as a trailing `*`, everything else is compared as text.
fn keycloak_matches(registered: &str, asked: &str) -> bool {
    match registered.strip_suffix('*') {
        Some(prefix) => asked.starts_with(prefix) || asked == prefix.trim_end_matches('/'),
        None => registered == asked,
    }
}

proptest! {
    #[test]
    fn an_accepted_redirect_uri_matches_only_its_own_origin(
        registered in "(https?://)?[a-c.*@:/?\\\\]{0,12}(/[a-c.*/]{0,5})?",
        asked in "https?://[a-c.@:]{1,12}(/[a-c./]{0,8})?",
    ) {
        if check_redirect(&registered, None).is_ok()
            && keycloak_matches(&registered, &asked)
            && let Ok(target) = Url::parse(&asked)
        {
            let own = Url::parse(registered.trim_end_matches('*')).unwrap();
            prop_assert_eq!(own.origin(), target.origin(), "{} {}", registered, asked);
        }
    }

    #[test]
    fn what_follows_an_accepted_wildcard_stays_within_the_origin(
        host in "[a-c]{1,3}\\.example", path in "(/[a-c]{1,3}){0,2}", rest in "[ -~]{0,20}",
    ) {
        let registered = format!("https://{host}{path}/*");
        prop_assert_eq!(check_redirect(&registered, None), Ok(()));
        let asked = format!("https://{host}{path}/{rest}");
        if let Ok(target) = Url::parse(&asked) {
            prop_assert_eq!(Url::parse(&format!("https://{host}")).unwrap().origin(), target.origin());
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,40}") {
        let _ = (check_redirect(&text, ROOT), check_origin(&text), check_root(&text), check_called(&text));
    }
}
