//! Reading the audit log. What is in it is written by the acts themselves: see [`crate::audit`].

use crate::access::Action;
use crate::error::Error;
use crate::page::Page;
use crate::principal::Caller;
use crate::store::{AuditFilter, AuditRecord, Store};

/// The audit log, for those who may read it. Clones share everything.
#[derive(Clone)]
pub struct AuditLog {
    /// The records.
    pub store: Store,
}

impl AuditLog {
    /// A page of the events that are wanted, of everybody's credentials.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
    ) -> Result<Page<AuditRecord>, Error> {
        caller.authorize(Action::ReadAudit)?;
        Ok(self.store.list_audit_events(filter).await?)
    }
}
