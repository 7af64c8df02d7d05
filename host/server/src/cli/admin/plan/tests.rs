//! Plans, from files as people write them.

use super::*;
use crate::cli::admin::file::{GATEWAY, parse};
use crate::cli::words::Paint;

const PROD: &str = "resources:\n  prod:\n    command: [psql]\n    secrets: {PW: {env: PW}}\n";
const RULE: &str =
    "rules:\n  prod:\n    access_type: just-in-time\n    resources: [prod]\n    approval_groups: [dba]\n";

fn state() -> State {
    let mut state = State::default();
    state
        .users
        .insert("root".into(), json!({"id": "root", "email": "", "groups": ["admin"], "active": true}));
    state.users.insert("bob".into(), json!({"id": "bob", "email": "", "groups": ["old"], "active": true}));
    for policy in ["group-quorum", "duration-cap", "bypass"] {
        state.policies.insert(policy.into(), json!({"name": policy, "versions": [], "active": "0"}));
    }
    state
}

fn with_prod(state: &mut State) {
    state.resources.insert("prod".into(), json!({
        "name": "prod", "revision": 3, "kind": "", "agent": "default", "command": ["psql"], "secrets": ["PW"],
        "attributes": {}, "access_types": ["just-in-time", "command"], "max_duration": null, "standing_groups": [], "plugins": [],
    }));
}

#[derive(Default)]
struct With {
    components: BTreeMap<String, Component>,
    prune: bool,
    set_secrets: bool,
}

fn planned(text: &str, state: &State, with: &With) -> Result<Vec<Step>, Vec<String>> {
    let environment = Environment::from([("PW", "s3cret"), ("PAGER", "https://hooks.example.org/s3cret")]);
    let given = Given {
        folder: Path::new("."),
        environment: &environment,
        components: &with.components,
        prune: with.prune,
        set_secrets: with.set_secrets,
        me: "root",
    };
    plan(&parse(Path::new("g.yaml"), text, &GATEWAY).unwrap(), state, &given)
}

fn shown(text: &str, state: &State) -> String {
    let steps = planned(text, state, &With::default()).unwrap();
    steps.iter().map(|step| step.change.show(Paint(false))).collect()
}

fn wrong(text: &str, state: &State) -> Vec<String> {
    planned(text, state, &With::default()).unwrap_err()
}

#[test]
fn resources_come_before_the_rules_that_name_them_and_carry_their_secrets() {
    let steps = planned(&format!("{RULE}{PROD}"), &state(), &With::default()).unwrap();
    let titles: Vec<String> = steps.iter().map(|step| step.change.title()).collect();
    assert_eq!(titles, ["resource prod", "rule prod"]);
    let Call::Put { path, body } = &steps[0].call else { panic!("{:?}", steps[0].call) };
    assert_eq!((path.join("/").as_str(), &body["secrets"]), ("resources/prod", &json!({"PW": "s3cret"})));
    assert!(!format!("{steps:?}").contains("s3cret"));
    assert!(!shown(PROD, &state()).contains("s3cret"));
}

#[test]
fn applying_the_same_twice_changes_nothing() {
    let mut state = state();
    with_prod(&mut state);
    let rule = parse::<file::Gateway>(Path::new("g"), RULE, &GATEWAY).unwrap();
    let mut saved = rule.rules.unwrap()[&"prod".parse().unwrap()].canonical().unwrap();
    saved["name"] = json!("prod");
    saved["revision"] = json!(1);
    state.rules.insert("prod".into(), saved);
    assert_eq!(shown(&format!("{PROD}{RULE}"), &state), "");
}

#[test]
fn a_secret_that_is_there_is_kept_unless_it_is_to_be_set_again() {
    let mut state = state();
    with_prod(&mut state);
    let other = "resources:\n  prod:\n    command: [psql, -h, db]\n    secrets: {PW: {env: NOT_SET}}\n";
    let steps = planned(other, &state, &With::default()).unwrap();
    let Call::Put { body, .. } = &steps[0].call else { panic!("{:?}", steps[0].call) };
    assert_eq!(body["secrets"], json!({"PW": null}));
    let again = planned(PROD, &state, &With { set_secrets: true, ..With::default() }).unwrap();
    assert_eq!(
        again[0].change.show(Paint(false)),
        "~ resource prod\n    ~ secrets.PW: (set) → (set again)\n"
    );
}

#[test]
fn members_of_groups_are_found_and_others_leave_them() {
    let mut state = state();
    state.users.insert("old".into(), json!({"groups": ["dba", "dev"], "active": true, "email": ""}));
    let text = shown("groups:\n  dba: [bob, ann]\nusers:\n  ann: {email: a@b}\n", &state);
    assert_eq!(
        text,
        "+ user ann\n    + active: true\n    + email: a@b\n    + groups: [dba]\n\
         ~ user bob\n    ~ groups: [old] → [dba, old]\n\
         ~ user old\n    ~ groups: [dba, dev] → [dev]\n"
    );
}

