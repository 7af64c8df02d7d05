//! Compiled components on disk, so that a start does not compile what an earlier
//! one did.
//!
//! A compiled component is native code, and the engine trusts it. So it is read
//! only from a folder that nobody else can write to, and only if it carries the
//! right tag: HMAC-SHA-256 over what it was compiled from, by which engine, and the
//! code, with a key that lies in that folder and is readable to nobody else. A file
//! that was torn by a crash, came with a copied or restored folder that has another
//! key, or was put there while the folder was open to others, has no such tag. It
//! does not protect against somebody who already runs as the gateway's user.
//!
//! The code is loaded from the very bytes that were checked, not from the file a
//! second time. On any doubt there is no cached component, and it is compiled.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use quorate_core::ids::Digest;
use sha2::Sha256;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of the tag at the beginning of every file.
const TAG_BYTES: usize = 32;

/// Bytes of the key: one block of the hash, so that it is used as it is.
const KEY_BYTES: usize = 64;

/// Files kept, and bytes in all of them; the oldest go where there is one more.
const FILES_MAX: usize = 256;
const FILES_BYTES_MAX: u64 = 1 << 30;

/// A cached file that is larger is not read: what it was compiled from is limited.
const FILE_BYTES_MAX: u64 = 512 << 20;

const SUFFIX: &str = "compiled";

/// A private folder of compiled components.
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    fingerprint: String,
}

impl Cache {
    /// The cache in `folder`, which is created where it is missing.
    pub(crate) fn open(folder: PathBuf, fingerprint: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        private(&folder.symlink_metadata()?, 0o700, "folder")?;
        let key = key(&folder.join("key"))?;
        Ok(Self { folder, key, fingerprint: fingerprint.to_owned() })
    }

    /// The component with `digest`, if it was compiled by this very engine.
    pub(crate) fn load(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.path(digest);
        match self.read(&path, digest) {
            Ok(code) => deserialize(engine, &code)
                .map_err(|error| tracing::warn!(path = %path.display(), %error, "cached policy not used"))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cached policy not used");
                None
            }
        }
    }

    /// Keeps `component`. That it cannot be kept is no reason not to use it.
    pub(crate) fn store(&self, digest: Digest, component: &Component) {
        let kept = component.serialize().map_err(io::Error::other).and_then(|code| self.write(digest, &code));
        if let Err(error) = kept {
            tracing::warn!(folder = %self.folder.display(), %error, "compiled policy not cached");
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}-{}.{SUFFIX}", self.fingerprint))
    }

    fn read(&self, path: &Path, digest: Digest) -> io::Result<Vec<u8>> {
        let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
        let mut file = OpenOptions::new().read(true).custom_flags(no_link).open(path)?;
        let metadata = file.metadata()?;
        private(&metadata, 0o600, "file")?;
        if metadata.len() > FILE_BYTES_MAX {
            return Err(io::Error::other("it is too large"));
        }
        let mut tag = [0; TAG_BYTES];
        file.read_exact(&mut tag)?;
        let mut code = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut code)?;
        self.mac(digest, &code).verify(&tag.into()).map_err(|_| io::Error::other("its tag is wrong"))?;
        Ok(code)
    }

    /// Under a temporary name until all of it is on the disk, so that no reader
    /// sees half of it.
    fn write(&self, digest: Digest, code: &[u8]) -> io::Result<()> {
        self.make_room(code.len() as u64)?;
        let tag = self.mac(digest, code).finalize().into_bytes();
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&tag)?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(self.path(digest))?;
        File::open(&self.folder)?.sync_all()
    }

    fn mac(&self, digest: Digest, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(digest.as_bytes());
        mac.update(&(self.fingerprint.len() as u64).to_le_bytes());
        mac.update(self.fingerprint.as_bytes());
        mac.update(code);
        mac
    }

    /// Makes room for one more of so many bytes.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == SUFFIX) {
                // Another process may have made room meanwhile.
                let Ok(metadata) = path.metadata() else { continue };
                let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                files.push((written, path, metadata.len()));
            }
        }
        files.sort();
        let (mut count, mut all) =
            (files.len() + 1, bytes + files.iter().map(|(.., bytes)| bytes).sum::<u64>());
        for (_, path, bytes) in files {
            if count <= FILES_MAX && all <= FILES_BYTES_MAX {
                break;
            }
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (count, all) = (count - 1, all - bytes),
            }
        }
        Ok(())
    }
}

