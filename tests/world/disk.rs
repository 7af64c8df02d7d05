//! A disk that can be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk of its own, so small that a test can fill it.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mounted_at(folder: &Path) -> Self {
        let mount = ["-t", "tmpfs", "-o", "size=64m", "tmpfs"];
        let status = Command::new("mount").args(mount).arg(folder).status().unwrap();
        assert!(status.success(), "this test needs root: tests/run leaves it out where it cannot run");
        Self(folder.to_owned())
    }

    /// Takes all the room there is, until the file is removed again.
    pub fn fill(&self) -> PathBuf {
        let path = self.0.join("filled");
        let mut file = File::create(&path).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What is still open keeps it; it is gone from the tree all the same.
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).status();
    }
}
