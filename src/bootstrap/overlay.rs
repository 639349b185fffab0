//! What a dry run would have changed so far, laid over what the realm has: later steps see what they would see in a
//! real run. Pure.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

/// Objects by their paths, and members of collections.
#[derive(Default)]
pub(super) struct Overlay {
    objects: BTreeMap<String, Value>,
    added: Vec<(String, Value)>,
    removed: BTreeSet<(String, String)>,
    made: BTreeSet<String>,
}

impl Overlay {
    /// Takes note of a call that a dry run does not make.
    pub(super) fn note(&mut self, method: &Method, path: &str, body: Option<&Value>) {
        match (method, body) {
            (&Method::POST, Some(Value::Array(members))) => {
                self.added.extend(members.iter().map(|member| (path.to_owned(), member.clone())));
            }
            (&Method::POST, Some(object @ Value::Object(_))) => {
                let mut object = object.clone();
                let id = match object["id"].as_str() {
                    Some(id) => id.to_owned(),
                    None => self.new_id(),
                };
                object["id"] = json!(id);
                self.objects.insert(format!("{path}/{id}"), object.clone());
                self.added.push((path.to_owned(), object));
                self.made.insert(id);
            }
            (&Method::DELETE, Some(Value::Array(members))) => {
                let ids = members.iter().filter_map(|member| member["id"].as_str());
                self.removed.extend(ids.map(|id| (path.to_owned(), id.to_owned())));
            }
            (&Method::DELETE, _) => {
                if let Some((collection, id)) = path.rsplit_once('/') {
                    self.removed.insert((collection.to_owned(), id.to_owned()));
                }
            }
            _ => {}
        }
    }

    /// A new user, who has these realm roles and is in these groups; answers their id.
    pub(super) fn add_user(&mut self, roles: Vec<Value>, groups: Vec<Value>) -> String {
        let id = self.new_id();
        for (collection, members) in [("role-mappings/realm", roles), ("groups", groups)] {
            let path = format!("/users/{id}/{collection}");
            self.added.extend(members.into_iter().map(|member| (path.clone(), member)));
        }
        self.made.insert(id.clone());
        id
    }

    /// The object at exactly this path, where a dry run would have made it.
    pub(super) fn object(&self, path: &str) -> Option<&Value> {
        self.objects.get(path)
    }

    /// Whether the path leads through something that is not in the realm yet.
    pub(super) fn covers(&self, path: &str) -> bool {
        path.split('/').any(|segment| self.made.contains(segment))
    }

    /// The members of the collection at `path`, of which the realm has these.
    pub(super) fn members(&self, path: &str, mut found: Vec<Value>) -> Vec<Value> {
        let collection = path.split('?').next().unwrap_or_default();
        let added = self.added.iter().filter(|(at, _)| at == collection);
        found.extend(added.map(|(_, member)| member.clone()));
        found.retain(|member| {
            let id = member["id"].as_str().unwrap_or_default();
            !self.removed.contains(&(collection.to_owned(), id.to_owned()))
        });
        found
    }

    fn new_id(&self) -> String {
        format!("planned-{}", self.made.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_seen_and_what_is_removed_is_not() {
        let mut overlay = Overlay::default();
        overlay.note(&Method::POST, "/clients", Some(&json!({"id": "c1", "clientId": "x"})));
        overlay.note(&Method::POST, "/clients/c1/roles", Some(&json!({"name": "r"})));
        assert_eq!(overlay.object("/clients/c1").unwrap()["clientId"], "x");
        assert!(overlay.covers("/clients/c1/roles"));
        assert!(!overlay.covers("/clients/c2/roles"));
        let roles = overlay.members("/clients/c1/roles", Vec::new());
        assert_eq!(roles[0]["name"], "r");
        assert!(roles[0]["id"].is_string());

        overlay.note(&Method::POST, "/users/u/role-mappings/realm", Some(&json!(roles)));
        let held = overlay.members("/users/u/role-mappings/realm", vec![json!({"id": "other"})]);
        assert_eq!(held.len(), 2);
        overlay.note(
            &Method::DELETE,
            "/users/u/role-mappings/realm",
            Some(&json!([{"id": "other"}])),
        );
        assert_eq!(overlay.members("/users/u/role-mappings/realm", held).len(), 2);
        overlay.note(&Method::DELETE, "/components/k", None);
        assert!(overlay.members("/components?type=t", vec![json!({"id": "k"})]).is_empty());
    }
}
