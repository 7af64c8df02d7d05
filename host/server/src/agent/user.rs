//! The user that commands run as, where that is not the gateway's own: found by its name or
//! number, and whether the gateway can start and end something in its name.
//!
//! Read from `/etc/passwd` and `/etc/group` by hand. The C library's way is unsafe code, and
//! `getent` or `id` would be programs found by a process that may become anybody, and missing
//! in small containers. The price is that a user whom only a directory (LDAP, SSSD) knows is
//! not found; a user for sessions alone is a local one.
//!
//! Not here: becoming it (`exec::switch`).

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";
/// To the kernel this number says "leave it as it is": never a user or a group.
const NO_ID: u32 = u32::MAX;

/// A user of this machine who is not root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    name: String,
    uid: u32,
    gid: u32,
    /// The supplementary groups, without `gid`.
    groups: Vec<u32>,
    home: String,
}

/// Why sessions cannot run as a user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody.
    #[error("the session user `{}` does not exist: {USERS} has neither such a name nor such a number", .name.escape_debug())]
    Unknown {
        /// As it was asked for.
        name: String,
    },
    /// Root, under whatever name.
    #[error("the session user cannot be `{}`: that is root, whom nothing holds back", .name.escape_debug())]
    Root {
        /// As it was asked for.
        name: String,
    },
    /// The user that sessions are to be kept from.
    #[error(
        "the session user `{name}` is the gateway's own user, who can read the ledger: give sessions another one"
    )]
    Own {
        /// Its name.
        name: String,
    },
    /// The gateway has not what it takes.
    #[error(
        "the gateway may not run sessions as `{name}`: it lacks {missing}; start it as root or with these capabilities"
    )]
    NoRight {
        /// The user's name.
        name: String,
        /// The capabilities.
        missing: String,
    },
    /// What cannot be seen cannot be ended.
    #[error(
        "the gateway does not see other users' processes in /proc (`hidepid`, or `ProtectProc=` of systemd): it could not end all that a session of `{name}` starts"
    )]
    Blind {
        /// The user's name.
        name: String,
    },
    /// The lists of users and groups are not there.
    #[error("{file} cannot be read")]
    Unreadable {
        /// Which.
        file: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No Linux.
    #[error("sessions can run as another user only on Linux")]
    Elsewhere,
}

impl User {
    /// The user of this machine with this name, or else with this number.
    pub fn find(name: &str) -> Result<Self, UserError> {
        Self::find_in(&read(USERS)?, &read(GROUPS)?, name)
    }

    fn find_in(users: &str, groups: &str, name: &str) -> Result<Self, UserError> {
        let all = || users.lines().filter_map(user);
        let number = name.parse().ok();
        let found =
            all().find(|user| user.name == name).or_else(|| all().find(|user| Some(user.uid) == number));
        let mut found = found.ok_or_else(|| UserError::Unknown { name: name.to_owned() })?;
        if found.uid == 0 {
            return Err(UserError::Root { name: name.to_owned() });
        }
        found.groups = groups.lines().filter_map(|line| group_of(line, &found.name)).collect();
        found.groups.retain(|group| *group != found.gid);
        found.groups.sort_unstable();
        found.groups.dedup();
        Ok(found)
    }

    /// Refuses where this process cannot start, and end, processes of this user.
    #[cfg(target_os = "linux")]
    pub fn check(&self) -> Result<(), UserError> {
        use rustix::thread::CapabilitySet;

        let name = || self.name.clone();
        if [rustix::process::getuid(), rustix::process::geteuid()].iter().any(|own| own.as_raw() == self.uid)
        {
            return Err(UserError::Own { name: name() });
        }
        let held = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        let missing: Vec<&str> = [
            // To become the user and nothing but the user,
            (CapabilitySet::SETUID, "CAP_SETUID"),
            (CapabilitySet::SETGID, "CAP_SETGID"),
            // to hand it the terminal,
            (CapabilitySet::CHOWN, "CAP_CHOWN"),
            // and to end what it runs.
            (CapabilitySet::KILL, "CAP_KILL"),
        ]
        .into_iter()
        .filter_map(|(needed, name)| (!held.contains(needed)).then_some(name))
        .collect();
        if !missing.is_empty() {
            return Err(UserError::NoRight { name: name(), missing: missing.join(", ") });
        }
        // The first process is another user's, or all are this one's.
        if fs::read("/proc/1/stat").is_err() {
            return Err(UserError::Blind { name: name() });
        }
        Ok(())
    }

    /// Refuses where this process cannot start, and end, processes of this user.
    #[cfg(not(target_os = "linux"))]
    pub fn check(&self) -> Result<(), UserError> {
        Err(UserError::Elsewhere)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The number of its primary group.
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// The numbers of its other groups.
    pub fn groups(&self) -> &[u32] {
        &self.groups
    }

    /// Its home folder, which need not exist.
    pub fn home(&self) -> &str {
        &self.home
    }
}

/// Text of any encoding: names and numbers in it are ASCII, and the rest is not looked at.
fn read(file: &'static str) -> Result<String, UserError> {
    let bytes = fs::read(file).map_err(|source| UserError::Unreadable { file, source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `name:password:uid:gid:comment:home:shell`.
fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
    let uid = id(fields.nth(1)?)?;
    let gid = id(fields.next()?)?;
    let home = fields.nth(1).filter(|home| home.starts_with('/')).unwrap_or("/").to_owned();
    Some(User { name, uid, gid, groups: Vec::new(), home })
}

/// `name:password:gid:member,member`; the group where `user` is a member.
fn group_of(line: &str, user: &str) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let gid = id(fields.next()?)?;
    fields.next()?.split(',').any(|member| member.trim() == user).then_some(gid)
}

fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != NO_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME_USERS: &str = "\
root:x:0:0:root:/root:/bin/bash
toor:x:0:0::/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
+nis
gate:x:900:900:Gr\u{fffd}\u{fffd}e:/srv/gate:/bin/sh
7:x:901:901:a name of digits::
wide:x:4294967295:1::/:
wider:x:902:4294967295::/:
";
    const SOME_GROUPS: &str = "root:x:0:\nadm:x:4:daemon,gate\ngate:x:900:gate\naudio:x:29:gate , pulse\ngates:x:30:gated\nadm2:x:4:gate\n";

    fn find(name: &str) -> Result<User, UserError> {
        User::find_in(SOME_USERS, SOME_GROUPS, name)
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number_with_its_groups_and_home() {
        let gate = User {
            name: "gate".to_owned(),
            uid: 900,
            gid: 900,
            groups: vec![4, 29],
            home: "/srv/gate".to_owned(),
        };
        assert_eq!(find("gate").unwrap(), gate);
        assert_eq!(find("900").unwrap(), gate);
        assert_eq!(find("1").unwrap().groups(), [4]);
    }

    #[test]
    fn a_name_of_digits_is_a_name_first() {
        let seven = find("7").unwrap();
        assert_eq!((seven.uid(), seven.home()), (901, "/"));
    }

    #[test]
    fn root_under_any_name_is_refused() {
        for name in ["root", "0", "toor", "00"] {
            assert!(matches!(find(name), Err(UserError::Root { .. })), "{name}");
        }
    }

    #[test]
    fn what_the_kernel_would_take_for_no_change_is_nobody() {
        for name in ["wide", "wider", "4294967295", "902", "-1", "", "+nis", "gat", "no\u{1b}body"] {
            let refused = find(name).unwrap_err().to_string();
            assert!(refused.contains("does not exist") && !refused.contains('\u{1b}'), "{refused}");
        }
    }
}
