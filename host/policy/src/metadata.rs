//! What a component says about itself, for lists and pages. Never trusted, never
//! part of a decision.

use wasmparser::{KnownCustom, Parser, Payload};

use crate::fault::plain;

/// What an author wrote into the component; each may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: Option<String>,
    /// Its version, in the author's counting.
    pub version: Option<String>,
    /// What it does, in a sentence.
    pub description: Option<String>,
    /// Under which licences, an SPDX expression.
    pub licenses: Option<String>,
    /// Where its source is kept.
    pub source: Option<String>,
}

impl Metadata {
    /// What `component` carries in its own custom sections, not in those of the
    /// modules inside.
    pub(crate) fn of(component: &[u8], schema: &serde_json::Value) -> Self {
        let mut metadata = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload {
                Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
                Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
                Ok(Payload::CustomSection(section)) if depth == 0 => metadata.read(&section),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        let said = |key: &str| schema.get(key)?.as_str().and_then(|text| shown(text, 400));
        metadata.description = metadata.description.or_else(|| said("description"));
        metadata
    }

    fn read(&mut self, section: &wasmparser::CustomSectionReader<'_>) {
        let text = || shown(std::str::from_utf8(section.data()).ok()?, 400);
        match section.name() {
            "version" => self.version = text(),
            "description" => self.description = text(),
            "licenses" => self.licenses = text(),
            "source" => self.source = text(),
            _ => {
                if let KnownCustom::ComponentName(names) = section.as_known() {
                    for name in names.into_iter().flatten() {
                        if let wasmparser::ComponentName::Component { name, .. } = name {
                            self.name = shown(name, 100);
                        }
                    }
                }
            }
        }
    }
}

fn shown(text: &str, chars_max: usize) -> Option<String> {
    Some(plain(text, chars_max)).filter(|text| !text.is_empty())
}
