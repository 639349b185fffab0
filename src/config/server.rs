//! The section `server`.

use std::fmt;
use std::net::SocketAddr;

use ipnet::IpNet;
use url::Url;

use super::keycloak::parse_client_id;
use super::reader::{Key, Reader, Reason};
use crate::network::{self, NetworkError};

/// Where Hallpass listens and how it is reached.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// How its users reach it.
    pub public_url: PublicUrl,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The `azp` of access tokens that may call the API.
    pub allowed_clients: Vec<String>,
}

impl ServerSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let listen =
            reader.value(LISTEN, |text| text.parse().map_err(|_| "is no address with a port"));
        let public_url = reader.value(PUBLIC_URL, PublicUrl::parse);
        let trusted_proxies = reader.list(TRUSTED_PROXIES, parse_network);
        let allowed_clients = reader.list(ALLOWED_CLIENTS, parse_client_id);
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            trusted_proxies: trusted_proxies?,
            allowed_clients: allowed_clients?,
        })
    }
}

const LISTEN: Key = Key {
    name: "server.listen",
    default: Some("127.0.0.1:8090"),
    allowed: "an address and a port, such as `0.0.0.0:8090` or `[::1]:8090`",
    meaning: "Where Hallpass listens.",
};
const PUBLIC_URL: Key = Key {
    name: "server.public_url",
    default: Some("http://localhost:8090"),
    allowed: "an `http` or `https` URL without user, query and fragment",
    meaning: "How users reach Hallpass: the base of redirects and of the pages that explain problems.",
};
const TRUSTED_PROXIES: Key = Key {
    name: "server.trusted_proxies",
    default: Some(""),
    allowed: "addresses and networks, such as `10.0.0.0/8`",
    meaning: "Proxies whose `X-Forwarded-For` is believed.",
};
const ALLOWED_CLIENTS: Key = Key {
    name: "server.allowed_clients",
    default: Some("hallpass,hallpass-cli"),
    allowed: "client ids of 1 to 255 visible ASCII characters",
    meaning: "Clients (`azp`) whose access tokens may call the API.",
};

/// An absolute URL to which paths are appended; it ends without a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    pub(super) fn parse(text: &str) -> Result<Self, Reason> {
        // The parser repairs these in silence, and what it makes of them is not what was written.
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err("has a space, a control character or a backslash");
        }
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err("does not begin with `http://` or `https://`");
        }
        let url = Url::parse(text).map_err(|_| "is no URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user in it");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("has a query or a fragment");
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PublicUrl {
    /// Whether users reach Hallpass by TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As those of tokens are read.
pub(super) fn parse_network(text: &str) -> Result<IpNet, Reason> {
    network::parse_network(text).map_err(|error| match error {
        NetworkError::Malformed => "is no address or network",
        NetworkError::HostBits(_) => "has bits behind its prefix",
    })
}
