//! The section `server`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

use super::reader::{Key, Reader};

/// Where Hallpass listens and how it is reached.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// How its users reach it.
    pub public_url: PublicUrl,
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The `azp` of access tokens that may call the API.
    pub allowed_clients: Vec<String>,
}

impl Server {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let listen = reader.value(LISTEN, |text| {
            text.parse().map_err(|_| format!("{text:?} is no address with a port"))
        });
        let public_url = reader.value(PUBLIC_URL, PublicUrl::parse);
        let trusted_proxies = reader.list(TRUSTED_PROXIES, parse_network);
        let allowed_clients = reader.list(ALLOWED_CLIENTS, |text| Ok(text.to_owned()));
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
    allowed: "client ids",
    meaning: "Clients (`azp`) whose access tokens may call the API.",
};

/// An absolute URL to which paths are appended; it ends without a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{text:?} is no URL ({error})"))?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            // Not repeated: a URL with a user in it may hold a password.
            return Err("this URL does not fit".to_owned());
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// The URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse_network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpAddr>()
        .map(IpNet::from)
        .or_else(|_| text.parse())
        .map_err(|_| format!("{text:?} is no address or network"))
}
