//! What operators configure: people, resources, policies, and what their entries
//! add up to.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may say what it takes for granted")]

use std::collections::BTreeSet;

use quorate_core::Timestamp;
use quorate_core::entry::{Actor, Entry, Happened, Step, View, fold};
use quorate_core::ids::{Digest, UserId};
use quorate_core::policy::{self, Demand, Policy, Seen, Stage, Version};
use quorate_core::refused::Refused;
use quorate_core::resource::{RESOURCE_BYTES_MAX, Resource};
use quorate_core::user::{self, Profile, Token, User};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn entries(steps: &[Step]) -> Vec<Entry> {
    steps.iter().flat_map(Step::entries).cloned().collect()
}

/// What the steps of one stream add up to.
fn view(steps: &[Step]) -> Option<View> {
    (0..).zip(&entries(steps)).fold(None, |view, (before, entry)| fold(view, before, entry).unwrap())
}

fn profile(groups: &[&str], active: bool) -> Profile {
    let groups = groups.iter().map(|group| group.parse().unwrap()).collect();
    Profile { email: String::new(), groups, active }
}

fn root() -> UserId {
    "root".parse().unwrap()
}

fn user_of(steps: &[Step]) -> User {
    match view(steps) {
        Some(View::User(user)) => *user,
        other => panic!("{other:?} is not a person"),
    }
}

fn admin() -> Step {
    user::save(&root(), None, profile(&["admin"], true), None, Actor::Gateway, at(0)).unwrap()
}

fn token(id: &str, expires: i64) -> Token {
    let (issued_at, expires_at) = (at(0), at(expires));
    Token {
        id: id.to_owned(),
        label: "laptop".to_owned(),
        issued_at,
        expires_at,
        revoked_at: None,
        vouched_by: None,
    }
}

fn version(text: &str) -> Version {
    let digest = Digest::of(text.as_bytes());
    Version { digest, label: text.to_owned(), bytes: 1, built_in: false }
}

fn quorum_of(steps: &[Step]) -> Policy {
    match view(steps) {
        Some(View::Policy(policy)) => *policy,
        other => panic!("{other:?} is not a policy"),
    }
}

fn load(steps: &[Step], text: &str) -> Option<Step> {
    let before = (!steps.is_empty()).then(|| quorum_of(steps));
    policy::load(&"quorum".parse().unwrap(), before.as_ref(), version(text), Actor::Gateway, at(0))
}

fn resource() -> Resource {
    serde_json::from_value(serde_json::json!({"name": "prod", "command": ["psql"]})).unwrap()
}

fn save(change: impl FnOnce(&mut Resource)) -> Result<Step, Refused> {
    let mut resource = resource();
    change(&mut resource);
    resource.save(0, Actor::Gateway, at(0))
}

#[test]
fn the_last_active_admin_cannot_be_lost() {
    let root_user = user_of(&[admin()]);
    for changed in [profile(&["dev"], true), profile(&["admin"], false)] {
        let alone = user::save(&root(), Some(&root_user), changed.clone(), None, Actor::Gateway, at(1));
        assert_eq!(alone, Err(Refused::LastAdmin { user: root() }));
        let other = User { id: "eve".parse().unwrap(), revision: 7, ..root_user.clone() };
        let step =
            user::save(&root(), Some(&root_user), changed, Some(&other), Actor::Gateway, at(1)).unwrap();
        let guards: Vec<_> = step.guards().iter().map(|one| (one.stream.to_string(), one.revision)).collect();
        assert_eq!(guards, [("user/eve".to_owned(), 7)]);
    }
}

#[test]
fn an_address_is_one_and_an_old_one_that_is_none_keeps_nobody_from_other_changes() {
    let with = |email: &str| Profile { email: email.to_owned(), ..profile(&["admin"], true) };
    let save =
        |before: Option<&User>, profile| user::save(&root(), before, profile, None, Actor::Gateway, at(0));
    for good in ["", "ann@example.org", "ann+quorate@sub.example.org", "ann@localhost"] {
        assert!(save(None, with(good)).is_ok(), "{good}");
    }
    let long = format!("{}@example.org", "a".repeat(250));
    for bad in [
        "ann",
        "@example.org",
        "a@b.c, d@e.f",
        "Ann <ann@example.org>",
        "ann@exa mple.org",
        "a@b..c",
        "a..b@c.de",
        "a@b.de.",
        ".a@b.de",
        "a\nb@c.d",
        &long,
    ] {
        assert!(matches!(save(None, with(bad)), Err(Refused::Invalid { what: "email", .. })), "{bad}");
    }
    let mut before = user_of(&[admin()]);
    before.profile.email = "ann".to_owned();
    let changed = Profile { groups: profile(&["admin", "dba"], true).groups, ..before.profile.clone() };
    assert!(save(Some(&before), changed).is_ok());
    assert!(save(Some(&before), with("bob")).is_err());
}

#[test]
fn somebody_switched_off_is_no_admin() {
    let off = user::save(&root(), None, profile(&["admin"], false), None, Actor::Gateway, at(0)).unwrap();
    assert!(!user_of(&[off]).is_admin());
}

