//! What is put into a component is found there again, once, and nothing else changes.

use wasm_encoder::{CodeSection, Function, FunctionSection, TypeSection, ValType};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;

/// A module with one function that returns 7, exported as `f`.
fn bare(exported: &str) -> Vec<u8> {
    let mut module = Module::new();
    let (mut types, mut functions, mut code) =
        (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], [ValType::I32]);
    functions.function(0);
    let mut body = Function::new([]);
    body.instructions().i32_const(7).end();
    code.function(&body);
    let mut exports = ExportSection::new();
    exports.export(exported, ExportKind::Func, 0);
    module.section(&types).section(&functions).section(&exports).section(&code);
    module.finish()
}

/// A module that keeps to a contract of one function.
fn module() -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("tiny.wit", "package a:b; world w { export f: func() -> u32; }").unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    let mut module = bare("f");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

const METADATA: Metadata<'_> = Metadata {
    name: "tiny",
    version: "1.2.3",
    description: "as small as can be",
    licenses: "Apache-2.0",
    source: "https://example.org/tiny",
    vectors: "cases: []\n",
};

/// The component's own custom sections, with their contents.
fn custom(component: &[u8]) -> Vec<(String, Vec<u8>)> {
    let (mut found, mut depth) = (Vec::new(), 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 0 => {
                found.push((section.name().to_owned(), section.data().to_vec()));
            }
            _ => {}
        }
    }
    found
}

fn texts(component: &[u8]) -> Vec<(String, String)> {
    let all =
        custom(component).into_iter().filter(|(name, _)| name != "component-name" && name != "producers");
    all.map(|(name, data)| (name, String::from_utf8(data).unwrap())).collect()
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_component_says_what_it_is_and_carries_its_vectors() {
    let component = encode(&module(), &METADATA).unwrap();
    let expected = [
        ("version", "1.2.3"),
        ("description", "as small as can be"),
        ("licenses", "Apache-2.0"),
        ("source", "https://example.org/tiny"),
        ("quorate:vectors", "cases: []\n"),
    ];
    assert_eq!(texts(&component), owned(&expected));
    assert_eq!(custom(&component).iter().filter(|(name, _)| name == "component-name").count(), 1);
}

#[test]
fn what_is_empty_is_left_out() {
    let component = encode(&module(), &Metadata { name: "tiny", ..Metadata::default() }).unwrap();
    assert_eq!(texts(&component), []);
}

#[test]
fn a_second_description_replaces_the_first_and_changes_nothing_else() {
    let metadata = Metadata { version: "1.2.4", source: "", ..METADATA };
    let first = encode(&module(), &METADATA).unwrap();
    let second = describe(&first, &metadata).unwrap();
    assert_eq!(second, encode(&module(), &metadata).unwrap());
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&second).unwrap();
}

#[test]
fn the_same_module_gives_the_same_bytes() {
    assert_eq!(encode(&module(), &METADATA).unwrap(), encode(&module(), &METADATA).unwrap());
}

#[test]
fn what_is_no_module_of_the_kit_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| format!("{:#}", encode(bytes, &METADATA).unwrap_err());
    assert!(refused(b"#!/bin/sh").contains("not a module"), "{}", refused(b"#!/bin/sh"));
    let said = refused(&bare("f"));
    assert!(said.contains("built with the kit"), "{said}");
    let not_one = describe(&module(), &METADATA).unwrap_err();
    assert_eq!(not_one.to_string(), "not a component");
}

#[test]
fn a_component_that_is_cut_off_is_refused() {
    let component = encode(&module(), &METADATA).unwrap();
    for end in [9, component.len() / 2, component.len() - 1] {
        assert!(describe(&component[..end], &METADATA).is_err(), "{end}");
    }
}

#[test]
fn vector_files_become_documents_of_one_text() {
    assert_eq!(join_vectors(["a: 1", "---\nb: 2\n", "\u{feff}c: 3\n"]), "a: 1\n---\nb: 2\n---\nc: 3\n");
    assert_eq!(join_vectors::<&str>([]), "");
}
