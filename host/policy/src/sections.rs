//! What a component says in its own sections, not in those of the modules inside.

use wasmparser::{Parser, Payload};

/// The outermost sections of `component`, up to where it cannot be read.
pub(crate) fn outermost(component: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    let mut depth = 0_u32;
    Parser::new(0).parse_all(component).map_while(Result::ok).filter(move |payload| match payload {
        Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
            depth += 1;
            false
        }
        Payload::End(_) => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    })
}

/// What `component` imports.
pub fn imports(component: &[u8]) -> Vec<String> {
    let sections = outermost(component).filter_map(|payload| match payload {
        Payload::ComponentImportSection(section) => Some(section),
        _ => None,
    });
    sections.flatten().flatten().map(|import| import.name.name.to_owned()).collect()
}
