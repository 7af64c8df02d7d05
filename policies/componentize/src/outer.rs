//! A compiler that is started from another build, or from a developer's shell, must not hear
//! what that one was told: its flags, its target folder, its profile.

const NAMES: [&str; 8] = [
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_INCREMENTAL",
    "LLVM_PROFILE_FILE",
    "CARGO_LLVM_COV",
];
const PREFIXES: [&str; 7] = [
    "RUSTC_",
    "CARGO_CFG_",
    "CARGO_PROFILE_",
    "CARGO_FEATURE_",
    "CARGO_PKG_",
    "CARGO_BUILD_",
    "CARGO_TARGET_",
];

/// Whether the environment variable `name` is about another build. The job server
/// (`CARGO_MAKEFLAGS`) is not: both builds share the same processors.
pub fn is_about_another_build(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
