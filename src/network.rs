//! Addresses and networks, read in one way wherever they are written: in settings, in a token's `allowedCidrs`, in
//! `X-Forwarded-For`, as `client_ip`.
//!
//! They are compared in one form: an IPv4 address within IPv6 is an IPv4 address (RFC 4291 §2.5.5.2).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// The address in a text: alone, in brackets, with a port behind it, with a zone (RFC 4007 §11), in quotes as in RFC 7239.
/// The zone is dropped: it means something only on the machine that wrote it.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            let port = if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) };
            (host, port)
        }
        // One colon: a port behind an IPv4 address. More: an IPv6 address.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if !port.is_none_or(is_port) {
        return None;
    }
    let address = match host.split_once('%') {
        Some((host, zone)) if !zone.is_empty() => IpAddr::V6(host.parse().ok()?),
        _ => host.parse::<IpAddr>().ok()?,
    };
    Some(address.to_canonical())
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// It is something else.
    #[error("is no address and no network")]
    Malformed,
    /// It names one address of a network, and not the network.
    #[error("has bits behind its prefix; `{0}` is the network")]
    HostBits(IpNet),
}

/// The network in a text, or the address as a network of one: without host bits, and IPv4 as IPv4.
pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address.to_canonical()),
        Err(_) => canonical(text.parse().map_err(|_| NetworkError::Malformed)?),
    };
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(NetworkError::HostBits(network.trunc()))
    }
}

/// Addresses are compared in their canonical form, so that `::ffff:10.0.0.0/104` would hold none.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    v4.map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_read_however_a_proxy_writes_it() {
        for (text, address) in [
            ("198.51.100.1", "198.51.100.1"),
            (" 198.51.100.1\t", "198.51.100.1"),
            ("198.51.100.1:4711", "198.51.100.1"),
            ("[198.51.100.1]:4711", "198.51.100.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("[::ffff:c633:6401]:80", "198.51.100.1"),
            ("::1", "::1"),
        ] {
            assert_eq!(parse_address(text), Some(address.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            " ",
            "unknown",
            "_hidden",
            "198.51.100",
            "198.51.100.1.2",
            "198.51.100.1:",
            "198.51.100.1:x",
            "198.51.100.1:65536",
            "198.51.100.1:+1",
            "198.51.100.1%eth0",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]x",
            "[2001:db8::1]:",
            "[]",
            "fe80::1%",
            "198.51.100.1, 198.51.100.2",
            "010.0.0.1",
            "198.51.100.0/24",
            "localhost",
        ] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }

    #[test]
    fn a_network_is_read_in_its_one_form() {
        for (text, network) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("2001:DB8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(parse_network(text).unwrap().to_string(), network, "{text}");
        }
        for (text, message) in [
            ("10.1.2.3/8", "has bits behind its prefix; `10.0.0.0/8` is the network"),
            ("localhost", "is no address and no network"),
            ("10.0.0.0/33", "is no address and no network"),
        ] {
            assert_eq!(parse_network(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_address_is_read_with_and_without_a_port(bits: u128, v4: bool, port: u16) {
            let address = if v4 { IpAddr::from(u32::try_from(bits >> 96).unwrap().to_be_bytes()) } else { IpAddr::from(bits.to_be_bytes()) };
            let with_port = std::net::SocketAddr::new(address, port).to_string();
            for text in [address.to_string(), with_port] {
                prop_assert_eq!(parse_address(&text), Some(address.to_canonical()), "{}", text);
            }
        }

        #[test]
        fn no_text_breaks_it(text in "[0-9a-f:.%\\[\\]\", /]{0,30}") {
            let _ = (parse_address(&text), parse_network(&text));
        }
    }
}
