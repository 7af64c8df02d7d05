//! The instances of one component: a fresh one for every call, made when the call
//! comes or, where somebody asks for that, ahead of it.
//!
//! Making one and clearing it away take longer than a usual call. What is ahead is as
//! fresh as any other: nothing has run in it, and one call is all it is for.

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::call::Call;
use crate::engine;
use crate::permits::Permit;
use crate::runtime::Shared;

/// Where instances of one component come from.
pub(crate) struct Instances {
    shared: Arc<Shared>,
    component: InstancePre<Call>,
    ahead: Mutex<Ahead>,
}

/// What is done outside of the calls: at most one instance each.
#[derive(Default)]
struct Ahead {
    next: Option<Fresh>,
    used: Option<Fresh>,
}

/// An instance in which nothing has run, or why there is none, in its store.
pub(crate) struct Fresh {
    pub(crate) store: Store<Call>,
    pub(crate) instance: wasmtime::Result<Instance>,
    /// The place of one that was made ahead.
    place: Option<Permit>,
}

impl Instances {
    pub(crate) fn new(shared: Arc<Shared>, component: InstancePre<Call>) -> Self {
        Self { shared, component, ahead: Mutex::default() }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// An instance for one call, whose deadline runs from now on.
    pub(crate) fn take(&self) -> wasmtime::Result<Fresh> {
        let next = self.ahead().next.take();
        let Some(mut fresh) = next else { return self.make(None) };
        engine::start_clock(&mut fresh.store, &self.shared.limits);
        Ok(fresh)
    }

    /// Takes back an instance that was called. One that was made ahead is left for
    /// whoever makes the next.
    pub(crate) fn leave(&self, used: Fresh) {
        if used.place.is_some() {
            let before = self.ahead().used.replace(used);
            drop(before);
        }
    }

    /// Clears away what was left and makes the next instance, if there is a place for
    /// it and the component starts.
    pub(crate) fn get_ready(&self) {
        let used = self.ahead().used.take();
        drop(used);
        if self.ahead().next.is_some() {
            return;
        }
        let Some(place) = self.shared.places_ahead.take() else { return };
        if let Ok(fresh) = self.make(Some(place))
            && fresh.instance.is_ok()
        {
            let before = self.ahead().next.replace(fresh);
            drop(before);
        }
    }

    /// An instance in `place`, or in that of whoever calls it.
    pub(crate) fn make(&self, place: Option<Permit>) -> wasmtime::Result<Fresh> {
        let mut store = engine::store(&self.shared.engine, &self.shared.limits)?;
        let instance = self.component.instantiate(&mut store);
        Ok(Fresh { store, instance, place })
    }

    /// Nothing in between can panic, so a poisoned lock still guards whole instances.
    fn ahead(&self) -> std::sync::MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
