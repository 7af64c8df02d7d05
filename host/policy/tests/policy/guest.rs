//! Components made on the spot from a few lines of text: exactly as wrong as a test
//! wants them.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract.
pub(crate) const WIT: &str = include_str!("../../../../wit/v1/policy.wit");

/// A policy by hand: abstains, accepts any config, needs nothing.
pub(crate) struct Guest {
    wit: String,
    version: &'static str,
    schema: &'static str,
    memory_pages: u32,
    /// Imports of the core module.
    imports: &'static str,
    /// Further items of the core module.
    items: &'static str,
    evaluate: &'static str,
    check: &'static str,
    evidence: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            wit: WIT.to_owned(),
            version: "1.0.0",
            schema: r#"{"type":"object"}"#,
            memory_pages: 1,
            imports: "",
            items: "",
            evaluate: NOTHING,
            check: NOTHING,
            evidence: NOTHING,
        }
    }
}

/// The address of zeros: an abstaining verdict, an empty list, no needs.
const NOTHING: &str = "i32.const 256";

impl Guest {
    /// Built against another text of the contract.
    pub(crate) fn contract(mut self, from: &str, to: &str) -> Self {
        assert!(self.wit.contains(from), "the contract does not say `{from}`");
        self.wit = self.wit.replace(from, to);
        self
    }

    /// Built against the contract as it will be called some day.
    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self.contract("@1.0.0", &format!("@{version}"))
    }

    pub(crate) fn schema(self, schema: &'static str) -> Self {
        Self { schema, ..self }
    }

    pub(crate) fn memory_pages(self, memory_pages: u32) -> Self {
        Self { memory_pages, ..self }
    }

    pub(crate) fn imports(self, imports: &'static str) -> Self {
        Self { imports, ..self }
    }

    pub(crate) fn items(self, items: &'static str) -> Self {
        Self { items, ..self }
    }

    pub(crate) fn evaluate(self, evaluate: &'static str) -> Self {
        Self { evaluate, ..self }
    }

    pub(crate) fn check(self, check: &'static str) -> Self {
        Self { check, ..self }
    }

    pub(crate) fn evidence(self, evidence: &'static str) -> Self {
        Self { evidence, ..self }
    }

    /// The component.
    pub(crate) fn build(&self) -> Vec<u8> {
        let Self { version, schema, memory_pages, imports, items, .. } = self;
        let Self { evaluate, check, evidence, .. } = self;
        let (length, text) = (schema.len(), schema.replace('\\', "\\\\").replace('"', "\\\""));
        let module = format!(
            r#"(module
              {imports}
              (memory (export "memory") {memory_pages})
              (data (i32.const 512) "\10\02\00\00")
              (data (i32.const 528) "{text}")
              (global $free (mut i32) (i32.const 8192))
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
              (func (export "quorate:policy/rule@{version}#evaluate") (param i32) (result i32) {evaluate})
              (func (export "quorate:policy/settings@{version}#schema") (result i32)
                (i32.store (i32.const 516) (i32.const {length})) i32.const 512)
              (func (export "quorate:policy/settings@{version}#check") (param i32 i32) (result i32) {check})
              (func (export "quorate:policy/settings@{version}#evidence") (result i32) {evidence})
              {items})"#
        );
        component(&self.wit, "approval-policy-v1", &module)
    }
}

/// `module` as a component for `world` of `wit`.
pub(crate) fn component(wit: &str, world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}
