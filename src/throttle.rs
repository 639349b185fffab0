//! How often one caller may create or change, and how often one address may fail to authenticate, have a secret checked or
//! revoke what is dead.
//!
//! Five token buckets (GCRA), each with a bucket a key. They are this process's own: several replicas allow as many
//! times as much. What is over the limit is refused before any work, and does not count.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;

use crate::clock;
use crate::error::{Code, Error};
use crate::id::UserId;

/// How many at once.
const BURST: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// How many more each second, after that.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Fewer buckets than this are not looked through for full ones.
const FEW: usize = 1024;
/// Whoever has an IPv6 address has all of its /64.
const IPV6_PREFIX: u8 = 64;

/// The limits. Clones share them.
#[derive(Clone)]
pub struct Throttle {
    creation: Arc<Limit<UserId>>,
    change: Arc<Limit<UserId>>,
    failed_authentication: Arc<Limit<IpNet>>,
    client_secret: Arc<Limit<IpNet>>,
    revocation: Arc<Limit<IpNet>>,
}

impl Throttle {
    /// Nobody has done anything yet.
    #[must_use]
    pub fn new(clock: &clock::Clock) -> Self {
        Self {
            creation: Arc::new(Limit::new(Passed(clock.clone()))),
            change: Arc::new(Limit::new(Passed(clock.clone()))),
            failed_authentication: Arc::new(Limit::new(Passed(clock.clone()))),
            client_secret: Arc::new(Limit::new(Passed(clock.clone()))),
            revocation: Arc::new(Limit::new(Passed(clock.clone()))),
        }
    }

    /// Counts something that the caller creates: a token, its successor, an API client.
    pub fn creation(&self, caller: &UserId) -> Result<(), Error> {
        self.creation.count(caller).map_err(|wait| {
            let detail =
                "You create too much in a short time; go on after the time in `Retry-After`.";
            Error::new(Code::RateLimited, detail).retry_after(wait)
        })
    }

    /// Counts what the caller changes, and each secret that they read: each is a call to Keycloak or a line of the audit
    /// log.
    pub fn change(&self, caller: &UserId) -> Result<(), Error> {
        self.change.count(caller).map_err(|wait| {
            let detail = "You change or read too much in a short time; go on after the time in `Retry-After`.";
            Error::new(Code::RateLimited, detail).retry_after(wait)
        })
    }

    /// Counts a failed authentication. A good credential is never asked about here: tokens cannot be guessed, and a
    /// neighbour behind the same address must not lock it out.
    pub fn failed_authentication(&self, address: IpAddr) -> Result<(), Error> {
        self.failed_authentication.count(&network(address)).map_err(|wait| {
            let detail = "Too many calls without a valid credential come from your address; look at the \
                          credential, and go on after the time in `Retry-After`.";
            Error::new(Code::RateLimited, detail).retry_after(wait)
        })
    }

    /// Counts a client secret that Keycloak is to be asked about: unlike a token it can be guessed, and each guess costs
    /// Keycloak a call. One that was good before is no guess, and does not come here.
    pub fn client_secret(&self, address: IpAddr) -> Result<(), Error> {
        self.client_secret.count(&network(address)).map_err(|wait| {
            let detail = "Too many client secrets come from your address in a short time; look at the secret, and \
                          go on after the time in `Retry-After`.";
            Error::new(Code::RateLimited, detail).retry_after(wait)
        })
    }

    /// Counts the revocation of a token that is none, or is dead already. One that is alive is never asked about here: who
    /// finds a leaked token can end it, whatever their neighbours do.
    pub fn revocation(&self, address: IpAddr) -> Result<(), Error> {
        self.revocation.count(&network(address)).map_err(|wait| {
            let detail = "Too many revocations of tokens that are not good come from your address; go on after the \
                          time in `Retry-After`.";
            Error::new(Code::RateLimited, detail).retry_after(wait)
        })
    }
}

/// Who stands behind an address, as far as one can tell.
pub(crate) fn network(address: IpAddr) -> IpNet {
    let host = IpNet::from(address);
    match address {
        IpAddr::V4(_) => host,
        // 64 bits are within 128; an address alone is stricter still.
        IpAddr::V6(_) => IpNet::new(address, IPV6_PREFIX).unwrap_or(host).trunc(),
    }
}

