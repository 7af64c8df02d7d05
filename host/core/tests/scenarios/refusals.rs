//! What a refusal says when it is read aloud.

use quorate_core::ids::UserId;
use quorate_core::refused::Refused;
use quorate_core::verdict::Audience;

use crate::world::{at, user};

#[test]
fn times_are_told_in_whole_seconds() {
    let exact: quorate_core::Timestamp = "2026-03-02T10:00:00.987654321Z".parse().unwrap();
    for (at, told) in [(at(0), "10:00:00Z"), (exact, "10:00:00Z")] {
        let refused = Refused::AlreadyVoted { by: user("bob"), at };
        assert_eq!(
            refused.to_string(),
            format!("bob has already voted on this request, at 2026-03-02T{told}")
        );
    }
}

#[test]
fn what_somebody_typed_does_not_reach_the_terminal_as_it_is() {
    let nasty = "x\x1b[2J\r\n\u{202e}y";
    let refusals = [
        Refused::Unknown { what: "resource", name: nasty.to_owned() },
        Refused::Invalid { what: "email", why: nasty.to_owned() },
        Refused::BadConfig { policy: nasty.into(), path: nasty.into(), why: nasty.into() },
        Refused::InUse { what: "resource", name: nasty.into(), by: nasty.into() },
        Refused::NoAnswer { policy: "p".parse().unwrap(), fault: nasty.to_owned() },
        Refused::NotEligible {
            by: user("bob"),
            voters: Audience { groups: vec![nasty.to_owned()], users: vec![nasty.to_owned()] },
        },
    ];
    for refused in refusals {
        let told = refused.to_string();
        assert!(!told.contains(|c: char| c.is_control() || c == '\u{202e}'), "{told:?}");
        assert!(told.contains("x\u{fffd}[2J"), "{told:?}");
    }
    let bad = nasty.parse::<UserId>().unwrap_err().to_string();
    assert!(bad.starts_with("`x\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}y` is not a valid user name"), "{bad:?}");
}

#[test]
fn nobody_is_named_where_nobody_is_eligible() {
    let refused = Refused::NotEligible { by: user("bob"), voters: Audience::default() };
    assert_eq!(refused.to_string(), "bob is not eligible to vote on this request: nobody is");
}
