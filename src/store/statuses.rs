//! What this process remembers of tokens' standing, by the 16 bytes of their ids.
//!
//! 1. Whoever reads a standing from the database takes a [`Ticket`] before, and hands it in with what was read.
//! 2. A change forgets what it concerns. What was read under a ticket from before that is not kept: it may be older.
//! 3. There are two halves. When the young one is full it becomes the old one, and what nobody asked for in
//!    the meantime is gone: so the memory is bounded, without a list of who came when.
//!
//! An entry is 32 bytes and what a hash table needs around them: a million of them fit where a general cache holds a
//! tenth of that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Standing;
use crate::id::PatId;

const SHARDS: usize = 64;
/// The most that are remembered.
const MAX_REMEMBERED: usize = 1_000_000;

pub(super) struct Statuses {
    shards: Box<[Mutex<Shard>]>,
    /// How many the young half of a shard holds.
    half: usize,
}

#[derive(Default)]
struct Shard {
    /// How often something was forgotten here.
    forgotten: u64,
    young: HashMap<u128, Standing>,
    old: HashMap<u128, Standing>,
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

    pub(super) fn find(&self, id: PatId) -> Option<Standing> {
        let mut shard = self.shard(id);
        if let Some(standing) = shard.young.get(&id.bits()) {
            return Some(*standing);
        }
        let standing = shard.old.remove(&id.bits())?;
        self.insert(&mut shard, id, standing);
        Some(standing)
    }

    pub(super) fn ticket(&self, id: PatId) -> Ticket {
        Ticket(self.shard(id).forgotten)
    }

    pub(super) fn keep(&self, id: PatId, standing: Standing, ticket: Ticket) {
        let mut shard = self.shard(id);
        if shard.forgotten == ticket.0 {
            shard.old.remove(&id.bits());
            self.insert(&mut shard, id, standing);
        }
    }

    pub(super) fn forget(&self, id: PatId) {
        let mut shard = self.shard(id);
        shard.forgotten += 1;
        shard.young.remove(&id.bits());
        shard.old.remove(&id.bits());
    }

    pub(super) fn forget_all(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            *shard = Shard { forgotten: shard.forgotten + 1, ..Shard::default() };
        }
    }

    fn insert(&self, shard: &mut Shard, id: PatId, standing: Standing) {
        if shard.young.len() >= self.half && !shard.young.contains_key(&id.bits()) {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(id.bits(), standing);
    }

    /// By the random end of the id; its beginning is a time.
    fn shard(&self, id: PatId) -> MutexGuard<'_, Shard> {
        let number = usize::try_from(id.bits() % SHARDS as u128).unwrap_or_default();
        lock(&self.shards[number])
    }
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

    fn keep(statuses: &Statuses, number: usize) {
        statuses.keep(id(number), Standing::Revoked, statuses.ticket(id(number)));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let statuses = Statuses::new();
        let ticket = statuses.ticket(id(1));
        statuses.forget(id(1));
        statuses.keep(id(1), Standing::Revoked, ticket);
        assert_eq!(statuses.find(id(1)), None);
        keep(&statuses, 1);
        assert_eq!(statuses.find(id(1)), Some(Standing::Revoked));
        let ticket = statuses.ticket(id(1));
        statuses.forget_all();
        statuses.keep(id(1), Standing::Revoked, ticket);
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
    fn an_entry_is_small() {
        assert!(size_of::<(u128, Standing)>() <= 32);
    }
}