#[test]
fn an_admin_who_hands_over_does_so_when_all_else_is_done() {
    let mut state = state();
    state.users.insert("zoe".into(), json!({"email": "", "groups": [], "active": true}));
    let text = format!("groups: {{admin: [zoe], old: []}}\n{PROD}");
    let steps = planned(&text, &state, &With::default()).unwrap();
    let order: Vec<String> = steps.iter().map(|step| format!("{:?}", step.call)).collect();
    assert_eq!(order, ["Put(users/zoe)", "Put(users/bob)", "Put(resources/prod)", "Put(users/root)"]);
}

#[test]
fn what_users_and_groups_say_must_agree() {
    let wrong = wrong("users: {bob: {groups: [dev]}}\ngroups: {dba: [bob, bop]}\n", &state());
    assert_eq!(
        wrong,
        [
            "groups.dba: there is no user `bop`, did you mean `bob`?",
            "users.bob.groups and groups.dba do not agree on whether bob is in dba",
        ]
    );
}

#[test]
fn everything_that_is_wrong_is_found_before_anything_is_changed() {
    let text = "\
resources:
  prod: {command: [psql], access_types: [command], secrets: {PW: {env: NOT_SET}}}
rules:
  a: {access_type: just-in-time, resources: [prod], approval_groups: [dba]}
  b: {access_type: command, resources: [prd], policies: [{policy: group-quorom}]}
";
    assert_eq!(
        wrong(text, &state()),
        [
            "resources.prod.secrets.PW: the environment variable `NOT_SET` is not set",
            "rules.a: prod does not support just-in-time access",
            "rules.b.resources: there is no resource `prd`, did you mean `prod`?",
            "rules.b: there is no policy `group-quorom`, did you mean `group-quorum`?",
        ]
    );
}

#[test]
fn a_config_is_held_against_the_schema_of_its_policy() {
    let mut state = state();
    let schema = json!({"type": "object", "properties": {"groups": {"type": "array", "minItems": 1}}});
    state.schemas.insert("group-quorum".into(), schema);
    let empty = format!("{PROD}{}", RULE.replace("[dba]", "[]"));
    let wrong = wrong(&empty, &state);
    assert!(wrong[0].starts_with("rules.prod.policies[0].config (group-quorum).groups: "), "{wrong:?}");
}

#[test]
fn prune_takes_away_what_is_not_named_and_never_whoever_asks() {
    let mut state = state();
    with_prod(&mut state);
    state.rules.insert("old".into(), json!({"name": "old"}));
    let prune = With { prune: true, ..With::default() };
    let steps = planned("resources: {}\nrules: {}\nusers: {}\n", &state, &prune).unwrap();
    let text: String = steps.iter().map(|step| step.change.show(Paint(false))).collect();
    assert_eq!(text, "- rule old\n- resource prod\n~ user bob\n    ~ active: true → false\n");
    assert!(planned("users: {bob: {}}\n", &state, &prune).unwrap().is_empty());
    let still_named = planned(&format!("resources: {{}}\n{RULE}"), &state, &prune).unwrap_err();
    assert!(still_named[0].contains("there is no resource `prod`"), "{still_named:?}");
}

const PAGER: &str =
    "channels:\n  pager: {kind: webhook, address: {env: PAGER}, rules: [prod], events: [vote.cast]}\n";

fn with_pager(state: &mut State) {
    state.channels.insert("pager".into(), json!({
        "name": "pager", "kind": "webhook", "host": "hooks.example.org", "description": "", "conversation": null,
        "to": [], "all_requests": false, "rules": ["prod"], "events": ["vote.cast"], "status": {}, "revision": 2,
    }));
}

#[test]
fn a_channel_comes_after_the_rules_that_it_names_with_an_address_that_is_not_shown() {
    let text = format!("{PAGER}{RULE}{PROD}");
    let steps = planned(&text, &state(), &With::default()).unwrap();
    let titles: Vec<String> = steps.iter().map(|step| step.change.title()).collect();
    assert_eq!(titles, ["resource prod", "rule prod", "channel pager"]);
    let Call::Put { path, body } = &steps[2].call else { panic!("{:?}", steps[2].call) };
    assert_eq!(path.join("/"), "channels/pager");
    assert_eq!(body["address"], "https://hooks.example.org/s3cret");
    assert_eq!(
        steps[2].change.show(Paint(false)),
        "+ channel pager\n    + all_requests: false\n    + events: [vote.cast]\n    + kind: webhook\n    + rules: [prod]\n    + address: (set)\n"
    );
}

