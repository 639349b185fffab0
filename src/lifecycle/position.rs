//! Who is looked at again after an event: with the next events, and a last time some seconds later.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::id::UserId;
use crate::keycloak::UserChange;

/// When an owner is looked at for the last time after an event.
const LAST_LOOK: Duration = Duration::from_secs(10);
/// So many owners have a last look; of more the sweep finds what the second one missed.
const MOST_LATER: usize = 10_000;

/// Who is looked at again.
#[derive(Default)]
pub(super) struct Position {
    /// Looked at once: again with the next events.
    again: BTreeMap<UserId, UserChange>,
    /// Looked at twice: again at this moment.
    later: BTreeMap<UserId, (Instant, UserChange)>,
}

impl Position {
    /// Who is looked at now: those of new events, those of the last ones, and those whose last look is due.
    pub(super) fn take(
        &mut self,
        fresh: BTreeMap<UserId, UserChange>,
    ) -> BTreeMap<UserId, UserChange> {
        let now = Instant::now();
        let mut users = std::mem::take(&mut self.again);
        for (user, change) in &users {
            if self.later.len() < MOST_LATER {
                self.later.insert(user.clone(), (now + LAST_LOOK, *change));
            }
        }
        let due = self.later.extract_if(.., |_, (due, _)| *due <= now);
        for (user, (_, change)) in due {
            users.entry(user).or_insert(change);
        }
        for (user, change) in &fresh {
            note(&mut users, user.clone(), *change);
        }
        self.again = fresh;
        users
    }
}

/// The last word of whether a user left counts; what says nothing of it takes nothing back.
pub(super) fn note(users: &mut BTreeMap<UserId, UserChange>, user: UserId, change: UserChange) {
    let noted = users.entry(user).or_insert(change);
    *noted = noted.then(change);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_whether_a_user_left_counts() {
        use UserChange::{Changed, Edited, Enabled, Left};
        for (changes, noted) in [
            (&[Changed, Left][..], Left),
            (&[Left, Changed], Left),
            (&[Left, Enabled], Enabled),
            (&[Enabled, Left, Changed, Changed], Left),
            (&[Left, Edited], Edited),
        ] {
            let mut users = BTreeMap::new();
            for change in changes {
                note(&mut users, UserId::new("u"), *change);
            }
            assert_eq!(users[&UserId::new("u")], noted, "{changes:?}");
        }
    }
}
