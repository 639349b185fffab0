//! What the store knows of the realm: the ids of everything that bootstrap made in it.
//!
//! An id is chosen and noted before Keycloak is asked to use it, so that a run that ends in between leaves nothing that
//! the next one takes for somebody else's. Only the id counts: names and marks can be forged.

use super::BootstrapError;
use crate::clock::Clock;
use crate::id::new_keycloak_id;
use crate::store::{Note, ObjectKind, RealmObject, Store, StoreError};

pub(super) struct Inventory {
    store: Option<Store>,
    /// Whether the store may be written to. A dry run does not.
    writes: bool,
    clock: Clock,
    objects: Vec<RealmObject>,
    /// Whether the list was ever complete: a store from before there was one has no list.
    listed: bool,
}

impl Inventory {
    /// What the store lists, where there is a store.
    pub(super) async fn read(store: Option<Store>, clock: &Clock) -> Result<Self, StoreError> {
        let (objects, listed) = match &store {
            Some(store) => {
                let listed = store.find_note(Note::Listed).await?.is_some();
                (store.list_realm_objects().await?, listed)
            }
            None => (Vec::new(), false),
        };
        Ok(Self { store, writes: false, clock: clock.clone(), objects, listed })
    }

    /// From here on what is made is noted in this store.
    pub(super) fn write_to(&mut self, store: Store) {
        self.store = Some(store);
        self.writes = true;
    }

    pub(super) fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// The store, where it may be written to.
    pub(super) fn writable(&self) -> Option<&Store> {
        self.store.as_ref().filter(|_| self.writes)
    }

    /// Whether this store signs tokens of a realm that was prepared before stores kept a list.
    pub(super) async fn predates_the_list(&self) -> Result<bool, StoreError> {
        match &self.store {
            Some(store) if !self.listed => Ok(store.find_active_key().await?.is_some()),
            _ => Ok(false),
        }
    }

    pub(super) fn objects(&self) -> &[RealmObject] {
        &self.objects
    }

    pub(super) fn has(&self, kind: ObjectKind, id: &str) -> bool {
        self.objects.iter().any(|object| object.kind == kind && object.id == id)
    }

    /// The id for an object that is going to be made. One that an earlier run chose and may have used is used again.
    pub(super) async fn choose(
        &mut self,
        kind: ObjectKind,
        name: &str,
    ) -> Result<String, BootstrapError> {
        let known = self.objects.iter().find(|known| known.kind == kind && known.name == name);
        if let Some(known) = known.filter(|known| !known.made) {
            return Ok(known.id.clone());
        }
        let id = new_keycloak_id().map_err(|_| BootstrapError::Generate)?;
        let object = RealmObject { kind, name: name.to_owned(), id: id.clone(), made: false };
        if let Some(store) = self.writable() {
            store.choose_realm_object(&object, self.clock.now()).await?;
        }
        self.put(object);
        Ok(id)
    }

    /// The object of this id is in the realm.
    pub(super) async fn confirm(&mut self, id: &str) -> Result<(), StoreError> {
        let Some(at) = self.objects.iter().position(|known| known.id == id && !known.made) else {
            return Ok(());
        };
        if let Some(store) = self.writable() {
            store.confirm_realm_object(id, self.clock.now()).await?;
        }
        self.objects[at].made = true;
        Ok(())
    }

    /// Adds an object that is in the realm already.
    pub(super) async fn add(
        &mut self,
        kind: ObjectKind,
        name: &str,
        id: &str,
    ) -> Result<(), StoreError> {
        let object = RealmObject { kind, name: name.to_owned(), id: id.to_owned(), made: true };
        if let Some(store) = self.writable() {
            store.choose_realm_object(&object, self.clock.now()).await?;
        }
        self.put(object);
        Ok(())
    }

    /// The list is complete, with these that were in the realm already.
    pub(super) async fn complete(&mut self, found: Vec<RealmObject>) -> Result<(), StoreError> {
        if self.listed && found.is_empty() {
            return Ok(());
        }
        if let Some(store) = self.writable() {
            store.complete_realm_objects(&found, self.clock.now()).await?;
        }
        for object in found {
            self.put(object);
        }
        self.listed = true;
        Ok(())
    }

    /// The object of this id is gone from the realm.
    pub(super) async fn forget(&mut self, id: &str) -> Result<(), StoreError> {
        if let Some(store) = self.writable() {
            store.forget_realm_object(id).await?;
        }
        self.objects.retain(|known| known.id != id);
        Ok(())
    }

    pub(super) async fn close(&self) {
        if let Some(store) = &self.store {
            store.close().await;
        }
    }

    fn put(&mut self, object: RealmObject) {
        self.objects.retain(|known| {
            known.id != object.id && (known.kind != object.kind || known.name != object.name)
        });
        self.objects.push(object);
    }
}
