//! What a token is narrowed to, as its record keeps it: lists of texts, checked before they came here.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::TokenRecord;

/// What a token was narrowed to; `None`: not in this respect, which an empty list would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// The scopes that it has.
    pub scopes: Option<Vec<String>>,
    /// The roles that it has: `name`, or `client:name`.
    pub roles: Option<Vec<String>>,
    /// The audiences that it is for.
    pub audience: Option<Vec<String>>,
    /// The networks from which it may be used.
    pub allowed_cidrs: Option<Vec<String>>,
}

impl TokenRecord {
    /// What it was narrowed to.
    #[must_use]
    pub fn restrictions(&self) -> Restrictions {
        Restrictions {
            scopes: self.scopes.clone(),
            roles: self.roles.clone(),
            audience: self.audience.clone(),
            allowed_cidrs: self.allowed_cidrs.clone(),
        }
    }

    /// Whether it may be used from this address. What cannot be read as a network holds no address.
    #[must_use]
    pub fn may_be_used_from(&self, address: IpAddr) -> bool {
        self.allowed_cidrs.as_ref().is_none_or(|networks| hold(networks, address))
    }
}

fn hold(networks: &[String], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|text| text.parse().is_ok_and(|net: IpNet| net.contains(&address)))
}

/// A list as its column has it.
pub(super) fn column(list: Option<&Vec<String>>) -> Option<String> {
    list.map(|list| Value::from(list.as_slice()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_one_of_the_networks_or_refused() {
        let table: [(&[&str], &str, bool); 10] = [
            (&["10.0.0.0/8"], "10.255.255.255", true),
            (&["10.0.0.0/8"], "11.0.0.0", false),
            (&["10.0.0.0/8"], "::ffff:10.0.0.1", true),
            (&["192.0.2.7/32", "10.0.0.0/8"], "10.0.0.1", true),
            (&["2001:db8::/32"], "2001:db8:ffff::1", true),
            (&["2001:db8::/32"], "2001:db9::1", false),
            (&["::/0"], "10.0.0.1", false),
            (&["0.0.0.0/0"], "::1", false),
            (&["nonsense"], "10.0.0.1", false),
            (&[], "10.0.0.1", false),
        ];
        for (networks, address, expected) in table {
            let networks: Vec<_> = networks.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(hold(&networks, address.parse().unwrap()), expected, "{networks:?}");
        }
    }
}
