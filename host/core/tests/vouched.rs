//! People for whom a provider vouches: whom its word makes, and whom it cannot make.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may say what it takes for granted")]

use std::collections::BTreeSet;

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Step, View, fold};
use quorate_core::refused::Refused;
use quorate_core::user::{self, Account, Profile, User, Vouched};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn account(subject: &str) -> Account {
    Account { issuer: "https://id.example.org".to_owned(), subject: subject.to_owned() }
}

fn vouched(subject: &str, name: &str, groups: &[&str]) -> Vouched {
    Vouched {
        account: account(subject),
        name: Ok(name.parse().unwrap()),
        email: format!("{name}@example.org"),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
    }
}

/// Who somebody is after a step.
fn after(before: Option<&User>, step: &Step) -> User {
    let view = before.map(|user| View::User(Box::new(user.clone())));
    let revision = before.map_or(0, |user| user.revision);
    let (view, _) = step.entries().iter().fold((view, revision), |(view, revision), entry| {
        (fold(view, revision, entry).unwrap(), entry.revision)
    });
    match view {
        Some(View::User(user)) => *user,
        other => panic!("{other:?} is not a person"),
    }
}

fn local(name: &str, groups: &[&str]) -> User {
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    let profile = Profile { email: String::new(), groups, active: true };
    after(None, &user::save(&name.parse().unwrap(), None, profile, None, Actor::Gateway, NOW).unwrap())
}

/// What the provider's word makes of `users`, all of whom can sign in.
fn admit(said: &Vouched, users: &[User]) -> Result<Option<Step>, Refused> {
    let able: BTreeSet<_> = users.iter().map(|user| user.id.clone()).collect();
    user::admit(said, users, &able, NOW)
}

fn first(said: &Vouched) -> User {
    after(None, &admit(said, &[]).unwrap().unwrap())
}

fn groups(user: &User) -> Vec<&str> {
    user.profile.groups.iter().map(quorate_core::ids::GroupName::as_str).collect()
}

#[test]
fn somebody_new_is_added_and_bound_to_their_account() {
    let ann = first(&vouched("1", "ann", &["dev"]));
    assert_eq!((ann.id.as_str(), groups(&ann), ann.profile.active), ("ann", vec!["dev"], true));
    assert_eq!((ann.profile.email.as_str(), ann.account), ("ann@example.org", Some(account("1"))));
}

#[test]
fn somebody_known_gets_the_groups_that_are_said_and_keeps_the_rest() {
    let ann = first(&vouched("1", "ann", &["dev", "oncall"]));
    let said = vouched("1", "renamed", &["dev", "dba"]);
    let synced = after(Some(&ann), &admit(&said, std::slice::from_ref(&ann)).unwrap().unwrap());
    assert_eq!((synced.id.as_str(), groups(&synced)), ("ann", vec!["dba", "dev"]));
    assert_eq!(synced.profile.email, "ann@example.org");
    assert_eq!(admit(&said, &[synced]).unwrap(), None);
}

#[test]
fn a_name_that_somebody_has_is_not_given_to_an_account() {
    let users = [local("root", &["admin"]), first(&vouched("1", "ann", &[]))];
    for (subject, name, taken) in [("2", "root", "root"), ("2", "Root", "root"), ("2", "ann", "ann")] {
        let refused = admit(&vouched(subject, name, &["dev"]), &users).unwrap_err();
        assert_eq!(refused, Refused::NameTaken { user: taken.parse().unwrap() }, "{name}");
    }
    let elsewhere = Account { issuer: "https://other.example.org".to_owned(), ..account("1") };
    let said = Vouched { account: elsewhere, ..vouched("1", "ann", &[]) };
    assert!(matches!(admit(&said, &users), Err(Refused::NameTaken { .. })));
}

#[test]
fn a_name_that_cannot_be_one_only_matters_to_somebody_new() {
    let ann = first(&vouched("1", "ann", &["dev"]));
    let why = Refused::Invalid { what: "user name", why: "no".to_owned() };
    let said = Vouched { name: Err(why.clone()), ..vouched("1", "ann", &["dba"]) };
    assert!(admit(&said, &[ann]).unwrap().is_some());
    assert_eq!(admit(&said, &[]), Err(why));
}

#[test]
fn somebody_switched_off_is_refused_and_stays_as_they_are() {
    let mut ann = first(&vouched("1", "ann", &["dev"]));
    ann.profile.active = false;
    let refused = admit(&vouched("1", "ann", &["dba"]), &[ann]).unwrap_err();
    assert_eq!(refused, Refused::Inactive { user: "ann".parse().unwrap() });
}

#[test]
fn the_last_admin_is_not_lost_by_what_a_provider_says() {
    let ann = first(&vouched("1", "ann", &["admin"]));
    let (said, root) = (vouched("1", "ann", &["dev"]), local("root", &["admin"]));
    let lost = Refused::LastAdmin { user: ann.id.clone() };
    assert_eq!(admit(&said, std::slice::from_ref(&ann)), Err(lost.clone()));
    let able = BTreeSet::from([ann.id.clone()]);
    assert_eq!(user::admit(&said, &[ann.clone(), root.clone()], &able, NOW), Err(lost));
    let step = admit(&said, &[ann, root]).unwrap().unwrap();
    let guards: Vec<String> = step.guards().iter().map(|guard| guard.stream.to_string()).collect();
    assert_eq!(guards, ["user/root"]);
}

#[test]
fn a_subject_has_a_limit() {
    for bad in ["", "a\nb", &"x".repeat(256)] {
        assert!(matches!(admit(&vouched(bad, "ann", &[]), &[]), Err(Refused::Invalid { .. })), "{bad:?}");
    }
}