#[test]
fn a_token_works_until_it_ends_or_is_taken_back() {
    let mut steps = vec![admin()];
    steps.push(user_of(&steps).issue(token("t1", 100), Actor::Gateway, at(0)));
    let issued = user_of(&steps);
    assert!(issued.tokens[0].is_valid(at(99)) && !issued.tokens[0].is_valid(at(100)));
    steps.push(issued.revoke("t1", Actor::Gateway, at(10)).unwrap());
    let revoked = user_of(&steps);
    assert!(!revoked.tokens[0].is_valid(at(11)));
    assert!(revoked.revoke("t1", Actor::Gateway, at(12)).is_err());
}

#[test]
fn a_new_password_ends_all_tokens() {
    let mut steps = vec![admin()];
    steps.push(user_of(&steps).issue(token("t1", 100), Actor::Gateway, at(0)));
    steps.push(user_of(&steps).set_password(Actor::Gateway, at(10)));
    assert!(!user_of(&steps).tokens[0].is_valid(at(11)));
}

#[test]
fn a_policy_goes_back_to_the_version_before() {
    let mut steps = vec![load(&[], "one").unwrap()];
    steps.push(load(&steps, "two").unwrap());
    assert_eq!(load(&steps, "two"), None);
    let activate = |steps: &[Step], text: &str| {
        let digest = version(text).digest;
        quorum_of(steps).activate(digest, String::new(), Actor::Gateway, at(1))
    };
    steps.push(activate(&steps, "one").unwrap());
    let nothing = quorum_of(&steps).roll_back(String::new(), Actor::Gateway, at(2));
    assert!(matches!(nothing, Err(Refused::NothingBefore { .. })));
    steps.push(activate(&steps, "two").unwrap());
    assert!(matches!(activate(&steps, "two"), Err(Refused::AlreadyActive { .. })));
    assert!(matches!(activate(&steps, "three"), Err(Refused::Unknown { .. })));
    steps.push(quorum_of(&steps).roll_back(String::new(), Actor::Gateway, at(3)).unwrap());
    assert_eq!(quorum_of(&steps).active().unwrap().label, "one");
}

#[test]
fn a_version_is_loaded_staged_shadow_active_and_superseded() {
    let mut steps = vec![load(&[], "one").unwrap(), load(&[load(&[], "one").unwrap()], "two").unwrap()];
    let (one, two) = (version("one").digest, version("two").digest);
    let stage_of = |steps: &[Step], digest| quorum_of(steps).last_of(digest).unwrap().to;
    steps.push(quorum_of(&steps).activate(one, String::new(), Actor::Gateway, at(1)).unwrap());
    let shadow =
        |steps: &[Step], digest| quorum_of(steps).start_shadow(digest, "why".into(), Actor::Gateway, at(3));
    assert!(matches!(shadow(&steps, two), Err(Refused::WrongStage { stage: "loaded", .. })));
    steps.push(quorum_of(&steps).stage(two, String::new(), Actor::Gateway, at(2)).unwrap());
    assert!(quorum_of(&steps).stage(one, String::new(), Actor::Gateway, at(2)).is_err(), "it decides");
    steps.push(shadow(&steps, two).unwrap());
    assert_eq!((stage_of(&steps, one), stage_of(&steps, two)), (Stage::Active, Stage::Shadow));
    assert!(matches!(shadow(&steps, two), Err(Refused::ShadowRuns { .. })));
    let accept =
        |steps: &[Step], why: &str| quorum_of(steps).accept(vec![7], why.into(), Actor::Gateway, at(4));
    assert!(accept(&steps, " ").is_err(), "without a reason");
    steps.push(accept(&steps, "fine").unwrap());
    assert_eq!(quorum_of(&steps).shadow.unwrap().accepted[0].decisions, [7]);
    let mut stopped = steps.clone();
    stopped.push(quorum_of(&stopped).stop_shadow(String::new(), Actor::Gateway, at(5)).unwrap());
    assert_eq!(stage_of(&stopped, two), Stage::Staged);
    assert!(quorum_of(&stopped).stop_shadow(String::new(), Actor::Gateway, at(6)).is_err());
    steps.push(quorum_of(&steps).activate(two, String::new(), Actor::Gateway, at(5)).unwrap());
    assert_eq!((stage_of(&steps, one), stage_of(&steps, two)), (Stage::Superseded, Stage::Active));
    assert_eq!(quorum_of(&steps).shadowing(), None);
}

#[test]
fn a_demand_takes_nothing_seen_for_no_agreement() {
    let (name, digest) = ("quorum".parse().unwrap(), version("one").digest);
    let demand = Demand { samples_min: 2, no_differences: true };
    let check = |demand: Demand, seen| demand.check(&name, digest, seen).map_err(|refused| refused.code());
    let seen = |samples, differences, faults| Some(Seen { samples, differences, faults });
    assert_eq!(check(Demand::default(), None), Ok(()));
    assert_eq!(check(demand, None), Err("not-shadowed"));
    assert_eq!(check(demand, seen(1, 0, 0)), Err("too-few-samples"));
    assert_eq!(check(demand, seen(2, 1, 0)), Err("unexplained-differences"));
    assert_eq!(check(demand, seen(2, 0, 1)), Err("unexplained-differences"));
    assert_eq!(check(demand, seen(2, 0, 0)), Ok(()));
}

