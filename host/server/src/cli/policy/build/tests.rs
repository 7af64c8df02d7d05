//! What a project is taken for, without any compiler.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_manifest_tells_the_language() {
    let of = |files: &[(&str, &str)]| language(folder(files).path()).map_err(|failure| failure.message);
    assert_eq!(of(&[("Cargo.toml", "")]), Ok(Language::Rust));
    assert_eq!(of(&[("package.json", "")]), Ok(Language::JavaScript));
    assert_eq!(of(&[("pyproject.toml", "")]), Ok(Language::Python));
    assert!(of(&[("src/lib.rs", "")]).unwrap_err().contains("quorate policy new NAME"));
    assert!(
        of(&[("Cargo.toml", ""), ("package.json", "")]).unwrap_err().contains("Cargo.toml and package.json")
    );
    assert!(language(Path::new("/nowhere")).unwrap_err().message.contains("no folder"));
}

#[test]
fn vectors_are_taken_in_the_order_of_their_names_and_nothing_else_is() {
    let project = folder(&[
        ("vectors/b.yaml", "b"),
        ("vectors/a.yml", "a"),
        ("vectors/notes.txt", "n"),
        ("vectors/old/c.yaml", "c"),
    ]);
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let expected = [pair("vectors/a.yml", "a"), pair("vectors/b.yaml", "b")];
    assert_eq!(vectors(project.path()).unwrap(), expected);
    assert_eq!(vectors(folder(&[]).path()).unwrap(), []);
}

#[test]
fn a_component_is_written_whole_over_the_one_before() {
    let project = folder(&[("p.wasm", "old")]);
    let file = project.path().join("p.wasm");
    write(&file, b"new").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::read_dir(project.path()).unwrap().count(), 1);
    let nowhere = write(&project.path().join("no/where.wasm"), b"new").unwrap_err();
    assert!(nowhere.message.contains("where.wasm"), "{}", nowhere.message);
}

#[test]
fn what_is_no_policy_is_refused_as_a_gateway_would() {
    let failure = check(b"\0asm\x01\0\0\0").err().unwrap();
    assert_eq!(failure.code(), Some("not-a-component"));
    assert!(failure.message.starts_with("a gateway would refuse it"), "{}", failure.message);
}

#[test]
fn a_file_has_a_plain_name_whatever_the_manifest_says() {
    assert_eq!(file_name("night-shift"), "night-shift.wasm");
    assert_eq!(file_name("@acme/../x y"), "x-y.wasm");
    assert_eq!(file_name("../.."), "policy.wasm");
}

#[test]
fn colours_are_taken_out_of_what_a_compiler_says() {
    let coloured = "\u{1b}[1m\u{1b}[92m   Compiling\u{1b}[0m serde v1";
    assert_eq!(tool::without_colours(coloured), "   Compiling serde v1");
    assert_eq!(tool::without_colours("plain\u{1b}["), "plain");
}

#[test]
fn the_vectors_go_where_the_gateway_looks_for_them() {
    assert_eq!(quorate_componentize::VECTORS, quorate_policy::vectors::SECTION);
}
