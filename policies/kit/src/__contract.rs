//! The contract's exports and its one import, generated from `wit/v1`. The records
//! are the types of this crate, so nothing is converted on the way in or out.

#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code: lifting and lowering reads and writes linear memory"
)]

wit_bindgen::generate!({
    path: "../../wit/v1",
    world: "approval-policy-v1",
    with: { "quorate:policy/types@1.0.0": crate },
    pub_export_macro: true,
    export_macro_name: "__export",
    default_bindings_module: "quorate_kit::__contract",
});