#[test]
fn a_resource_that_makes_no_sense_is_not_saved() {
    assert!(save(|_| {}).is_ok());
    let secret = |name: &str| save(|resource| resource.secrets = BTreeSet::from([name.to_owned()]));
    for name in ["", "1A", "A B", "LD_PRELOAD", "PATH", "A=B"] {
        assert!(secret(name).is_err(), "{name}");
    }
    assert!(secret("PGPASSWORD").is_ok());
    assert!(save(|resource| resource.command = vec![]).is_err());
    assert!(save(|resource| resource.command = vec!["psql".into(), "a\0b".into()]).is_err());
    assert!(save(|resource| resource.access_types = BTreeSet::new()).is_err());
    assert!(save(|resource| resource.max_duration = Some(59)).is_err());
    let long = save(|resource| resource.kind = "x".repeat(RESOURCE_BYTES_MAX));
    assert!(matches!(long, Err(Refused::TooLong { .. })));
}

#[test]
fn after_a_removal_a_resource_can_be_saved_again() {
    let saved = save(|_| {}).unwrap();
    let Some(View::Resource(resource)) = view(std::slice::from_ref(&saved)) else { panic!("not saved") };
    let used = resource.remove(Some("prod-rule"), Actor::Gateway, at(1)).unwrap_err();
    assert_eq!(used.to_string(), "resource `prod` is in use by rule prod-rule");
    let removed = resource.remove(None, Actor::Gateway, at(1)).unwrap();
    assert_eq!(view(&[saved.clone(), removed.clone()]), None);
    let again = resource.save(2, Actor::Gateway, at(2)).unwrap();
    let Some(View::Resource(resource)) = view(&[saved, removed, again]) else { panic!("not saved") };
    assert_eq!(resource.revision, 3);
}

#[test]
fn an_entry_that_does_not_follow_breaks_the_ledger() {
    let saved = entries(&[save(|_| {}).unwrap()]).remove(0);
    let there = fold(None, 0, &saved).unwrap();
    assert!(fold(there.clone(), 1, &saved).is_err(), "the same entry twice");
    assert!(fold(None, 1, &saved).is_err(), "an entry is missing before it");
    let removed = Entry { revision: 1, happened: Happened::ResourceRemoved, ..saved.clone() };
    assert!(fold(None, 0, &removed).is_err(), "a removal of nothing");
    let rule = Entry { happened: Happened::RuleRemoved, revision: 2, ..saved.clone() };
    assert!(fold(there, 1, &rule).is_err(), "an entry of another kind");
    let other = "resource/other".to_owned().try_into().unwrap();
    assert!(fold(None, 0, &Entry { stream: other, ..saved }).is_err(), "a resource of another name");
    let loaded = entries(&[load(&[], "one").unwrap()]).remove(0);
    let digest = version("two").digest;
    let unknown = Happened::PolicyActivated { digest, reason: String::new(), approved: None };
    let there = fold(None, 0, &loaded).unwrap();
    let unknown = Entry { revision: 2, happened: unknown, ..loaded };
    assert!(fold(there, 1, &unknown).is_err(), "a version that was never loaded");
}

#[test]
fn a_group_is_saved_in_one_step_and_keeps_an_admin() {
    let person = |name: &str, groups: &[&str], active: bool| User {
        id: name.parse().unwrap(),
        profile: profile(groups, active),
        account: None,
        slack: None,
        subscription: None,
        tokens: Vec::new(),
        revision: 3,
    };
    let users = [
        person("ann", &["dev"], true),
        person("bob", &["admin"], false),
        person("eve", &["admin", "dev"], true),
        person("root", &["admin"], true),
    ];
    let save = |group: &str, members: &[&str]| {
        let members: BTreeSet<UserId> = members.iter().map(|name| name.parse().unwrap()).collect();
        // Ann has no password.
        let able = ["bob", "eve", "root"].map(|name| name.parse().unwrap()).into();
        user::save_group(&group.parse().unwrap(), &members, &users, &able, &Actor::Gateway, at(1))
    };
    let names = |step: &Step| -> Vec<String> {
        step.entries().iter().map(|entry| entry.stream.name().to_owned()).collect()
    };
    assert_eq!(names(&save("dev", &["root", "ann"]).unwrap().unwrap()), ["eve", "root"]);
    assert_eq!(save("dev", &["ann", "eve"]).unwrap(), None);
    assert!(matches!(save("dev", &["nobody"]), Err(Refused::Unknown { .. })));
    // The one who stays an admin must still be one when it is written.
    let step = save("admin", &["eve"]).unwrap().unwrap();
    assert_eq!(names(&step), ["bob", "root"]);
    let guard = &step.guards()[0];
    assert_eq!((guard.stream.name(), guard.revision), ("eve", 3));
    for left in [&[] as &[&str], &["bob"], &["ann"]] {
        assert!(matches!(save("admin", left), Err(Refused::LastAdmin { .. })), "{left:?}");
    }
}
