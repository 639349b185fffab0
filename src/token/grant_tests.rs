//! What of an offer is granted.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;
use crate::error::Code;
use crate::token::narrowing::Wanted;

const ROLES: [&str; 5] =
    ["realm-one", "realm-two", "lake:lake-read", "lake:lake-write", "ci:ci-build"];
const SCOPES: [&str; 4] = ["scope-openid", "scope-email", "scope-profile", "scope-push"];
const AUDIENCE: [&str; 3] = ["aud-reports", "aud-lake", "https://aud.example"];
/// What mappers of an operator make of roles, and what else they add.
const HARDCODED: &str = "hardcoded-department";

fn had() -> Roles {
    let claims = json!({"realm_access": {"roles": ["realm-one", "realm-two"]}, "resource_access":
        {"lake": {"roles": ["lake-read", "lake-write"]}, "ci": {"roles": ["ci-build"]}}});
    Roles::from_claims(claims.as_object().unwrap()).unwrap()
}

fn evaluated() -> Map<String, Value> {
    let all = ["realm-one", "realm-two", "lake-read", "lake-write", "ci-build"];
    let claims = json!({
        "preferred_username": "owner", "email": "owner@example.org", "email_verified": true,
        // Mappers that write roles where a name is expected.
        "name": all, "given_name": {"roles": all}, "family_name": [],
        "scope": SCOPES.join(" "),
        "realm_access": {"roles": ["realm-one", "realm-two"]},
        "resource_access": {"lake": {"roles": ["lake-read", "lake-write"]}, "ci": {"roles": ["ci-build"]},
            "account": {"roles": ["view-profile"]}},
        "roles": all, "groups": ["/realm-one"], "nested": {"deep": [{"roles": all}]},
        "department": HARDCODED, "aud": AUDIENCE,
    });
    claims.as_object().unwrap().clone()
}

fn offer(roles: &Roles) -> Offer<'_> {
    let audience = AUDIENCE.map(str::to_owned).to_vec();
    let denied_roles = Box::leak(Box::default());
    Offer { roles, denied_roles, evaluated: evaluated(), audience, stand_in: "hallpass-pat" }
}

fn narrowing(body: &Value) -> Narrowing {
    let mut fields = Fields::default();
    let wanted = Wanted {
        scopes: body.get("scopes"),
        roles: body.get("roles"),
        audience: body.get("audience"),
        allowed_cidrs: body.get("allowedCidrs"),
    };
    let narrowing = Narrowing::read(&mut fields, wanted);
    fields.finish(narrowing).unwrap()
}

fn exact(body: &Value) -> Result<Grant, Error> {
    Grant::exact(&narrowing(body), offer(&had()))
}

