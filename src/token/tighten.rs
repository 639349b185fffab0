//! What a successor is narrowed to: what the old token is, or less. Pure.

use super::narrowing::{Names, Narrowing, Networks};
use crate::error::Error;
use crate::fields::Fields;
use crate::store::Restrictions;

/// What is asked for and cannot be had.
#[derive(Default)]
struct Excess {
    fields: Fields,
}

impl Narrowing {
    /// This, narrowed further: what is left out stays, and what is asked for must be within it.
    pub(super) fn tightened(self, wanted: &Self) -> Result<Self, Error> {
        // A token that is narrowed has no scope and no role but those in its lists.
        let closed = self.is_any();
        let mut excess = Excess::default();
        let tightened = Self {
            scopes: excess.names("scopes", self.scopes, wanted.scopes.as_ref(), closed),
            roles: excess.names("roles", self.roles, wanted.roles.as_ref(), closed),
            audience: excess.names("audience", self.audience, wanted.audience.as_ref(), false),
            allowed_cidrs: excess.networks(self.allowed_cidrs, wanted.allowed_cidrs.as_ref()),
        };
        excess.fields.finish(())?;
        Ok(tightened)
    }

    /// What is asked for here and not in what was granted: the owner does not have it.
    pub(super) fn unmet(&self, granted: &Restrictions) -> Result<(), Error> {
        let mut excess = Excess::default();
        let names = |granted: &Option<Vec<String>>| granted.clone().map(Names);
        excess.names("scopes", names(&granted.scopes), self.scopes.as_ref(), true);
        excess.names("roles", names(&granted.roles), self.roles.as_ref(), true);
        excess.names("audience", names(&granted.audience), self.audience.as_ref(), true);
        excess.fields.finish(())
    }
}

impl Excess {
    /// Of what is there: a list, or everything; nothing where `closed` and no list.
    fn names(
        &mut self,
        field: &str,
        there: Option<Names>,
        wanted: Option<&Names>,
        closed: bool,
    ) -> Option<Names> {
        let Some(wanted) = wanted else { return there };
        let there = match there {
            None if !closed => return Some(wanted.clone()),
            there => there.map_or_else(Vec::new, |names| names.0),
        };
        for name in wanted.0.iter().filter(|name| !there.contains(name)) {
            self.fields.refuse(field, format!("{name:?} is nothing that the token could have"));
        }
        Some(wanted.clone())
    }

    fn networks(&mut self, there: Option<Networks>, wanted: Option<&Networks>) -> Option<Networks> {
        let Some(wanted) = wanted else { return there };
        for network in there.iter().flat_map(|there| wanted.outside(there)) {
            self.fields
                .refuse("allowedCidrs", format!("{network:?} is not within the token's networks"));
        }
        Some(wanted.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Wanted;
    use super::*;

    fn narrowing(text: &Value) -> Narrowing {
        let list = |name: &str| text.get(name);
        let mut fields = Fields::default();
        let wanted = Wanted {
            scopes: list("scopes"),
            roles: list("roles"),
            audience: list("audience"),
            allowed_cidrs: list("allowedCidrs"),
        };
        let narrowing = Narrowing::read(&mut fields, wanted);
        fields.finish(narrowing).unwrap()
    }

    #[test]
    fn a_successor_has_what_the_old_token_has_or_less() {
        let table = [
            (json!({}), json!({}), Ok(json!({}))),
            (json!({}), json!({"roles": ["a"]}), Ok(json!({"roles": ["a"]}))),
            (json!({"roles": ["a", "b"]}), json!({}), Ok(json!({"roles": ["a", "b"]}))),
            (json!({"roles": ["a", "b"]}), json!({"roles": ["b"]}), Ok(json!({"roles": ["b"]}))),
            (json!({"roles": ["a"]}), json!({"roles": []}), Ok(json!({"roles": []}))),
            (json!({"roles": ["a"]}), json!({"roles": ["a", "c"]}), Err("roles")),
            // What a narrowed token does not name it does not have.
            (json!({"roles": ["a"]}), json!({"scopes": ["email"]}), Err("scopes")),
            (json!({"scopes": ["email"]}), json!({"roles": ["a"]}), Err("roles")),
            // But for the audience, which it has whole.
            (
                json!({"roles": ["a"]}),
                json!({"audience": ["x"]}),
                Ok(json!({"roles": ["a"], "audience": ["x"]})),
            ),
            (json!({"audience": ["x"]}), json!({"audience": ["y"]}), Err("audience")),
            (
                json!({"allowedCidrs": ["10.0.0.0/8"]}),
                json!({"allowedCidrs": ["10.1.0.0/16"]}),
                Ok(json!({"allowedCidrs": ["10.1.0.0/16"]})),
            ),
            (
                json!({"allowedCidrs": ["10.1.0.0/16"]}),
                json!({"allowedCidrs": ["10.0.0.0/8"]}),
                Err("allowedCidrs"),
            ),
        ];
        for (old, wanted, expected) in table {
            let found = narrowing(&old).tightened(&narrowing(&wanted));
            let found = found.map_err(|error| error.fields()[0].field.clone());
            let expected = expected.map(|text| narrowing(&text)).map_err(str::to_owned);
            assert_eq!(found, expected, "{old} to {wanted}");
        }
    }

    #[test]
    fn what_was_asked_for_and_not_granted_is_named() {
        let granted = Restrictions { roles: Some(vec!["a".to_owned()]), ..Restrictions::default() };
        assert!(narrowing(&json!({"roles": ["a"]})).unmet(&granted).is_ok());
        let missing = narrowing(&json!({"roles": ["a", "b"], "scopes": ["s"]})).unmet(&granted);
        let fields: Vec<_> =
            missing.unwrap_err().fields().iter().map(|error| error.field.clone()).collect();
        assert_eq!(fields, ["scopes", "roles"]);
    }
}
