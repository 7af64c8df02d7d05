//! Every process below this one.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, getpid};

/// The living processes that this one, or one of those, started. Complete because a
/// supervisor adopts the children of every descendant that ends.
///
/// Where there is no `/proc`, nothing is found, and only the command's own process group can
/// be ended.
pub(super) fn descendants() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // It may have ended since the folder was read.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parent_of_living(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut ahead = vec![Pid::as_raw(Some(getpid()))];
    while let Some(pid) = ahead.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.extend(Pid::from_raw(child));
            ahead.push(child);
        }
    }
    found
}

/// The parent in a line of `/proc/<pid>/stat`; none for a process that has ended and only
/// waits to be asked how. The name in it may hold blanks and parentheses.
fn parent_of_living(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_process_name_does_not_hide_its_parent() {
        assert_eq!(parent_of_living("12 (a) S 1 (b)) S 77 12 12 0"), Some(77));
        assert_eq!(parent_of_living("12 (sh) Z 77 12 12 0"), None);
        assert_eq!(parent_of_living("12 (sh"), None);
    }
}
