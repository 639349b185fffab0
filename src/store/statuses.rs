//! What this process remembers of tokens' standing, by the 16 bytes of their ids.
//!
//! 1. Whoever reads a standing from the database takes a [`Ticket`] before, and hands it in with what was read.
//! 2. A change forgets what it concerns. What was read under a ticket from before that is not kept: it may be older.
//! 3. There are two halves. When the young one is full it becomes the old one, and what nobody asked for in
//!    the meantime is gone: so the memory is bounded, without a list of who came when.
//!
//! An entry is 25 bytes, unaligned, and what a hash table needs around them: a million of them fit where a general cache
//! holds a tenth of that.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Standing;
use crate::clock::Timestamp;
use crate::id::PatId;
use crate::names::{Email, Names};

/// A full half of a shard is then just short of where its table would grow.
const SHARDS: usize = 72;
/// The most that are remembered.
pub(super) const MAX_REMEMBERED: usize = 1_000_000;

pub(super) struct Statuses {
    shards: Box<[Mutex<Shard>]>,
    /// How many the young half of a shard holds.
    half: usize,
}

/// What is remembered of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It is good, and not narrowed.
    Plain(Plain),
    Other(Standing),
}

impl Status {
    pub(super) fn new(standing: Standing, plain: Option<Plain>) -> Self {
        match plain {
            Some(plain) if standing == Standing::Good => Self::Plain(plain),
            _ => Self::Other(standing),
        }
    }

    pub(super) const fn standing(self) -> Standing {
        match self {
            Self::Plain(_) => Standing::Good,
            Self::Other(standing) => standing,
        }
    }
}

/// A token that is not narrowed: beside its standing its record says nothing that the token does not say itself, if they
/// agree in this: what they say of the owner, and the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed)]
pub(super) struct Plain {
    owner: u32,
    expires_at: u32,
}

/// What a token and its record both say of the token's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnerSaid<'a> {
    /// Who it is.
    pub user_id: &'a str,
    /// The roles that they had at its issue, as canonical JSON.
    pub roles: &'a str,
    /// The name at login.
    pub username: &'a str,
    /// The email address, or nothing.
    pub email: &'a str,
    /// Whether Keycloak says that the address is theirs.
    pub email_verified: bool,
}

impl<'a> OwnerSaid<'a> {
    /// By a record; `None`: nobody knows the address yet.
    pub(super) fn by_record(user_id: &'a str, roles: &'a str, names: &'a Names) -> Option<Self> {
        let Names { username, email } = names;
        let Email { address, verified } = email.as_ref()?;
        Some(Self { user_id, roles, username, email: address, email_verified: *verified })
    }
}

impl Plain {
    /// `None` beyond the year 2106.
    pub(super) fn new(owner: OwnerSaid<'_>, expires_at: Timestamp) -> Option<Self> {
        let mut hasher = DefaultHasher::new();
        owner.hash(&mut hasher);
        let [.., a, b, c, d] = hasher.finish().to_be_bytes();
        let expires_at = u32::try_from(expires_at.seconds()).ok()?;
        Some(Self { owner: u32::from_be_bytes([a, b, c, d]), expires_at })
    }
}

type Table = HashMap<Key, Status, foldhash::fast::RandomState>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(Rust, packed)]
struct Key(u128);

impl From<PatId> for Key {
    fn from(id: PatId) -> Self {
        Self(id.bits())
    }
}

#[derive(Default)]
struct Shard {
    /// How often something was forgotten here.
    forgotten: u64,
    young: Table,
    old: Table,
}

/// Proof of when a standing was read, taken before.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

impl Statuses {
    pub(super) fn new() -> Self {
        Self::of(MAX_REMEMBERED)
    }

