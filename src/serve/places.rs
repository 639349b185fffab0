//! How many connections there are, and how many of them one address may have.
//!
//! An address has no more places than are still free. So one alone has at most half of them, two have a third each, and
//! there is always room for another. A trusted proxy brings everybody's requests from one address: it may have nearly all,
//! and a few stay free for those who look whether the service is well.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use metrics::{Counter, Gauge};

use crate::telemetry::{Family, Metrics};
use crate::throttle::network;

const OPEN: Family =
    Family { name: "hallpass_connections", help: "Inbound connections that are open." };
const REFUSED: Family = Family {
    name: "hallpass_connections_refused_total",
    help: "Inbound connections closed at once: all places were taken (`full`), or the address had its share (`share`).",
};
/// One place of so many is for others than trusted proxies.
const SPARED: usize = 16;

/// The places. Clones share them.
#[derive(Clone)]
pub(super) struct Places(Arc<Inner>);

struct Inner {
    total: usize,
    trusted: Vec<IpNet>,
    taken: Mutex<Taken>,
    open: Gauge,
    full: Counter,
    share: Counter,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_network: HashMap<IpNet, usize>,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place {
    places: Places,
    network: IpNet,
}

impl Places {
    pub(super) fn new(total: usize, trusted: &[IpNet], metrics: &Metrics) -> Self {
        let open = metrics.gauge(OPEN, &[]);
        open.set(0.0);
        let [full, share] =
            ["full", "share"].map(|reason| metrics.counter(REFUSED, &[("reason", reason)]));
        let (trusted, taken) = (trusted.to_vec(), Mutex::default());
        Self(Arc::new(Inner { total, trusted, taken, open, full, share }))
    }

    /// A place for a connection of this peer; `None` where it has none.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Place> {
        let Inner { total, trusted, open, full, share, .. } = &*self.0;
        let peer = peer.to_canonical();
        let network = network(peer);
        let mut taken = self.taken();
        let free = total.saturating_sub(taken.all);
        let held = taken.by_network.get(&network).copied().unwrap_or_default();
        let has_room = if trusted.iter().any(|proxy| proxy.contains(&peer)) {
            free > total / SPARED
        } else {
            held < free
        };
        if !has_room {
            let reason = if free == 0 { full } else { share };
            reason.increment(1);
            return None;
        }
        taken.all += 1;
        taken.by_network.insert(network, held + 1);
        open.increment(1.0);
        Some(Place { places: self.clone(), network })
    }

    /// Whether more than half of them are taken.
    fn are_scarce(&self) -> bool {
        self.taken().all > self.0.total / 2
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether more than half of all places are taken.
    pub(super) fn is_in_a_crowd(&self) -> bool {
        self.places.are_scarce()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(held) = taken.by_network.get_mut(&self.network) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                taken.by_network.remove(&self.network);
            }
        }
        self.places.0.open.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(total: usize) -> Places {
        Places::new(total, &["10.0.0.0/8".parse().unwrap()], &Metrics::default())
    }

    fn take_all(places: &Places, peer: &str) -> Vec<Place> {
        std::iter::from_fn(|| places.take(peer.parse().unwrap())).collect()
    }

    #[test]
    fn one_address_leaves_room_for_others() {
        let places = places(64);
        let first = take_all(&places, "192.0.2.1");
        assert_eq!(first.len(), 32);
        assert!(!places.are_scarce());
        // IPv6: who has an address has its /64.
        let second = take_all(&places, "2001:db8::1");
        assert_eq!(second.len(), 16);
        assert!(places.are_scarce());
        assert!(places.take("2001:db8::2".parse().unwrap()).is_none());
        assert!(places.take("2001:db8:0:1::1".parse().unwrap()).is_some());
        // The same address in its other notation.
        assert!(places.take("::ffff:192.0.2.1".parse().unwrap()).is_none());
        drop(first);
        assert_eq!(take_all(&places, "192.0.2.1").len(), 24);
    }

    #[test]
    fn a_trusted_proxy_has_nearly_all() {
        let places = places(64);
        let proxy = take_all(&places, "10.0.0.1");
        assert_eq!(proxy.len(), 60);
        // Another one has no more.
        assert!(places.take("10.0.0.2".parse().unwrap()).is_none());
        assert_eq!(take_all(&places, "192.0.2.1").len(), 2);
    }

    #[test]
    fn what_is_given_back_is_forgotten() {
        let places = places(8);
        for number in 0..1000_u32 {
            let peer = IpAddr::from(number.to_be_bytes());
            drop(places.take(peer).unwrap());
        }
        let taken = places.taken();
        assert_eq!((taken.all, taken.by_network.len()), (0, 0));
    }
}
