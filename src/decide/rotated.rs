//! A rotated token that is used after its grace.
//!
//! - It rotated itself: whoever has its successor had it, and so it is in two hands. All that came from it is revoked, once.
//! - A person rotated it: only they have the successor. It is refused, which the audit log tells once, and nothing else ends:
//!   a job that was forgotten must not end what replaced it.

use super::{Decider, Token};
use crate::audit::{Act, Event};
use crate::credential::EndReason;
use crate::error::Error;
use crate::id::PatId;
use crate::principal::Origin;
use crate::store::FamilyBurned;

impl Decider {
    pub(super) async fn late_use(
        &self,
        token: &Token,
        id: PatId,
        origin: &Origin,
    ) -> Result<(), Error> {
        let Some(record) = self.store.find_token(&token.user_id, id).await? else { return Ok(()) };
        let (now, caller) = (self.clock.now(), token.caller(origin));
        if !record.is_spent(now) {
            return Ok(());
        }
        let event = |action| {
            let subject = (id, record.name.as_str(), &record.user_id);
            Event::of_token(action, subject, &caller, now)
        };
        if record.rotated_by_person {
            let event = event(Act::RotatedTokenUsed);
            if self.store.note_late_use(id, &event).await? {
                self.teller.tell(&event);
            }
        } else {
            let event = event(Act::FamilyBurned).because(EndReason::FamilyBurned);
            let burned = self.store.burn_family(record.chain.family_id, &event).await?;
            if let FamilyBurned::Burned(events) = burned {
                for event in &events {
                    self.teller.tell(event);
                }
            }
        }
        // It does not come alive again: who uses it once more costs no more than any revoked one.
        self.store.note_ended_for_good(id);
        Ok(())
    }
}
