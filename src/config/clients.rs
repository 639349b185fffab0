//! The section `clients`: API clients that people register themselves.

use ipnet::IpNet;

use super::reader::{Key, Reader};
use super::server::parse_network;

/// What API clients are like.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// How many clients an account may have where nobody set another limit for it.
    pub quota: u32,
    /// Whether people are asked before a registered web app sees them.
    pub consent: Consent,
    /// Who manages what, and what can be changed.
    pub profile: Profile,
    /// Networks that `adminUrl` and `backchannelLogoutUrl` may lead to although they are not public.
    pub allowed_networks: Vec<IpNet>,
}

/// Whether Keycloak asks people to agree before a registered web app sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// It asks.
    Always,
    /// It does not.
    Never,
}

/// The two ways of managing API clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// An account's members manage its clients together; ids are chosen; secrets can be read again.
    Insights,
    /// Each manages only their own; ids are generated; nothing can be changed; secrets show once.
    Domo,
}

impl ClientSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let quota = reader.value(QUOTA, |text| text.parse().map_err(|_| "is no number"));
        let consent = reader.value(CONSENT, |text| match text {
            "always" => Ok(Consent::Always),
            "never" => Ok(Consent::Never),
            _ => Err("is not known"),
        });
        let profile = reader.value(PROFILE, |text| match text {
            "insights" => Ok(Profile::Insights),
            "domo" => Ok(Profile::Domo),
            _ => Err("is no profile"),
        });
        let allowed_networks = reader.list(ALLOWED_NETWORKS, parse_network);
        Some(Self {
            quota: quota?,
            consent: consent?,
            profile: profile?,
            allowed_networks: allowed_networks?,
        })
    }
}

const QUOTA: Key = Key {
    name: "clients.quota",
    default: Some("5"),
    allowed: "a number from 0 to 4294967295",
    meaning: "How many API clients an account may have, where nobody set another limit for it.",
};
const CONSENT: Key = Key {
    name: "clients.consent",
    default: Some("always"),
    allowed: "`always` or `never`",
    meaning: "Whether Keycloak asks people to agree before a registered web app sees them.",
};
const PROFILE: Key = Key {
    name: "clients.profile",
    default: Some("insights"),
    allowed: "`insights` or `domo`",
    meaning: "`insights`: an account's members manage its clients together, ids are chosen, secrets can be read again. \
              `domo`: each manages only their own, ids are generated, nothing can be changed, secrets show once.",
};
const ALLOWED_NETWORKS: Key = Key {
    name: "clients.allowed_networks",
    default: Some(""),
    allowed: "addresses and networks, such as `10.0.0.0/8`",
    meaning: "Networks that are not public, which `adminUrl` and `backchannelLogoutUrl` of API clients may lead to \
              all the same: Keycloak calls these addresses.",
};
