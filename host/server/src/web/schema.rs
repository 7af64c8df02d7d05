//! Forms out of JSON Schemas (2020-12): one field for each property of a config.
//!
//! What a field cannot show, such as an object in it, is written as JSON; a config that no
//! fields can show is JSON as a whole. What makes sense is not said here: the policy says
//! that when the rule is saved.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::form::{Fields, Wrong};

/// What stands in the fields of a config, by property; under the empty name the config as JSON.
pub(super) type Written = BTreeMap<String, Vec<String>>;

/// How a property is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Switch,
    /// One of these.
    Choice(Vec<String>),
    /// One on each line.
    Lines,
    Json,
}

/// A property as a field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) property: String,
    pub(super) title: String,
    pub(super) about: String,
    pub(super) kind: Kind,
    /// What stands in it.
    pub(super) value: String,
}

impl Field {
    /// Whether it is a box that is ticked.
    pub(super) fn is_on(&self) -> bool {
        !self.value.is_empty()
    }

    /// What is offered, and what is chosen.
    pub(super) fn choices(&self) -> impl Iterator<Item = (&str, bool)> {
        let all = if let Kind::Choice(all) = &self.kind { all.as_slice() } else { &[] };
        all.iter().map(|one| (one.as_str(), *one == self.value))
    }
}

/// The fields of a config with what is written in them; the last one, without a property, is
/// the config as JSON, where fields cannot show it.
pub(super) fn fields(schema: &Value, written: &Written) -> Vec<Field> {
    let text = |property: &str| written.get(property).map(|all| all.join("\n")).unwrap_or_default();
    let Some(properties) = properties(schema).filter(|_| !written.contains_key("")) else {
        return vec![Field {
            property: String::new(),
            title: "Config".to_owned(),
            about: "as JSON".to_owned(),
            kind: Kind::Json,
            value: text(""),
        }];
    };
    let field = |(property, of): (&String, &Value)| {
        let of = resolved(schema, of);
        let words = |key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let title = match words("title") {
            title if title.is_empty() => property.replace('_', " "),
            title => title,
        };
        Field {
            property: property.clone(),
            title,
            about: words("description"),
            kind: kind(schema, &of),
            value: text(property),
        }
    };
    properties.iter().map(field).collect()
}

/// A config as it is written into fields; without one, what the schema says itself.
pub(super) fn write(schema: &Value, config: Option<&Value>) -> Written {
    let whole = |config: &Value| Written::from([(String::new(), vec![pretty(config)])]);
    let empty = Value::Object(Map::new());
    let Some(properties) = properties(schema) else { return whole(config.unwrap_or(&empty)) };
    let given = config.and_then(Value::as_object);
    if config.is_some() && given.is_none_or(|given| given.keys().any(|key| !properties.contains_key(key))) {
        return whole(config.unwrap_or(&empty));
    }
    let mut written = Written::new();
    for (property, of) in properties {
        let of = resolved(schema, of);
        let value = given.map_or(of.get("default"), |given| given.get(property).or(of.get("default")));
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        let texts = match (kind(schema, &of), value) {
            (Kind::Text | Kind::Choice(_), Value::String(text)) => vec![text.clone()],
            (Kind::Number, Value::Number(number)) => vec![number.to_string()],
            (Kind::Switch, Value::Bool(on)) => {
                if *on {
                    vec!["on".to_owned()]
                } else {
                    Vec::new()
                }
            }
            (Kind::Lines, Value::Array(all)) if all.iter().all(Value::is_string) => {
                all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            (Kind::Json, value) => vec![pretty(value)],
            // Not what the schema says: as it is, for whoever edits it to see.
            _ => return config.map_or_else(|| whole(&empty), whole),
        };
        written.insert(property.clone(), texts);
    }
    written
}

/// The config that is written in fields whose names begin with `prefix`.
pub(super) fn read(schema: &Value, written: &Written, prefix: &str, wrong: &mut Wrong) -> Value {
    let text = |property: &str| written.get(property).map(|all| all.join("\n")).unwrap_or_default();
    let Some(properties) = properties(schema).filter(|_| !written.contains_key("")) else {
        return json(prefix, &text(""), wrong).unwrap_or_default();
    };
    let mut config = Map::new();
    for (property, of) in properties {
        let name = format!("{prefix}{property}");
        let text = text(property);
        let value = match kind(schema, &resolved(schema, of)) {
            Kind::Switch => Some(Value::Bool(!text.is_empty())),
            Kind::Lines => {
                let all: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
                (!all.is_empty() || is_required(schema, property)).then(|| Value::from(all))
            }
            _ if text.trim().is_empty() => None,
            Kind::Text | Kind::Choice(_) => Some(Value::String(text)),
            Kind::Number => wrong.read(&name, &text).map(Value::Number),
            Kind::Json => json(&name, &text, wrong),
        };
        config.extend(value.map(|value| (property.clone(), value)));
    }
    Value::Object(config)
}

fn json(name: &str, text: &str, wrong: &mut Wrong) -> Option<Value> {
    serde_json::from_str(text).map_err(|bad| wrong.say(name, format!("this is not JSON: {bad}"))).ok()
}

/// What was sent in fields whose names begin with `prefix`.
pub(super) fn sent(fields: &Fields, prefix: &str) -> Written {
    let mut written = Written::new();
    for (property, value) in fields.under(prefix) {
        written.entry(property.to_owned()).or_default().push(super::words::lines(value));
    }
    written
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty())
}