/// Ours, and open to nobody else.
fn private(metadata: &fs::Metadata, mode: u32, what: &str) -> io::Result<()> {
    let kind = if mode == 0o700 { metadata.is_dir() } else { metadata.is_file() };
    if !kind {
        return Err(io::Error::other(format!("the {what} is something else")));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("the {what} belongs to somebody else")));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other(format!("the {what} is open to others; set mode {mode:o}")));
    }
    Ok(())
}

/// The key in `path`, made where there is none.
fn key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(path)?,
        Err(error) => return Err(error),
        Ok(_) => {}
    }
    private(&path.symlink_metadata()?, 0o600, "key")?;
    let mut key = [0; KEY_BYTES];
    File::open(path)?.read_exact(&mut key)?;
    Ok(key)
}

/// Somebody may be making one at the same time; the first one stays.
fn make_key(path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    crate::random::fill(&mut key)?;
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

#[allow(unsafe_code, reason = "the engine trusts compiled code; `read` has checked its tag")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: these bytes are what `Component::serialize` gave: their tag was made
    // by this module with a key that only this user can read.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn cache(folder: &Path) -> io::Result<Cache> {
        Cache::open(folder.join("policies"), "engine-1")
    }

    fn written(cache: &Cache, code: &[u8]) -> (Digest, PathBuf) {
        let digest = Digest::of(b"component");
        cache.write(digest, code).unwrap();
        (digest, cache.path(digest))
    }

    #[test]
    fn what_was_kept_is_read_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (digest, path) = written(&cache(folder.path()).unwrap(), b"code");
        assert_eq!(cache(folder.path()).unwrap().read(&path, digest).unwrap(), b"code");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_that_was_changed_in_any_place_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path()).unwrap();
        let (digest, path) = written(&cache, b"code");
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(cache.read(&path, digest).is_err(), "byte {place} was changed");
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(cache.read(&path, digest).is_err(), "cut to {length} bytes");
        }
        fs::write(&path, &whole).unwrap();
        assert!(cache.read(&path, digest).is_ok());
    }

    #[test]
    fn a_file_is_read_only_for_what_it_was_compiled_from_and_with() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = cache(folder.path()).unwrap();
        let (digest, path) = written(&cache, b"code");
        assert!(cache.read(&path, Digest::of(b"another component")).is_err());
        cache.fingerprint = "engine-2".to_owned();
        assert!(cache.read(&path, digest).is_err());
    }

    #[test]
    fn a_file_from_a_folder_with_another_key_is_not_read() {
        let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (digest, path) = written(&cache(other.path()).unwrap(), b"code");
        let mine = cache(mine.path()).unwrap();
        fs::copy(path, mine.path(digest)).unwrap();
        assert!(mine.read(&mine.path(digest), digest).is_err());
    }

    #[test]
    fn a_folder_or_key_that_others_can_open_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let inside = cache(folder.path()).unwrap().folder;
        fs::set_permissions(inside.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(cache(folder.path()).is_err());
        fs::set_permissions(inside.join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(cache(folder.path()).is_ok());
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(cache(folder.path()).is_err());
    }

    #[test]
    fn the_oldest_file_goes_when_all_are_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path()).unwrap();
        let [old, new] = ["old", "new"].map(|name| cache.folder.join(format!("{name}.{SUFFIX}")));
        for (path, seconds, bytes) in [(&old, 0, FILES_BYTES_MAX / 2), (&new, 1, FILES_BYTES_MAX / 2)] {
            let file = File::create(path).unwrap();
            file.set_len(bytes).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        }
        let (_, path) = written(&cache, b"code");
        assert!(path.exists() && new.exists() && !old.exists());
    }

    #[test]
    fn the_oldest_file_goes_when_the_folder_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path()).unwrap();
        let old = cache.folder.join(format!("old.{SUFFIX}"));
        File::create(&old).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        for count in 1..FILES_MAX {
            File::create(cache.folder.join(format!("{count}.{SUFFIX}"))).unwrap();
        }
        let (_, path) = written(&cache, b"code");
        assert!(path.exists() && !old.exists());
        assert!(cache.folder.join("key").exists());
    }
}
