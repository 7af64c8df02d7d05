//! Compiled components on disk: used again, and only when they are what was written.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use quorate_core::verdict::Outcome;
use quorate_policy::{Limits, Runtime};
use tempfile::TempDir;

use crate::world::{QUORUM, ann_asks, bundled};

/// A start of the process: loads the quorum and decides with it.
fn start(folder: &TempDir) {
    let limits = Limits { evaluations_max: 2, ..Limits::default() };
    let runtime = Runtime::new(limits, Some(folder.path().join("compiled"))).unwrap();
    let quorum = runtime.load(bundled("group-quorum").component).unwrap();
    let input = ann_asks(&[("bob", &["dba"]), ("sam", &["security"])]);
    assert_eq!(quorum.evaluate(QUORUM, &input).verdict.unwrap().outcome, Outcome::Approve);
}

fn files(folder: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path().join("compiled")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name() != Some("key".as_ref()))
        .collect()
}

fn the_file(folder: &TempDir) -> PathBuf {
    let files = files(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Another file at the same place is another inode.
fn inode(path: &Path) -> u64 {
    path.metadata().unwrap().ino()
}

#[test]
fn a_second_start_uses_what_the_first_one_compiled() {
    let folder = tempfile::tempdir().unwrap();
    start(&folder);
    let file = the_file(&folder);
    let first = inode(&file);
    assert!(file.file_name().unwrap().to_str().unwrap().starts_with(bundled("group-quorum").digest));
    start(&folder);
    assert_eq!(inode(&the_file(&folder)), first, "it was compiled again");
}

#[test]
fn a_file_that_was_tampered_with_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    start(&folder);
    let file = the_file(&folder);
    let whole = fs::read(&file).unwrap();
    let mut native_code_changed = whole.clone();
    native_code_changed[whole.len() / 2] ^= 0xff;
    for tampered in [native_code_changed, whole[..whole.len() / 2].to_vec(), b"junk".to_vec(), Vec::new()] {
        fs::write(&file, &tampered).unwrap();
        let before = inode(&file);
        start(&folder);
        assert_ne!(inode(&file), before, "the file was taken for good");
        assert_eq!(fs::read(&file).unwrap().len(), whole.len());
    }
}

#[test]
fn a_link_or_a_file_open_to_others_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    start(&folder);
    let file = the_file(&folder);
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    start(&folder);
    assert!(file.symlink_metadata().unwrap().is_file(), "replaced by a compiled one");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let before = inode(&file);
    start(&folder);
    assert_ne!(inode(&file), before);
}

#[test]
fn a_folder_that_others_can_write_to_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("compiled");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    start(&folder);
    assert_eq!(files(&folder), [] as [PathBuf; 0]);
}
