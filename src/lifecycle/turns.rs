//! Looks at one owner are made one after the other; looks at others do not wait for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::id::UserId;

/// So many are known before those are forgotten that nobody has.
const MANY: usize = 1024;

/// A turn at one owner; it ends when it is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

/// Who looks at whom. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    turns: HashMap<UserId, Weak<tokio::sync::Mutex<()>>>,
    /// When those are forgotten that nobody has.
    bound: usize,
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self, owner: &UserId) -> Turn {
        self.of(owner).lock_owned().await
    }

    fn of(&self, owner: &UserId) -> Arc<tokio::sync::Mutex<()>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = known.turns.get(owner).and_then(Weak::upgrade) {
            return turn;
        }
        if known.turns.len() >= known.bound {
            known.turns.retain(|_, turn| turn.strong_count() > 0);
            known.bound = MANY.max(2 * known.turns.len());
        }
        let turn = Arc::default();
        known.turns.insert(owner.clone(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn owners_take_turns_each_on_their_own_and_are_forgotten() {
        let turns = Turns::default();
        let first = turns.take(&UserId::new("first")).await;
        for number in 0..5 * MANY {
            drop(turns.take(&UserId::new(number.to_string())).await);
        }
        assert!(turns.0.lock().unwrap().turns.len() <= MANY);
        let again = turns.of(&UserId::new("first"));
        assert!(again.try_lock().is_err(), "somebody has it");
        drop(first);
        assert!(again.try_lock().is_ok());
    }
}