/// The service's clock, as the rate limiter reads it.
#[derive(Clone)]
struct Passed(clock::Clock);

impl Clock for Passed {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(u64::try_from(self.0.passed().as_nanos()).unwrap_or(u64::MAX))
    }
}

struct Limit<K: Hash + Eq + Clone, C: Clock<Instant = Nanos> = Passed> {
    buckets: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<Nanos>>,
    /// With more buckets than this, full ones are forgotten.
    many: AtomicUsize,
}

impl<K: Hash + Eq + Clone, C: Clock<Instant = Nanos>> Limit<K, C> {
    fn new(clock: C) -> Self {
        let quota = Quota::per_second(PER_SECOND).allow_burst(BURST);
        Self { buckets: RateLimiter::hashmap_with_clock(quota, clock), many: AtomicUsize::new(FEW) }
    }

    /// Takes one; or says after how long there will be one.
    fn count(&self, key: &K) -> Result<(), Duration> {
        self.forget_full_ones();
        self.buckets
            .check_key(key)
            .map_err(|refused| refused.wait_time_from(self.buckets.clock().now()))
    }

    /// A full bucket is as good as none. Looking through all of them costs no more, taken together, than filling them:
    /// it is done when they have doubled.
    fn forget_full_ones(&self) {
        if self.buckets.len() >= self.many.load(Ordering::Relaxed) {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
            self.many.store(FEW.max(self.buckets.len() * 2), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn taken(limit: &Limit<u32, FakeRelativeClock>, key: u32) -> usize {
        (0..1000).take_while(|_| limit.count(&key).is_ok()).count()
    }

    #[test]
    fn a_burst_is_allowed_and_then_two_each_second() {
        let clock = FakeRelativeClock::default();
        let limit = Limit::new(clock.clone());
        assert_eq!(taken(&limit, 1), 120);
        // Each for itself.
        assert_eq!(taken(&limit, 2), 120);
        assert_eq!(limit.count(&1), Err(Duration::from_millis(500)));
        clock.advance(Duration::from_millis(499));
        assert_eq!(limit.count(&1), Err(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(taken(&limit, 1), 1);
        clock.advance(Duration::from_secs(10));
        assert_eq!(taken(&limit, 1), 20);
        clock.advance(Duration::from_hours(1));
        assert_eq!(taken(&limit, 1), 120);
    }

    #[test]
    fn what_is_refused_does_not_count() {
        let clock = FakeRelativeClock::default();
        let limit = Limit::new(clock.clone());
        assert_eq!(taken(&limit, 1), 120);
        for _ in 0..10_000 {
            assert_eq!(limit.count(&1), Err(Duration::from_millis(500)));
        }
    }

    #[test]
    fn full_buckets_are_forgotten_and_others_are_not() {
        let clock = FakeRelativeClock::default();
        let limit = Limit::new(clock.clone());
        assert_eq!(taken(&limit, 0), 120);
        for key in 1..=20_000_u32 {
            limit.count(&key).unwrap();
            // A bucket of one is full again within a second: a thousand are not, and twice as many are kept.
            clock.advance(Duration::from_millis(1));
            assert!(limit.buckets.len() <= 2_100, "{} buckets", limit.buckets.len());
        }
        // Twenty seconds have passed: forty of its 120.
        assert_eq!(taken(&limit, 0), 40);
    }

    #[test]
    fn an_address_is_counted_with_its_ipv6_network() {
        for (one, other, together) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            let [one, other] = [one, other].map(|text| network(text.parse().unwrap()));
            assert_eq!(one == other, together, "{one} {other}");
        }
    }

    #[test]
    fn a_refusal_says_how_long_to_wait() {
        let throttle = Throttle::new(&clock::Clock::system());
        let (caller, address) = (UserId::new("u"), IpAddr::from([192, 0, 2, 1]));
        for limit in [&|| throttle.creation(&caller) as Result<(), Error>, &|| {
            throttle.failed_authentication(address) as Result<(), Error>
        }] as [&dyn Fn() -> Result<(), Error>; 2]
        {
            let error = (0..1000).find_map(|_| limit().err()).unwrap();
            assert_eq!(error.code(), Code::RateLimited);
            let wait = error.wait().unwrap();
            assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
        }
    }
}
