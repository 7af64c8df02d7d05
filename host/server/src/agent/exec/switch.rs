//! Becoming another user, for good.

use std::io;

use crate::agent::message::Streams;
use crate::agent::user::User;

/// Makes this thread, which is about to become the command, `user` and nothing but `user`.
#[cfg(target_os = "linux")]
pub(super) fn switch(user: &User, streams: &Streams) -> io::Result<()> {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{
        CapabilitySet, CapabilitySets, set_capabilities, set_thread_groups, set_thread_res_gid,
        set_thread_res_uid,
    };

    // Open files need no owner, but `/dev/stderr` and the terminal's own name are opened anew.
    for stream in streams {
        std::os::unix::fs::fchown(stream, Some(user.uid()), None)?;
    }
    let groups: Vec<Gid> = user.groups().iter().map(|group| Gid::from_raw(*group)).collect();
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    // By thread, and not by `Command::uid`, which goes on where the groups cannot be dropped.
    // The thread that executes a program is the one whose rights the program gets.
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    // The kernel takes them only from root. A gateway that has a few capabilities instead would
    // hand them to every command. The ambient ones go with the others.
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    // Where the gateway happened to be started may be closed to the user.
    std::env::set_current_dir(user.home()).or_else(|_| std::env::set_current_dir("/"))
}

/// Says that it cannot.
#[cfg(not(target_os = "linux"))]
pub(super) fn switch(_: &User, _: &Streams) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
