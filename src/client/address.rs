//! Where Keycloak itself may be sent to: `adminUrl` and `backchannelLogoutUrl` are called by the server, so they must
//! not lead into its own network.
//!
//! A name can lead elsewhere tomorrow: this check is no substitute for egress rules, and the documentation says so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Host, Url};

/// A name that takes longer is not waited for.
const LOOKUP: Duration = Duration::from_secs(2);

/// Refuses what leads to an address that is not public, but for the allowed networks. A name that nobody knows leads
/// nowhere, and is taken.
pub(super) async fn check_public(url: &Url, allowed: &[IpNet]) -> Result<(), &'static str> {
    let addresses = match url.host() {
        Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
        Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
        Some(Host::Domain(name)) => resolve(name).await?,
        None => return Err("has no host"),
    };
    if addresses.into_iter().all(|address| may_be_called(address, allowed)) {
        return Ok(());
    }
    Err("leads to an address that is not public")
}

async fn resolve(name: &str) -> Result<Vec<IpAddr>, &'static str> {
    // RFC 6761 §6.3, whatever a resolver says.
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }
    match timeout(LOOKUP, lookup_host((name, 443))).await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        Ok(Err(_)) => Ok(Vec::new()),
        Err(_) => Err("has a host whose name cannot be looked up in time"),
    }
}

fn may_be_called(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = inner(address.to_canonical());
    is_public(address) || allowed.iter().any(|network| network.contains(&address))
}

/// The IPv4 address within an IPv6 one, where a gateway would unwrap it: NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let segments = v6.segments();
    let embedded = match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => Some((high, low)),
        // Deprecated, but still unwrapped by some (RFC 4291 §2.5.5.1); `::` and `::1` are no IPv4 addresses.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some((high, low)),
        _ => None,
    };
    embedded.map_or(address, |(high, low)| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    })
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// IANA's special-purpose registry, as far as it is not globally reachable.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a >= 240
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // Only 2000::/3 is given out; documentation, benchmarking and Teredo within it are not reachable.
    segments[0] & 0xe000 == 0x2000
        && !(segments[0] == 0x2001 && (segments[1] == 0xdb8 || segments[1] < 0x200))
        && segments[0] != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for public in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(may_be_called(public.parse().unwrap(), &[]), "{public}");
        }
        for private in [
            "127.0.0.1",
            "127.255.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "::7f00:1",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(!may_be_called(private.parse().unwrap(), &[]), "{private}");
        }
    }

    #[tokio::test]
    async fn an_allowed_network_may_be_called_in_any_notation() {
        let allowed = ["127.0.0.0/8".parse().unwrap()];
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://localhost/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            let url: Url = url.parse().unwrap();
            assert_eq!(check_public(&url, &allowed).await, Ok(()), "{url}");
            assert!(check_public(&url, &[]).await.is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_under_localhost_is_loopback() {
        let url: Url = "https://app.localhost/".parse().unwrap();
        assert!(check_public(&url, &[]).await.is_err());
    }
}