#[test]
fn an_address_that_is_there_is_kept_unless_it_is_to_be_set_again() {
    let mut state = state();
    with_prod(&mut state);
    with_pager(&mut state);
    state.rules.insert("prod".into(), json!({"name": "prod"}));
    assert_eq!(shown(PAGER, &state), "");
    let other = PAGER.replace("events: [vote.cast]", "description: x").replace("PAGER", "NOT_SET");
    let steps = planned(&other, &state, &With::default()).unwrap();
    let Call::Put { body, .. } = &steps[0].call else { panic!("{:?}", steps[0].call) };
    assert_eq!(body["address"], Value::Null);
    let again = planned(PAGER, &state, &With { set_secrets: true, ..With::default() }).unwrap();
    assert_eq!(again[0].change.show(Paint(false)), "~ channel pager\n    ~ address: (set) → (set again)\n");
    let Call::Put { body, .. } = &again[0].call else { panic!("{:?}", again[0].call) };
    assert_eq!(body["address"], "https://hooks.example.org/s3cret");
}

#[test]
fn what_a_channel_may_not_say_is_found_before_anything_is_changed() {
    let mut state = state();
    with_pager(&mut state);
    let text = "\
channels:
  a: {kind: pigeon}
  b: {kind: webhook}
  c: {kind: email, to: [dba@example.org], address: {env: PAGER}}
  d: {kind: teams, address: {env: NOT_SET}, rules: [prd]}
  e: {kind: email, conversation: C0123}
  pager: {kind: slack}
rules:
  prod: {access_type: command, resources: [prod], approval_groups: [dba]}
resources:
  prod: {command: [psql]}
";
    assert_eq!(
        wrong(text, &state),
        [
            "channels.a: kind: give webhook, slack, email or teams",
            "channels.b.address: give one, {env: VARIABLE} or {file: path}: there is none to keep",
            "channels.c.address: a channel of this kind has none",
            "channels.d.rules: there is no rule `prd`, did you mean `prod`?",
            "channels.d.address: the environment variable `NOT_SET` is not set",
            "channels.e: conversation: only a channel of kind slack has one",
            "channels.pager.kind: it is of kind webhook: remove it and add another",
        ]
    );
}

#[test]
fn prune_takes_channels_away_when_nothing_names_them_any_more() {
    let mut state = state();
    with_prod(&mut state);
    with_pager(&mut state);
    state.resources.get_mut("prod").unwrap()["plugins"] = json!(["pager", "other"]);
    state.rules.insert("prod".into(), json!({"name": "prod"}));
    let prune = With { prune: true, ..With::default() };
    let steps = planned("channels: {}\nrules: {}\n", &state, &prune).unwrap();
    let text: String = steps.iter().map(|step| step.change.show(Paint(false))).collect();
    assert_eq!(
        text,
        "~ resource prod\n    ~ plugins: [pager, other] → [other]\n- channel pager\n- rule prod\n"
    );
    let Call::Put { body, .. } = &steps[0].call else { panic!("{:?}", steps[0].call) };
    assert_eq!((&body["secrets"], body.get("revision")), (&json!({"PW": null}), None));
    // A file that goes on naming it is wrong.
    let named = PROD.replace("command: [psql]", "command: [psql]\n    plugins: [pager]");
    let still = planned(&format!("channels: {{}}\n{named}"), &state, &prune).unwrap_err();
    assert!(still[0].contains("resources.prod.plugins: channel `pager`"), "{still:?}");
    let ruled = planned(&format!("rules: {{}}\n{PAGER}"), &state, &prune).unwrap_err();
    assert!(ruled[0].contains("there is no rule `prod`"), "{ruled:?}");
    assert!(planned("resources: {}\n", &state, &With::default()).unwrap().is_empty());
}

#[test]
fn a_policy_is_loaded_when_its_component_is_new_and_left_alone_when_it_decides() {
    let component = |bytes: &[u8]| Component { digest: Digest::of(bytes), bytes: bytes.to_vec() };
    let with =
        With { components: BTreeMap::from([("eyes".to_owned(), component(b"new"))]), ..With::default() };
    let text = "policies: {eyes: {file: x.wasm, reason: why}}\n";
    let load = planned(text, &state(), &with).unwrap();
    assert_eq!(load[0].call, Call::Load { policy: "eyes".into(), activate: true, reason: "why".into() });
    let mut state = state();
    let (new, old) = (Digest::of(b"new"), Digest::of(b"old"));
    let versions = json!([{"digest": new}, {"digest": old}]);
    state.policies.insert("eyes".into(), json!({"name": "eyes", "versions": versions, "active": old}));
    let switch = planned(text, &state, &with).unwrap();
    assert_eq!(switch[0].call, Call::Activate { policy: "eyes".into(), digest: new, reason: "why".into() });
    state.policies.insert("eyes".into(), json!({"name": "eyes", "versions": versions, "active": new}));
    assert!(planned(text, &state, &with).unwrap().is_empty());
}
