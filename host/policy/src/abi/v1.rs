//! Version 1 of the contract: what `wit/v1/policy.wit` says, in Rust, and both
//! ways between it and the words of the core.
//!
//! Lent, not copied: what a policy reads is lowered straight from the core's own
//! texts. What it hands back is checked before anybody else sees it.

mod answer;
mod question;
mod records;

use quorate_core::input::Input;
use quorate_core::verdict::{EvidenceNeeds, Fault, Finding, Verdict};
use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Instance, Linker, TypedFunc};

use crate::anew::BEGIN_ANEW;
use crate::call::{Call, log};

pub(crate) use question::{BadInput, size};

/// The contract itself.
pub(crate) const WIT: &str = include_str!("../../../../wit/v1/policy.wit");

/// Its world.
pub(crate) const WORLD: &str = "approval-policy-v1";

#[allow(
    unsafe_code,
    unreachable_pub,
    dead_code,
    missing_docs,
    clippy::pedantic,
    reason = "generated from the contract"
)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v1",
        world: "approval-policy-v1",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
use bindings::quorate::policy::types as wit;

/// Offers `linker` what the contract offers a policy, and nothing else.
pub(crate) fn offer(linker: &mut Linker<Call>) -> wasmtime::Result<()> {
    linker.instance("quorate:policy/types@1.0.0")?;
    linker.instance("quorate:policy/host@1.0.0")?.func_wrap("log", log)
}

/// Where a component keeps the functions of the contract.
pub(crate) struct Exports {
    /// Of the type [`Evaluate`] in every instance of the component.
    evaluate: ComponentExportIndex,
    schema: ComponentExportIndex,
    check: ComponentExportIndex,
    evidence: ComponentExportIndex,
    /// Of the type `TypedFunc<(), ()>`; none where an instance cannot begin anew.
    begin_anew: Option<ComponentExportIndex>,
}

type Evaluate<'a> = TypedFunc<(&'a str, records::Input<'a>), (wit::Verdict,)>;

impl Exports {
    /// Fails where one is missing or has another type, which the contract check has
    /// excluded. `instance` is one of `component`, which has [`BEGIN_ANEW`] if it
    /// `begins_anew`.
    pub(crate) fn find(
        component: &Component,
        store: &mut Store<Call>,
        instance: &Instance,
        begins_anew: bool,
    ) -> wasmtime::Result<Self> {
        let find = |interface: &str, function: &str| {
            component
                .get_export_index(None, interface)
                .and_then(|interface| component.get_export_index(Some(&interface), function))
                .ok_or_else(|| wasmtime::format_err!("`{function}` is missing"))
        };
        let evaluate = find("quorate:policy/rule@1.0.0", "evaluate")?;
        let _: Evaluate<'_> = instance.get_typed_func(store, evaluate)?;
        Ok(Self {
            evaluate,
            schema: find("quorate:policy/settings@1.0.0", "schema")?,
            check: find("quorate:policy/settings@1.0.0", "check")?,
            evidence: find("quorate:policy/settings@1.0.0", "evidence")?,
            begin_anew: if begins_anew { component.get_export_index(None, BEGIN_ANEW) } else { None },
        })
    }

    /// Whether an instance can serve a row of calls.
    pub(crate) fn begins_anew(&self) -> bool {
        self.begin_anew.is_some()
    }

    /// Puts the instance back to where nothing has run in it.
    pub(crate) fn begin_anew(&self, store: &mut Store<Call>, instance: &Instance) -> wasmtime::Result<()> {
        let begin_anew = self.begin_anew.ok_or_else(|| wasmtime::format_err!("it cannot begin anew"))?;
        let function = instance
            .get_func(&mut *store, begin_anew)
            .ok_or_else(|| wasmtime::format_err!("an instance of another component"))?;
        // SAFETY: as above; the function was added with this type.
        #[allow(unsafe_code, reason = "wasmtime has no other way to compare the types only once")]
        let function: TypedFunc<(), ()> = unsafe { TypedFunc::new_unchecked(function) };
        function.call(store, ())
    }

    /// What the policy says about `input`.
    pub(crate) fn evaluate(
        &self,
        store: &mut Store<Call>,
        instance: &Instance,
        config: &str,
        input: &Input,
    ) -> wasmtime::Result<Result<Verdict, Fault>> {
        question::lend(input, |input| {
            let function = instance
                .get_func(&mut *store, self.evaluate)
                .ok_or_else(|| wasmtime::format_err!("an instance of another component"))?;
            // SAFETY: an index is found only in instances of the component that it is
            // from, and for that component `find` has compared the type of the function
            // with this one. Comparing again costs more than the policy's own work.
            #[allow(unsafe_code, reason = "wasmtime has no other way to compare the types only once")]
            let function: Evaluate<'_> = unsafe { TypedFunc::new_unchecked(function) };
            let (verdict,) = function.call(store, (config, input))?;
            Ok(answer::verdict(verdict))
        })?
    }

    /// The schema of the config, as the policy wrote it.
    pub(crate) fn schema(&self, store: &mut Store<Call>, instance: &Instance) -> wasmtime::Result<String> {
        let function = instance.get_typed_func::<(), (String,)>(&mut *store, &self.schema)?;
        let (schema,) = function.call(store, ())?;
        Ok(schema)
    }

    /// What the policy has against `config`.
    pub(crate) fn check(
        &self,
        store: &mut Store<Call>,
        instance: &Instance,
        config: &str,
    ) -> wasmtime::Result<Result<Vec<Finding>, Fault>> {
        let function = instance.get_typed_func::<(&str,), (Vec<wit::Finding>,)>(&mut *store, &self.check)?;
        let (findings,) = function.call(store, (config,))?;
        Ok(answer::findings(findings))
    }

    /// What to gather before a call.
    pub(crate) fn evidence(
        &self,
        store: &mut Store<Call>,
        instance: &Instance,
    ) -> wasmtime::Result<Result<EvidenceNeeds, Fault>> {
        let function = instance.get_typed_func::<(), (wit::EvidenceNeeds,)>(&mut *store, &self.evidence)?;
        let (needs,) = function.call(store, ())?;
        Ok(answer::evidence(needs))
    }
}