fn is_required(schema: &Value, property: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|all| all.iter().any(|one| one == property))
}

/// A schema with what it refers to in its place, and without the null that it may be, too.
fn resolved(root: &Value, of: &Value) -> Value {
    let mut of = of.clone();
    // A schema may refer to itself.
    for _ in 0..8 {
        let inner = match (of.get("$ref").and_then(Value::as_str), of.get("anyOf").or(of.get("oneOf"))) {
            (Some(place), _) => place.strip_prefix('#').and_then(|place| root.pointer(place)).cloned(),
            (None, Some(Value::Array(all))) => {
                let mut others = all.iter().filter(|one| one.get("type").is_none_or(|kind| kind != "null"));
                others.next().filter(|_| others.next().is_none()).cloned()
            }
            _ => None,
        };
        let Some(Value::Object(inner)) = inner else { break };
        let Value::Object(mut outer) = of else { return Value::Null };
        for key in ["$ref", "anyOf", "oneOf"] {
            outer.remove(key);
        }
        for (key, value) in inner {
            outer.entry(key).or_insert(value);
        }
        of = Value::Object(outer);
    }
    of
}

fn kind(root: &Value, of: &Value) -> Kind {
    if let Some(all) = of.get("enum").and_then(Value::as_array)
        && all.iter().all(Value::is_string)
    {
        return Kind::Choice(all.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let types: Vec<&str> = match of.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => {
            all.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect()
        }
        _ => Vec::new(),
    };
    match types.as_slice() {
        ["string"] => Kind::Text,
        ["integer" | "number"] => Kind::Number,
        ["boolean"] => Kind::Switch,
        ["array"] => match of.get("items").map(|items| kind(root, &resolved(root, items))) {
            Some(Kind::Text | Kind::Choice(_)) => Kind::Lines,
            _ => Kind::Json,
        },
        _ => Kind::Json,
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["groups"],
            "properties": {
                "groups": { "type": "array", "items": { "$ref": "#/$defs/Group" }, "description": "Who." },
                "approvals": { "type": "integer", "default": 1 },
                "strict": { "type": "boolean", "default": true },
                "max": { "anyOf": [{ "$ref": "#/$defs/Group" }, { "type": "null" }] },
                "mode": { "enum": ["fast", "slow"] },
                "hours": { "type": "object" },
            },
            "$defs": { "Group": { "type": "string" } },
        })
    }

    fn there_and_back(config: &Value) -> Value {
        let mut wrong = Wrong::default();
        let read = read(&schema(), &write(&schema(), Some(config)), "c-", &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
        read
    }

    #[test]
    fn a_config_is_written_into_fields_and_read_again() {
        let config = json!({
            "groups": ["dba", "sre"], "approvals": 3, "strict": false, "max": "2h", "mode": "slow",
            "hours": { "from": 9 },
        });
        assert_eq!(there_and_back(&config), config);
        let kinds: Vec<Kind> =
            fields(&schema(), &Written::new()).into_iter().map(|field| field.kind).collect();
        assert!(kinds.contains(&Kind::Lines) && kinds.contains(&Kind::Json) && kinds.contains(&Kind::Switch));
        assert!(kinds.contains(&Kind::Choice(vec!["fast".to_owned(), "slow".to_owned()])));
    }

    #[test]
    fn what_no_field_shows_is_kept_as_json() {
        for config in [json!({ "groups": ["dba"], "newer": 1 }), json!({ "groups": "dba" }), json!([1])] {
            assert!(write(&schema(), Some(&config)).contains_key(""), "{config}");
            assert_eq!(there_and_back(&config), config);
        }
        assert_eq!(read(&json!({}), &write(&json!({}), None), "", &mut Wrong::default()), json!({}));
    }

    #[test]
    fn a_new_config_has_what_the_schema_says_and_nothing_that_is_left_out() {
        let fresh = write(&schema(), None);
        let mut wrong = Wrong::default();
        let config = read(&schema(), &fresh, "c-", &mut wrong);
        assert_eq!(config, json!({ "groups": [], "approvals": 1, "strict": true }));
    }

    #[test]
    fn what_cannot_be_read_is_said_beside_its_field() {
        let mut written = write(&schema(), None);
        written.insert("approvals".to_owned(), vec!["two".to_owned()]);
        written.insert("hours".to_owned(), vec!["{".to_owned()]);
        let mut wrong = Wrong::default();
        read(&schema(), &written, "c-", &mut wrong);
        assert!(wrong.of("c-approvals").is_some() && wrong.of("c-hours").is_some());
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let endless = json!({ "properties": { "a": { "$ref": "#/properties/a" } } });
        assert_eq!(fields(&endless, &Written::new())[0].kind, Kind::Json);
    }
}
