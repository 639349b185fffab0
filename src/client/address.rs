//! Where Keycloak itself may be sent to: `adminUrl` and `backchannelLogoutUrl` are called by the server, so they must
//! not lead into its own network.
//!
//! A name has to be found, and to lead to public addresses only. Names that belong to no public host ([`INNER`], and
//! those without a dot) may lead anywhere where Keycloak stands, whatever they lead to from here: they are taken only
//! where all of their addresses are in networks that the operator allows.
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

/// Ends of names that the public DNS gives to nobody, or that lead into a network of one's own: special-use names (RFC
/// 6761, 6762 with its appendix G, 7686, 8375, 9476), what ICANN keeps back, and what clusters and routers use.
const INNER: [&str; 21] = [
    "alt",
    "arpa",
    "cluster.local",
    "consul",
    "corp",
    "domain",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "onion",
    "private",
    "svc",
    "test",
    "workgroup",
];

const NOT_PUBLIC: &str = "leads to an address that is not public; the operator's setting \
                          `clients.allowed_networks` can allow it";
const INNER_NAME: &str = "has a host that no public name leads to; the operator's setting \
                          `clients.allowed_networks` can allow its address";
const UNKNOWN: &str = "has a host whose name is not found";

/// Refuses what does not lead to public addresses alone, but for the allowed networks.
pub(super) async fn check_public(url: &Url, allowed: &[IpNet]) -> Result<(), &'static str> {
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) => return check_name(name, allowed).await,
        None => return Err("has no host"),
    };
    if may_be_called(unwrapped(literal), allowed) { Ok(()) } else { Err(NOT_PUBLIC) }
}

async fn check_name(name: &str, allowed: &[IpNet]) -> Result<(), &'static str> {
    if !is_inner(name) {
        let known = resolve(name).await?;
        let all = known.iter().all(|one| may_be_called(*one, allowed));
        return if all { Ok(()) } else { Err(NOT_PUBLIC) };
    }
    // Nothing is asked of a resolver where nothing is allowed.
    if !allowed.is_empty() && resolve(name).await?.iter().all(|one| is_allowed(*one, allowed)) {
        return Ok(());
    }
    Err(INNER_NAME)
}

/// Whether the name has no dot, or one of the ends that no public name has.
fn is_inner(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let ends = |end| {
        name.strip_suffix(end).is_some_and(|rest: &str| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || INNER.into_iter().any(ends)
}

/// The addresses of a name; at least one.
async fn resolve(name: &str) -> Result<Vec<IpAddr>, &'static str> {
    let name = name.trim_end_matches('.');
    // RFC 6761 §6.3, whatever a resolver says.
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    }
    let found: Vec<_> = match timeout(LOOKUP, lookup_host((name, 443))).await {
        Ok(Ok(found)) => found.map(|address| unwrapped(address.ip())).collect(),
        Ok(Err(_)) => Vec::new(),
        Err(_) => return Err("has a host whose name cannot be looked up in time"),
    };
    if found.is_empty() { Err(UNKNOWN) } else { Ok(found) }
}

fn unwrapped(address: IpAddr) -> IpAddr {
    inner(address.to_canonical())
}

fn may_be_called(address: IpAddr, allowed: &[IpNet]) -> bool {
    is_public(address) || is_allowed(address, allowed)
}

fn is_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    allowed.iter().any(|network| network.contains(&address))
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
            assert!(is_public(unwrapped(public.parse().unwrap())), "{public}");
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
            assert!(!is_public(unwrapped(private.parse().unwrap())), "{private}");
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
        assert_eq!(check_public(&url, &["127.0.0.1/32".parse().unwrap()]).await, Ok(()));
    }

    #[tokio::test]
    async fn names_that_lead_to_no_public_host_are_refused_unasked() {
        for name in [
            "vault",
            "vault.",
            "localhost.",
            "app.localhost.",
            "vault.default.svc",
            "vault.default.svc.cluster.local",
            "db.internal",
            "metadata.google.internal",
            "printer.local",
            "nas.home.arpa",
            "router.home",
            "x.lan",
            "x.corp",
            "x.intranet",
            "x.private",
            "x.localdomain",
            "x.test",
            "x.invalid",
            "x.example",
            "x.onion",
            "x.alt",
            "x.consul",
            "1.0.0.10.in-addr.arpa",
            "DB.INTERNAL",
        ] {
            let url: Url = format!("https://{name}/logout").parse().unwrap();
            assert_eq!(check_public(&url, &[]).await, Err(INNER_NAME), "{name}");
            // Nor does an allowed network help that they do not lead into.
            let elsewhere = ["192.0.2.0/24".parse().unwrap()];
            assert!(check_public(&url, &elsewhere).await.is_err(), "{name}");
        }
        for name in ["app.example.com", "internal.example.com", "locals", "mylocal.dev", "svc.dev"]
        {
            assert_eq!(is_inner(name), !name.contains('.'), "{name}");
        }
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_is_refused() {
        // Longer than any name of the DNS may be: no resolver answers it, whatever network this runs in.
        let name = format!("{}.com", vec!["x".repeat(60); 5].join("."));
        let url: Url = format!("https://{name}/").parse().unwrap();
        assert_eq!(check_public(&url, &[]).await, Err(UNKNOWN));
    }
}
