//! Beginning anew: a component gets one more function, which puts its memory and its
//! globals back to what they are in an instance in which nothing has run. One instance
//! then serves a long row of calls, and each of them begins as in a fresh one.
//!
//! For looking back over very many decisions, where making instances takes longer than the
//! calls. Only where the bytes show that nothing else could be left over from a call: one
//! memory, globals that begin with constants, nothing that runs at the start, tables and
//! segments that no instruction changes, no resources. What a Rust policy compiles to is
//! of that kind; an interpreter is not.

mod module;

use wasm_encoder::{
    Alias, CanonicalFunctionSection, Component, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentTypeSection, ComponentValType, ExportKind, RawSection,
};
use wasmparser::types::TypesRef;
use wasmparser::{CanonicalFunction, Instance, Parser, Payload};

use module::State;

/// The function, in the component and in the module that has the memory.
pub(crate) const BEGIN_ANEW: &str = "begin-anew";

/// Names what this makes of a component; another one when that changes, so that nothing
/// compiled from another form is used.
pub(crate) const FORM: &str = "anew1";

/// `component`, whose types these are, with the function; none where a call could leave
/// over what the function would not put back.
pub(crate) fn with_begin_anew(component: &[u8], types: TypesRef<'_>) -> Option<Vec<u8>> {
    let outline = Outline::of(component)?;
    if types.module_count() as usize != outline.modules.len() {
        return None;
    }
    let states = outline.modules.iter().map(|module| State::of(module)).collect::<Option<Vec<_>>>()?;
    let mut with_state = states.iter().enumerate().filter(|(_, state)| state.is_any());
    let (Some((nth, state)), None) = (with_state.next(), with_state.next()) else { return None };
    let is_it = |of: &Option<u32>| of.is_some_and(|of| of as usize == nth);
    let mut instances = outline.instances.iter().enumerate().filter(|(_, of)| is_it(of));
    let (Some((instance, _)), None) = (instances.next(), instances.next()) else { return None };

    let changed = state.with_begin_anew(outline.modules.get(nth)?)?;
    let mut modules = 0;
    let mut made = Component::new();
    for (id, data) in &outline.sections {
        let is_it = *id == MODULE && modules == nth;
        modules += usize::from(*id == MODULE);
        made.section(&RawSection { id: *id, data: if is_it { &changed } else { data } });
    }

    let mut alias = ComponentAliasSection::new();
    let instance = u32::try_from(instance).ok()?;
    alias.alias(Alias::CoreInstanceExport { instance, kind: ExportKind::Func, name: BEGIN_ANEW });
    let mut function_type = ComponentTypeSection::new();
    let nothing: [(&str, ComponentValType); 0] = [];
    function_type.function().params(nothing).result(None);
    let mut lift = CanonicalFunctionSection::new();
    lift.lift(types.function_count(), types.component_type_count(), []);
    let mut export = ComponentExportSection::new();
    export.export(BEGIN_ANEW, ComponentExportKind::Func, types.component_function_count(), None);
    made.section(&alias).section(&function_type).section(&lift).section(&export);
    Some(made.finish())
}

/// The section that is a module.
const MODULE: u8 = wasm_encoder::ComponentSectionId::CoreModule as u8;

/// A component from the outside: its sections, and which modules it makes instances of.
#[derive(Default)]
struct Outline<'a> {
    sections: Vec<(u8, &'a [u8])>,
    modules: Vec<&'a [u8]>,
    /// Each instance of a module, and which; none for one that only puts names together.
    instances: Vec<Option<u32>>,
}

impl<'a> Outline<'a> {
    /// None where something could be left over that is not inside of a module, or where
    /// there are modules that this does not see.
    fn of(component: &'a [u8]) -> Option<Self> {
        let (mut outline, mut depth, mut in_module) = (Self::default(), 0_u32, false);
        for payload in Parser::new(0).parse_all(component) {
            let payload = payload.ok()?;
            if in_module {
                in_module = !matches!(payload, Payload::End(_));
                continue;
            }
            if depth == 0
                && let Some((id, range)) = payload.as_section()
            {
                outline.sections.push((id, component.get(range)?));
            }
            match payload {
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ModuleSection { unchecked_range, .. } if depth == 0 => {
                    outline.modules.push(component.get(unchecked_range)?);
                    in_module = true;
                }
                Payload::ComponentSection { .. } => depth += 1,
                payload => outline.add(&payload, depth == 0)?,
            }
        }
        Some(outline)
    }

    fn add(&mut self, payload: &Payload<'_>, is_outermost: bool) -> Option<()> {
        match payload {
            Payload::ComponentCanonicalSection(section) if is_outermost => {
                let only_calls = section.clone().into_iter().all(|function| {
                    matches!(function, Ok(CanonicalFunction::Lift { .. } | CanonicalFunction::Lower { .. }))
                });
                only_calls.then_some(())
            }
            Payload::InstanceSection(section) if is_outermost => {
                for instance in section.clone() {
                    self.instances.push(match instance.ok()? {
                        Instance::Instantiate { module_index, .. } => Some(module_index),
                        Instance::FromExports(_) => None,
                    });
                }
                Some(())
            }
            Payload::ComponentExportSection(section) if is_outermost => {
                let mut exports = section.clone().into_iter().flatten();
                exports.all(|export| export.name.name != BEGIN_ANEW).then_some(())
            }
            Payload::Version { .. }
            | Payload::CustomSection(_)
            | Payload::ComponentTypeSection(_)
            | Payload::CoreTypeSection(_)
            | Payload::ComponentImportSection(_)
            | Payload::ComponentExportSection(_)
            | Payload::ComponentInstanceSection(_)
            | Payload::ComponentAliasSection(_) => Some(()),
            _ => None,
        }
    }
}
