//! What somebody changed in Keycloak, by the names that the API has for it. Pure.

use std::collections::BTreeSet;

/// The fields of these members of a Keycloak client. What the API has no field for has Keycloak's own name.
pub(super) fn fields(members: &[String]) -> Vec<String> {
    let names: BTreeSet<_> = members.iter().map(|member| field(member)).collect();
    names.into_iter().map(str::to_owned).collect()
}

fn field(member: &str) -> &str {
    match member {
        "name" => "displayName",
        "baseUrl" => "homeUrl",
        "optionalClientScopes" => "scopes",
        "standardFlowEnabled" | "serviceAccountsEnabled" => "capabilities",
        "attributes.backchannel.logout.url" => "backchannelLogoutUrl",
        "attributes.post.logout.redirect.uris" => "postLogoutRedirectUris",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_keycloak_have_the_names_of_the_api_and_each_once() {
        let members = [
            "standardFlowEnabled",
            "serviceAccountsEnabled",
            "name",
            "redirectUris",
            "directAccessGrantsEnabled",
        ];
        let found = fields(&members.map(str::to_owned));
        assert_eq!(
            found,
            ["capabilities", "directAccessGrantsEnabled", "displayName", "redirectUris"]
        );
    }
}
