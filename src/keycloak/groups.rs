//! Groups: who is in them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::elements::Bounds;
use super::{Keycloak, KeycloakError};
use crate::id::UserId;

/// How many members or groups one call answers.
const PAGE: usize = 500;
/// Of so many members or groups it is not asked who they are.
const MOST: usize = 20_000;

#[derive(Deserialize)]
struct Id {
    id: String,
}

/// With their attributes they are larger.
const ATTRIBUTES_PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    id: String,
    path: String,
    #[serde(default)]
    sub_group_count: u64,
    #[serde(default)]
    attributes: BTreeMap<String, Vec<String>>,
}

impl Group {
    fn has(&self, attribute: &str) -> bool {
        self.attributes.get(attribute).is_some_and(|values| !values.is_empty())
    }
}

impl Keycloak {
    /// The members of a group and of all groups below it. `None`: there is no such group, or there are very many of them.
    pub async fn list_members_below(
        &self,
        group: &str,
    ) -> Result<Option<Vec<UserId>>, KeycloakError> {
        let (mut groups, mut members, mut count) = (vec![group.to_owned()], Vec::new(), 0);
        while let Some(group) = groups.pop() {
            count += 1;
            if members.len() + groups.len() + count > MOST {
                return Ok(None);
            }
            if !group.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                return Ok(None);
            }
            let Some(found) = self.list_below_group(&group, "members").await? else {
                return Ok(None);
            };
            members.extend(found.into_iter().map(UserId::new));
            let Some(children) = self.list_below_group(&group, "children").await? else {
                return Ok(None);
            };
            groups.extend(children);
        }
        Ok(Some(members))
    }

    /// The path of a group that has this attribute, whatever its value. Fails where there is none, but a group that is too
    /// large to be read.
    pub async fn find_group_with_attribute(
        &self,
        name: &str,
    ) -> Result<Option<String>, KeycloakError> {
        let (mut parents, mut unread) = (vec!["/groups".to_owned()], 0);
        while let Some(parent) = parents.pop() {
            let mut first = 0;
            loop {
                let (from, max) = (first.to_string(), ATTRIBUTES_PAGE.to_string());
                let query =
                    [("first", from.as_str()), ("max", &max), ("briefRepresentation", "false")];
                let page: Vec<Option<Group>> =
                    self.get_readable(&parent, &query, Bounds::WHOLE).await?;
                if page.is_empty() {
                    break;
                }
                unread += page.iter().filter(|group| group.is_none()).count();
                let page: Vec<_> = page.into_iter().flatten().collect();
                if let Some(found) = page.iter().find(|group| group.has(name)) {
                    return Ok(Some(found.path.clone()));
                }
                let above = page.iter().filter(|group| group.sub_group_count > 0);
                parents.extend(above.map(|group| format!("/groups/{}/children", group.id)));
                first += ATTRIBUTES_PAGE;
            }
        }
        if unread == 0 {
            return Ok(None);
        }
        let reason = format!("{unread} groups that are too large to be read");
        Err(KeycloakError::Protocol { call: "GET /groups".to_owned(), reason })
    }

    /// The ids of a group's `members` or `children`.
    async fn list_below_group(
        &self,
        group: &str,
        what: &str,
    ) -> Result<Option<Vec<String>>, KeycloakError> {
        let path = format!("/groups/{group}/{what}");
        let (mut ids, mut first) = (Vec::new(), 0);
        loop {
            let (from, max) = (first.to_string(), PAGE.to_string());
            let query = [("first", from.as_str()), ("max", &max), ("briefRepresentation", "true")];
            // However many names they have: only their ids are held.
            let page = match self.get_readable::<Id>(&path, &query, Bounds::WHOLE).await {
                Ok(page) => page,
                Err(KeycloakError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
            // A page may lack some that Keycloak left out after it was read.
            if page.is_empty() {
                return Ok(Some(ids));
            }
            if first > MOST {
                return Ok(None);
            }
            let Some(page) = page.into_iter().collect::<Option<Vec<_>>>() else { return Ok(None) };
            ids.extend(page.into_iter().map(|found| found.id));
            first += PAGE;
        }
    }
}
