//! From a core module, as `cargo build --target wasm32-unknown-unknown` leaves it, to
//! a component. Shared by the build script and by `examples/componentize.rs`.

use std::borrow::Cow;

use anyhow::Context;
use wasm_encoder::{
    ComponentNameSection, ComponentSection, CustomSection, ExportKind, ExportSection, Module, RawSection,
};
use wasmparser::{ExternalKind, Parser, Payload};
use wit_component::ComponentEncoder;

/// What the exports begin with that take an answer apart after it was read.
const POST_RETURN: &str = "cabi_post_";

/// What a component says about itself, in the standard custom sections.
pub(crate) struct Metadata<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) description: &'a str,
    pub(crate) licenses: &'a str,
}

/// The component around `module`, which carries the contract it was built against.
pub(crate) fn encode(module: &[u8], metadata: &Metadata<'_>) -> anyhow::Result<Vec<u8>> {
    let module = without_post_return(module).context("not a module")?;
    let mut component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context("not a module that was built with the kit")?
        .encode()
        .context("the module does not fit the contract")?;

    let mut name = ComponentNameSection::new();
    name.component(metadata.name);
    name.append_to_component(&mut component);
    let texts = [
        ("version", metadata.version),
        ("description", metadata.description),
        ("licenses", metadata.licenses),
    ];
    for (section, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        let section = CustomSection { name: Cow::Borrowed(section), data: Cow::Borrowed(text.as_bytes()) };
        section.append_to_component(&mut component);
    }
    Ok(component)
}

/// `module` without the exports that free an answer once the host has read it: the
/// instance ends right after, and its memory with it. Finding and calling them would
/// cost each evaluation about a twentieth.
fn without_post_return(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut kept = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(exports) = payload {
            let mut section = ExportSection::new();
            for export in exports {
                let export = export?;
                if !export.name.starts_with(POST_RETURN) {
                    section.export(export.name, kind(export.kind)?, export.index);
                }
            }
            kept.section(&section);
        } else if let Some((id, range)) = payload.as_section() {
            kept.section(&RawSection { id, data: &module[range] });
        }
    }
    Ok(kept.finish())
}

fn kind(kind: ExternalKind) -> anyhow::Result<ExportKind> {
    Ok(match kind {
        ExternalKind::Func => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag | ExternalKind::FuncExact => anyhow::bail!("an export that no policy has"),
    })
}
