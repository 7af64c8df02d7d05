//! From a core module, as `cargo build --target wasm32-unknown-unknown` leaves it, to
//! a component that says what it is. Components of other builders get the same
//! description.
//!
//! Not here: compiling, and whether the gateway takes the result; that is
//! `quorate-policy`'s to say.

pub mod outer;
mod sections;

use std::borrow::Cow;

use anyhow::{Context, bail};
use wasm_encoder::{
    ComponentNameSection, ComponentSection, CustomSection, ExportKind, ExportSection, Module, RawSection,
};
use wasmparser::{ExternalKind, Parser, Payload};
use wit_component::ComponentEncoder;

/// What the exports begin with that take an answer apart after it was read.
const POST_RETURN: &str = "cabi_post_";

/// What the names of the sections begin with in which a module carries its contract.
const CONTRACT_PREFIX: &str = "component-type";

/// The custom section that holds a project's vector files.
pub const VECTORS: &str = "quorate:vectors";

/// What a component says about itself, in the standard custom sections. A text that
/// is empty is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version, in the author's counting.
    pub version: &'a str,
    /// What it does, in a sentence.
    pub description: &'a str,
    /// An SPDX expression.
    pub licenses: &'a str,
    /// Where its source is kept, a URL.
    pub source: &'a str,
    /// Its vector files, YAML documents joined by [`join_vectors`].
    pub vectors: &'a str,
}

/// The component around `module`, which carries the contract it was built against.
pub fn encode(module: &[u8], metadata: &Metadata<'_>) -> anyhow::Result<Vec<u8>> {
    let module = without_post_return(module).context("not a module")?;
    // Without one the encoder makes a component that does nothing.
    if !sections::has_custom(&module, CONTRACT_PREFIX) {
        bail!("not a module that was built with the kit: it carries no contract");
    }
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .context("the contract that the module carries cannot be read")?
        .encode()
        .context("the module does not fit the contract")?;
    describe(&component, metadata)
}

/// `component` with this description instead of whatever it had.
pub fn describe(component: &[u8], metadata: &Metadata<'_>) -> anyhow::Result<Vec<u8>> {
    if !Parser::is_component(component) {
        bail!("not a component");
    }
    let texts = [
        ("version", metadata.version),
        ("description", metadata.description),
        ("licenses", metadata.licenses),
        ("source", metadata.source),
        (VECTORS, metadata.vectors),
    ];
    let is_ours = |name: &str| name == "component-name" || texts.iter().any(|(ours, _)| name == *ours);
    let mut described = sections::without_custom(component, is_ours).context("not a component")?;
    let mut name = ComponentNameSection::new();
    name.component(metadata.name);
    name.append_to_component(&mut described);
    for (section, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        let section = CustomSection { name: Cow::Borrowed(section), data: Cow::Borrowed(text.as_bytes()) };
        section.append_to_component(&mut described);
    }
    Ok(described)
}

/// One text out of several YAML files.
pub fn join_vectors<T: AsRef<str>>(files: impl IntoIterator<Item = T>) -> String {
    let mut joined = String::new();
    for file in files {
        let file = file.as_ref().trim_start_matches('\u{feff}');
        // A file may begin with the mark that goes between two of them.
        let file = file.strip_prefix("---\n").or_else(|| file.strip_prefix("---\r\n")).unwrap_or(file);
        if !joined.is_empty() {
            joined.push_str("---\n");
        }
        joined.push_str(file);
        if !joined.ends_with('\n') {
            joined.push('\n');
        }
    }
    joined
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
        ExternalKind::Tag | ExternalKind::FuncExact => bail!("an export that no policy has"),
    })
}

#[cfg(test)]
mod tests;