/// Every text in it: names and values.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|one| texts(one, found)),
        Value::Object(members) => {
            for (name, value) in members {
                found.push(name.clone());
                texts(value, found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_token_that_is_not_narrowed_gets_everything() {
    let grant = exact(&json!({})).unwrap();
    let mut all = evaluated();
    all["resource_access"].as_object_mut().unwrap().remove("account");
    assert_eq!(grant.claims, all);
    assert_eq!(grant.audience, AUDIENCE);
    assert_eq!(grant.restrictions, Restrictions::default());
}

#[test]
fn a_narrowed_token_has_what_was_asked_for_and_its_owners_name() {
    let owner = json!({"preferred_username": "owner", "email": "owner@example.org", "email_verified": true});
    let table = [
        (json!({"allowedCidrs": ["::1"]}), json!({})),
        (json!({"roles": []}), json!({})),
        (json!({"scopes": []}), json!({})),
        (json!({"audience": ["aud-lake"]}), json!({})),
        (
            json!({"scopes": ["scope-push", "scope-email"]}),
            json!({"scope": "scope-email scope-push"}),
        ),
        (json!({"roles": ["realm-two"]}), json!({"realm_access": {"roles": ["realm-two"]}})),
        (
            json!({"roles": ["ci:ci-build", "lake:lake-read"]}),
            json!({"resource_access": {"ci": {"roles": ["ci-build"]}, "lake": {"roles": ["lake-read"]}}}),
        ),
    ];
    for (body, expected) in table {
        let grant = exact(&body).unwrap();
        let mut all = owner.as_object().unwrap().clone();
        all.extend(expected.as_object().unwrap().clone());
        assert_eq!(grant.claims, all, "{body}");
        let audience =
            if body.get("audience").is_some() { vec!["aud-lake"] } else { AUDIENCE.to_vec() };
        assert_eq!(grant.audience, audience, "{body}");
    }
}

#[test]
fn what_the_owner_lacks_is_refused_by_name_and_falls_away_from_a_successor() {
    let body = json!({
        "scopes": ["scope-push", "scope-none"], "roles": ["realm-none", "realm-one", "account:view-profile", "lake:"],
        "audience": ["aud-none"], "allowedCidrs": ["10.0.0.1"],
    });
    let error = exact(&body).unwrap_err();
    assert_eq!(error.code(), Code::Invalid);
    let fields: Vec<_> = error.fields().iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["scopes", "audience", "roles", "roles", "roles"]);
    for name in [
        "\"scope-none\"",
        "\"aud-none\"",
        "\"realm-none\"",
        "\"account:view-profile\"",
        "\"lake:\"",
    ] {
        assert!(error.fields().iter().any(|one| one.message.starts_with(name)), "{name}");
    }

    let grant = Grant::remaining(&narrowing(&body), offer(&had()));
    let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
    let left = Restrictions {
        scopes: list(&["scope-push"]),
        roles: list(&["realm-one"]),
        audience: list(&[]),
        allowed_cidrs: list(&["10.0.0.1/32"]),
    };
    assert_eq!(grant.restrictions, left);
    assert_eq!(grant.audience, ["hallpass-pat"]);
    assert_eq!(grant.claims["realm_access"], json!({"roles": ["realm-one"]}));
    // A successor's successor has no more, though the owner has everything again.
    let again = Grant::remaining(&Narrowing::of_record(&left).unwrap(), offer(&had()));
    assert_eq!((again.restrictions, again.claims), (grant.restrictions, grant.claims));
}

#[test]
fn a_name_that_may_mean_two_roles_is_refused_and_falls_away() {
    let claims = json!({"realm_access": {"roles": ["a:b", "c"]}, "resource_access": {"a": {"roles": ["b"]}}});
    let roles = Roles::from_claims(claims.as_object().unwrap()).unwrap();
    let both = narrowing(&json!({"roles": ["a:b", "c"]}));
    let error = Grant::exact(&both, offer(&roles)).unwrap_err();
    assert_eq!(error.fields()[0].message, "\"a:b\" may mean more than one of your roles");
    assert_eq!(error.fields().len(), 1);
    let grant = Grant::remaining(&both, offer(&roles));
    assert_eq!(grant.restrictions.roles, Some(vec!["c".to_owned()]));
    assert_eq!(grant.claims.get("resource_access"), None);
}

#[test]
fn a_role_that_no_token_carries_is_refused_and_left_out() {
    let denied = ["realm-two", "lake:lake-write"].map(str::to_owned);
    let (roles, denied_roles) = had().without(&denied);
    let offer = || Offer { denied_roles: &denied_roles, ..offer(&roles) };
    for name in &denied {
        let asked = narrowing(&json!({"roles": ["realm-one", name]}));
        let error = Grant::exact(&asked, offer()).unwrap_err();
        let message =
            format!("{name:?} is a role that no token carries here: `tokens.denied_roles`");
        assert_eq!(error.fields()[0].message, message);
        let left = Grant::remaining(&asked, offer());
        assert_eq!(left.restrictions.roles, Some(vec!["realm-one".to_owned()]));
        assert_eq!(left.claims["realm_access"], json!({"roles": ["realm-one"]}));
    }
    let whole = Grant::exact(&Narrowing::default(), offer()).unwrap();
    let text = Value::Object(whole.claims).to_string();
    assert!(!text.contains("realm-two") && !text.contains("lake-write"), "{text}");
    assert!(text.contains("realm-one") && text.contains("lake-read"), "{text}");
}

#[test]
fn who_writes_a_role_wrong_is_told_which_one_may_be_meant() {
    for (asked, question) in [
        ("lake-read", "; did you mean `lake:lake-read`?"),
        ("CI:ci-build", "; did you mean `ci:ci-build`?"),
        ("nothing", ""),
    ] {
        let error = exact(&json!({"roles": [asked]})).unwrap_err();
        let message = format!("{asked:?} is no role of yours that a token can have{question}");
        assert_eq!(error.fields()[0].message, message);
    }
}

#[test]
fn a_record_says_the_same_as_the_request() {
    let body = json!({"scopes": [], "roles": ["lake:lake-read", "realm-one"], "audience": ["aud-lake"],
        "allowedCidrs": ["::ffff:10.0.0.0/104", "2001:db8::1"]});
    let grant = exact(&body).unwrap();
    assert_eq!(Narrowing::of_record(&grant.restrictions).unwrap(), narrowing(&body));
    assert_eq!(Narrowing::of_record(&Restrictions::default()).unwrap(), Narrowing::default());
    let corrupt =
        Restrictions { allowed_cidrs: Some(vec!["x".to_owned()]), ..Restrictions::default() };
    assert_eq!(Narrowing::of_record(&corrupt).unwrap_err().code(), Code::Internal);
}

fn some_of(names: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<&'static str>>> {
    proptest::option::of(subsequence(names, 0..=names.len()).prop_shuffle())
}

proptest! {
    #[test]
    fn whatever_is_asked_for_nothing_else_is_in_any_claim(
        roles in some_of(&ROLES), scopes in some_of(&SCOPES), audience in some_of(&AUDIENCE), network: bool,
    ) {
        let audience = audience.filter(|list| !list.is_empty());
        let mut body = Map::new();
        for (field, list) in [("roles", &roles), ("scopes", &scopes), ("audience", &audience)] {
            body.extend(list.iter().map(|list| (field.to_owned(), json!(list))));
        }
        if network {
            body.insert("allowedCidrs".to_owned(), json!(["10.0.0.0/8"]));
        }
        prop_assume!(!body.is_empty());
        let grant = exact(&Value::Object(body)).unwrap();

        let mut found = Vec::new();
        texts(&Value::Object(grant.claims.clone()), &mut found);
        texts(&json!(grant.audience), &mut found);
        let asked_role = |role: &str| roles.iter().flatten().any(|one| *one == role);
        for role in ROLES {
            let name = role.rsplit(':').next().unwrap();
            let shown = found.iter().any(|text| text.contains(name));
            prop_assert_eq!(shown, asked_role(role), "{}", role);
        }
        let scope = grant.claims.get("scope").and_then(Value::as_str).unwrap_or_default();
        for one in SCOPES {
            let asked = scopes.iter().flatten().any(|scope| *scope == one);
            prop_assert_eq!(scope.split(' ').any(|scope| scope == one), asked);
            prop_assert_eq!(found.iter().any(|text| text.contains(one)), asked);
        }
        for one in AUDIENCE {
            let asked = audience.as_ref().is_none_or(|list| list.contains(&one));
            prop_assert_eq!(found.iter().any(|text| text.contains(one)), asked);
        }
        for never in [HARDCODED, "view-profile", "groups", "nested", "department"] {
            prop_assert!(!found.iter().any(|text| text.contains(never)));
        }
    }
}
