//! What a provider's claims mean here: a name, groups, an address.

use std::collections::BTreeSet;

use quorate_core::channel::is_email;
use quorate_core::ids::{GroupName, UserId};
use quorate_core::refused::Refused;
use quorate_core::text::shown;
use quorate_core::user::{ADMIN, AUDITOR, Account, Vouched};
use serde_json::Value;

use super::settings::Declared;

/// Whether everything that is wanted is in these claims.
pub(super) fn are_whole(declared: &Declared, claims: &Value) -> bool {
    [&declared.user_claim, &declared.groups_claim].iter().all(|name| claim(claims, name).is_some())
}

/// Whom `claims` are about. An error says which claim is not as it has to be.
pub(super) fn vouched(declared: &Declared, subject: &str, claims: &Value) -> Result<Vouched, String> {
    let account = Account { issuer: declared.issuer.clone(), subject: subject.to_owned() };
    let groups = groups(declared, claim(claims, &declared.groups_claim))?;
    // A policy may go by it, so it is only taken where the provider says that it is theirs.
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    let email = claims.get("email").and_then(Value::as_str);
    let email = email.filter(|email| verified && is_email(email)).unwrap_or_default();
    Ok(Vouched { account, name: name(declared, claims), email: email.to_owned(), groups })
}

/// A claim by its name, or by a pointer.
fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    let found = if name.starts_with('/') { claims.pointer(name) } else { claims.get(name) };
    found.filter(|value| !value.is_null())
}

fn name(declared: &Declared, claims: &Value) -> Result<UserId, Refused> {
    let invalid = |why| Refused::Invalid { what: "user name", why };
    let name = claim(claims, &declared.user_claim).and_then(Value::as_str);
    let name = name.ok_or_else(|| {
        let claim = shown(&declared.user_claim, 80);
        invalid(format!("{} gives none in the claim `{claim}`", declared.label))
    })?;
    name.parse::<UserId>().map_err(|bad| invalid(bad.to_string()))
}

/// The groups that the claim's values mean. Without a mapping they are the values; but what
/// makes an admin or auditor is never left to whoever names groups at the provider.
fn groups(declared: &Declared, claim: Option<&Value>) -> Result<BTreeSet<GroupName>, String> {
    let values: Vec<&str> = match claim {
        None => Vec::new(),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(_) => {
            return Err(format!("the claim `{}` is no list of names", shown(&declared.groups_claim, 80)));
        }
    };
    let is_role = |group: &GroupName| matches!(group.as_str(), ADMIN | AUDITOR);
    Ok(match &declared.groups {
        Some(mapping) => values.iter().filter_map(|value| mapping.get(*value)).flatten().cloned().collect(),
        // What cannot be the name of a group here cannot be one that a rule names.
        None => {
            values.iter().filter_map(|value| value.parse().ok()).filter(|group| !is_role(group)).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn declared(more: &str) -> Declared {
        let text = format!("issuer: https://id.example.org\nclient_id: quorate\n{more}");
        let file = serde_saphyr::from_str(&text).unwrap();
        let none = super::super::Settings::default();
        super::super::resolve(none, file, std::path::Path::new(""), &|_| None).unwrap().unwrap()
    }

    fn groups_of(more: &str, claims: &Value) -> Vec<String> {
        let vouched = vouched(&declared(more), "1", claims).unwrap();
        vouched.groups.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_a_mapping_the_values_are_the_groups_but_no_roles() {
        let claims = json!({"groups": ["dba", "admin", "auditor", "/team/sre", "dev", 7, ""]});
        assert_eq!(groups_of("", &claims), ["dba", "dev"]);
        assert_eq!(groups_of("", &json!({"groups": "dba"})), ["dba"]);
        for none in [json!({}), json!({"groups": null}), json!({"groups": []})] {
            assert!(groups_of("", &none).is_empty(), "{none}");
        }
    }

    #[test]
    fn with_a_mapping_only_what_it_names_counts() {
        let mapping = "groups: {ops: admin, /team/dba: [dba, sre], x: auditor}\n";
        let claims = json!({"groups": ["ops", "/team/dba", "admin", "dev"]});
        assert_eq!(groups_of(mapping, &claims), ["admin", "dba", "sre"]);
        assert!(groups_of("groups: {}\n", &claims).is_empty());
    }

    #[test]
    fn a_claim_can_be_deep_inside() {
        let claims = json!({"realm_access": {"roles": ["dba"]}, "https://x/y": ["dev"]});
        assert_eq!(groups_of("groups_claim: /realm_access/roles\n", &claims), ["dba"]);
        assert_eq!(groups_of("groups_claim: https://x/y\n", &claims), ["dev"]);
        assert!(!are_whole(&declared(""), &claims));
        assert!(are_whole(&declared(""), &json!({"preferred_username": "ann", "groups": []})));
    }

    #[test]
    fn a_claim_that_is_no_list_is_told() {
        let why = vouched(&declared(""), "1", &json!({"groups": {"a": 1}})).unwrap_err();
        assert!(why.contains("`groups` is no list"), "{why}");
    }

    #[test]
    fn a_name_is_one_or_says_why_not() {
        let name =
            |claims: Value| vouched(&declared(""), "1", &claims).unwrap().name.map_err(|why| why.to_string());
        assert_eq!(name(json!({"preferred_username": "ann"})).unwrap().as_str(), "ann");
        assert!(
            name(json!({}))
                .unwrap_err()
                .contains("id.example.org gives none in the claim `preferred_username`")
        );
        assert!(
            name(json!({"preferred_username": "ann b"}))
                .unwrap_err()
                .contains("`ann b` is not a valid user name")
        );
    }

    #[test]
    fn an_address_is_taken_where_it_was_verified() {
        let email = |claims: Value| vouched(&declared(""), "1", &claims).unwrap().email;
        assert_eq!(email(json!({"email": "ann@example.org", "email_verified": true})), "ann@example.org");
        assert_eq!(email(json!({"email": "ann@example.org"})), "");
        assert_eq!(email(json!({"email": "ann@example.org", "email_verified": false})), "");
        assert_eq!(email(json!({"email": "Ann <ann@example.org>", "email_verified": true})), "");
    }
}