    fn of(max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, half: (max / SHARDS / 2).max(1) }
    }

    pub(super) fn find(&self, id: PatId) -> Option<Status> {
        let mut shard = self.shard(id);
        if let Some(status) = shard.young.get(&id.into()) {
            return Some(*status);
        }
        let status = shard.old.remove(&id.into())?;
        self.insert(&mut shard, id, status);
        Some(status)
    }

    pub(super) fn ticket(&self, id: PatId) -> Ticket {
        Ticket(self.shard(id).forgotten)
    }

    pub(super) fn keep(&self, id: PatId, status: Status, ticket: Ticket) {
        let mut shard = self.shard(id);
        if shard.forgotten == ticket.0 {
            shard.old.remove(&id.into());
            self.insert(&mut shard, id, status);
        }
    }

    /// Tickets for whatever is read next.
    pub(super) fn tickets(&self) -> Vec<Ticket> {
        self.shards.iter().map(|shard| Ticket(lock(shard).forgotten)).collect()
    }

    pub(super) fn keep_all(&self, statuses: &[(PatId, Status)], tickets: &[Ticket]) {
        for (id, status) in statuses {
            self.keep(*id, *status, tickets[shard_of(*id)]);
        }
    }

    pub(super) fn forget(&self, id: PatId) {
        let mut shard = self.shard(id);
        shard.forgotten += 1;
        shard.young.remove(&id.into());
        shard.old.remove(&id.into());
    }

    pub(super) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            *shard = Shard { forgotten: shard.forgotten + 1, ..Shard::default() };
        }
    }

    fn insert(&self, shard: &mut Shard, id: PatId, status: Status) {
        if shard.young.len() >= self.half && !shard.young.contains_key(&id.into()) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(id.into(), status);
    }

    fn shard(&self, id: PatId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(id)])
    }
}

/// By the random end of the id; its beginning is a time.
fn shard_of(id: PatId) -> usize {
    let end = id.bits() & u128::from(u32::MAX);
    usize::try_from(end).unwrap_or_default() % SHARDS
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> PatId {
        PatId::from(Uuid::from_u128(number as u128))
    }

    const REVOKED: Status = Status::Other(Standing::Revoked);

    fn keep(statuses: &Statuses, number: usize) {
        statuses.keep(id(number), REVOKED, statuses.ticket(id(number)));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let statuses = Statuses::new();
        let ticket = statuses.ticket(id(1));
        statuses.forget(id(1));
        statuses.keep(id(1), REVOKED, ticket);
        assert_eq!(statuses.find(id(1)), None);
        keep(&statuses, 1);
        assert_eq!(statuses.find(id(1)), Some(REVOKED));
        let ticket = statuses.ticket(id(1));
        statuses.forget_all();
        statuses.keep(id(1), REVOKED, ticket);
        assert_eq!(statuses.find(id(1)), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_stays() {
        let statuses = Statuses::of(SHARDS * 20);
        for number in 0..10_000 {
            keep(&statuses, number);
            assert!(statuses.find(id(0)).is_some(), "after {number}");
        }
        let held = |shard: &Mutex<Shard>| {
            let shard = lock(shard);
            shard.young.len() + shard.old.len()
        };
        let held: usize = statuses.shards.iter().map(held).sum();
        assert!((SHARDS * 10..=SHARDS * 20).contains(&held), "{held}");
        statuses.forget(id(0));
        assert_eq!(statuses.find(id(0)), None);
    }

    #[test]
    fn of_many_that_were_read_together_those_that_changed_meanwhile_are_not_kept() {
        let statuses = Statuses::new();
        let tickets = statuses.tickets();
        statuses.forget(id(1));
        statuses.keep_all(&[(id(1), REVOKED), (id(2), REVOKED)], &tickets);
        assert_eq!(statuses.find(id(1)), None);
        assert_eq!(statuses.find(id(2)), Some(REVOKED));
    }

    #[test]
    fn a_plain_token_agrees_in_owner_and_end() {
        let said = |user_id, roles| OwnerSaid {
            user_id,
            roles,
            username: "u",
            email: "e",
            email_verified: true,
        };
        let plain = |owner, roles, seconds| {
            Plain::new(said(owner, roles), Timestamp::from_seconds(seconds))
        };
        let of = |owner| Plain::new(owner, Timestamp::from_seconds(7));
        assert_eq!(plain("a", "r", 7), Plain::new(said("a", "r"), Timestamp::from_millis(7_999)));
        for other in [
            plain("b", "r", 7),
            plain("a", "r", 8),
            plain("", "r", 7),
            plain("a", "s", 7),
            plain("a", "", 7),
            plain("ar", "", 7),
            of(OwnerSaid { username: "e", ..said("a", "r") }),
            of(OwnerSaid { email: "", ..said("a", "r") }),
            of(OwnerSaid { email_verified: false, ..said("a", "r") }),
        ] {
            assert_ne!(plain("a", "r", 7), other);
        }
        assert_eq!(plain("a", "r", i64::from(u32::MAX) + 1), None);
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<(Key, Status)>(), 25);
    }
}
