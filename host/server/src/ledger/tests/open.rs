//! Opening: what is refused, in which words, and that nothing is changed by it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::{Ledger, OpenError, Reader, VerifyError, verify};
use super::world::{World, fill, raw, save};

/// The refusal, and that the file is what it was.
fn refused(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = Ledger::open(path).unwrap_err();
    assert!(fs::read(path).unwrap() == before, "the file was changed");
    error
}

#[tokio::test]
async fn a_second_gateway_is_refused_and_the_first_goes_on() {
    let world = World::new();
    let error = Ledger::open(&world.path()).unwrap_err();
    let expected = format!("(process {})", std::process::id());
    assert!(matches!(&error, OpenError::InUse { by, .. } if by.contains(&expected)), "{error}");
    let link = world.path().with_file_name("link.db");
    std::os::unix::fs::symlink(world.path(), &link).unwrap();
    assert!(matches!(Ledger::open(&link), Err(OpenError::InUse { .. })), "by another name");
    world.ledger.append(save("ann", 0, 1)).await.unwrap();
    let reader = Reader::open(&world.path()).unwrap();
    assert_eq!(reader.users().unwrap().len(), 1);
    drop(reader);
    let world = world.stop().start();
    world.ledger.append(save("ann", 1, 2)).await.unwrap();
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let world = World::new();
    world.ledger.append(save("ann", 0, 1)).await.unwrap();
    let mode = |suffix: &str| {
        let name = format!("{}{suffix}", world.path().display());
        fs::metadata(name).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(["", "-wal", "-shm", ".lock"].map(mode), [0o600; 4]);
}

#[tokio::test]
async fn a_file_that_others_could_read_is_closed_to_them() {
    let stopped = World::new().stop();
    fs::set_permissions(&stopped.path, fs::Permissions::from_mode(0o644)).unwrap();
    let world = stopped.start();
    assert_eq!(fs::metadata(world.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn something_else_is_not_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    fs::write(&path, "Not an SQLite file at all.\n".repeat(500)).unwrap();
    assert!(matches!(refused(&path), OpenError::NotALedger { .. }));
    assert!(matches!(verify(&path), Err(VerifyError::Open(OpenError::NotALedger { .. }))));
    assert!(matches!(Ledger::open(folder.path()), Err(OpenError::NotALedger { .. })), "a folder");
}

#[test]
fn somebody_elses_sqlite_file_is_not_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    for mode in ["DELETE", "WAL"] {
        let other = raw(&path);
        other.pragma_update(None, "journal_mode", mode).unwrap();
        other.execute_batch("CREATE TABLE IF NOT EXISTS cats (name TEXT)").unwrap();
        drop(other);
        assert!(matches!(refused(&path), OpenError::NotALedger { .. }), "{mode}");
    }
}

#[tokio::test]
async fn a_newer_ledger_is_left_alone() {
    let stopped = World::new().stop();
    raw(&stopped.path).pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&stopped.path);
    assert!(matches!(error, OpenError::Newer { found: 99, known: 5, .. }), "{error}");
    assert!(matches!(verify(&stopped.path), Err(VerifyError::Open(OpenError::Newer { .. }))));
}

#[tokio::test]
async fn a_truncated_ledger_is_damaged() {
    let world = World::new();
    fill(&world.ledger).await;
    let stopped = world.stop();
    let whole = fs::read(&stopped.path).unwrap();
    for length in [whole.len() / 2, whole.len() - 4096, 5000, 4096, 100] {
        fs::write(&stopped.path, &whole[..length]).unwrap();
        let error = refused(&stopped.path);
        assert!(matches!(error, OpenError::Corrupt { .. }), "{length}: {error}");
    }
}

#[tokio::test]
async fn a_ledger_full_of_garbage_is_damaged() {
    let world = World::new();
    fill(&world.ledger).await;
    let stopped = world.stop();
    let mut bytes = fs::read(&stopped.path).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(&stopped.path, bytes).unwrap();
    assert!(matches!(refused(&stopped.path), OpenError::Corrupt { .. }));
}

/// A thread without the rights of an administrator, who may write everywhere.
fn as_nobody(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        if rustix::process::geteuid().is_root() {
            let nobody = rustix::thread::Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(
                None::<rustix::thread::Uid>,
                Some(nobody),
                None::<rustix::thread::Uid>,
            )
            .unwrap();
        }
        test();
    });
    thread.join().unwrap();
}

#[tokio::test]
async fn a_ledger_or_folder_that_cannot_be_written_is_refused() {
    let stopped = World::new().stop();
    let folder = stopped.path.parent().unwrap().to_owned();
    let before = fs::read(&stopped.path).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&stopped.path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(stopped.path.with_file_name("ledger.db.lock"), fs::Permissions::from_mode(0o666))
        .unwrap();
    let path = stopped.path.clone();
    as_nobody(move || {
        let error = Ledger::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "the file: {error}");
        fs::File::open(&path).unwrap();
    });
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let path = folder.join("new.db");
    as_nobody(move || {
        let error = Ledger::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::ReadOnly { .. }), "the folder: {error}");
    });
    assert!(fs::read(&stopped.path).unwrap() == before);
}

#[tokio::test]
async fn a_backup_that_nobody_can_write_is_verified() {
    let world = World::new();
    fill(&world.ledger).await;
    let stopped = world.stop();
    let folder = stopped.path.with_file_name("a backup?mode=rw&50%25#1");
    fs::create_dir(&folder).unwrap();
    let backup = folder.join("ledger.db");
    fs::copy(&stopped.path, &backup).unwrap();
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(stopped.path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    as_nobody(move || assert_eq!(verify(&backup).unwrap().entries, 16));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_ledger_of_somebody_else_cannot_be_read() {
    let stopped = World::new().stop();
    fs::set_permissions(stopped.path.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&stopped.path, fs::Permissions::from_mode(0o000)).unwrap();
    let path = stopped.path.clone();
    as_nobody(move || {
        let error = verify(&path).unwrap_err();
        assert!(matches!(error, VerifyError::Open(OpenError::Unreadable { .. })), "{error}");
    });
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let error = Ledger::open(Path::new("/nowhere/ledger.db")).unwrap_err();
    assert!(matches!(&error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/ledger.db"));
}

#[tokio::test]
async fn every_refusal_is_a_plain_sentence_without_control_characters() {
    let path = Path::new("/tmp/a\x1b[31mb").to_owned();
    let errors = [
        OpenError::InUse { path: path.clone(), by: String::new() },
        OpenError::Corrupt { path: path.clone(), why: "x".to_owned() },
        OpenError::ReadOnly { path: path.clone() },
        OpenError::Unreadable { path: path.clone() },
        OpenError::Newer { path: path.clone(), found: 2, known: 1 },
        OpenError::NotALedger { path: path.clone() },
        OpenError::Full { path },
    ];
    for error in errors {
        let text = error.to_string();
        assert!(!text.contains(char::is_control) && text.contains(':') && !text.ends_with('.'), "{text}");
    }
}
