//! What a method of the Web API is given, in either of the two forms, and how it refuses.

use serde_json::{Map, Value, json};

use super::fields;

/// Why a method did nothing.
#[derive(Debug)]
pub(super) struct Refusal {
    pub error: &'static str,
    pub messages: Vec<String>,
}

impl Refusal {
    pub fn of(error: &'static str) -> Self {
        Self { error, messages: Vec::new() }
    }

    pub fn with(error: &'static str, messages: Vec<String>) -> Self {
        Self { error, messages }
    }

    pub fn body(&self) -> Value {
        let mut body = json!({ "ok": false, "error": self.error });
        if !self.messages.is_empty() {
            let said: Vec<String> = self.messages.iter().map(|text| format!("[ERROR] {text}")).collect();
            body["errors"] = json!(self.messages);
            body["response_metadata"] = json!({ "messages": said });
        }
        body
    }
}

/// A method takes its arguments one by one; what is left then is refused.
pub(super) struct Arguments {
    left: Map<String, Value>,
    faults: Vec<String>,
}

impl Arguments {
    /// Reads a body; says what there is to warn of, too.
    pub fn read(content_type: Option<&str>, body: &str) -> Result<(Self, Option<&'static str>), Refusal> {
        let Some(content_type) = content_type else {
            let given = if body.is_empty() { Ok(Map::new()) } else { Err(Refusal::of("missing_post_type")) };
            return given.map(|left| (Self { left, faults: Vec::new() }, None));
        };
        let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
        let kind = parts.next().unwrap_or_default();
        let charset =
            parts.find_map(|part| Some(part.strip_prefix("charset=")?.trim_matches('"').to_owned()));
        if charset.as_deref().is_some_and(|charset| !["utf-8", "iso-8859-1"].contains(&charset)) {
            return Err(Refusal::of("invalid_charset"));
        }
        let (left, warning) = match kind.as_str() {
            "application/json" => {
                let warning = charset.is_none().then_some("missing_charset");
                match serde_json::from_str(body) {
                    Ok(Value::Object(left)) => (left, warning),
                    Ok(_) => return Err(Refusal::of("json_not_object")),
                    Err(_) => return Err(Refusal::of("invalid_json")),
                }
            }
            "application/x-www-form-urlencoded" => (fields(body).into_iter().collect(), None),
            _ => return Err(Refusal::of("invalid_post_type")),
        };
        Ok((Self { left, faults: Vec::new() }, warning))
    }

    /// All that was given.
    pub fn all(&self) -> Value {
        Value::Object(self.left.clone())
    }

    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.left.remove(name)? {
            Value::String(text) => Some(text),
            _ => self.fault(format!("must be a string [json-pointer:/{name}]")),
        }
    }

    pub fn required(&mut self, name: &str) -> String {
        match self.text(name) {
            Some(text) if !text.is_empty() => text,
            _ => self.fault(format!("missing required field: {name}")).unwrap_or_default(),
        }
    }

    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.left.remove(name)? {
            Value::Bool(flag) => Some(flag),
            Value::String(text) if ["true", "1"].contains(&text.as_str()) => Some(true),
            Value::String(text) if ["false", "0"].contains(&text.as_str()) => Some(false),
            _ => self.fault(format!("must be a boolean [json-pointer:/{name}]")),
        }
    }

    pub fn number(&mut self, name: &str) -> Option<u64> {
        let given = self.left.remove(name)?;
        let number = given.as_u64().or_else(|| given.as_str()?.parse().ok());
        number.or_else(|| self.fault(format!("must be an integer [json-pointer:/{name}]")))
    }

    /// Something with a shape: in a form, and where somebody likes, as text.
    pub fn json(&mut self, name: &str) -> Option<Value> {
        match self.left.remove(name)? {
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(value) => Some(value),
                Err(_) => self.fault(format!("must be JSON [json-pointer:/{name}]")),
            },
            value => Some(value),
        }
    }

    /// Demands that everything was right, and that nothing is left.
    pub fn finish(&mut self) -> Result<(), Refusal> {
        let unknown = self.left.keys().map(|name| format!("no such argument: {name}"));
        self.faults.extend(unknown);
        let faults = std::mem::take(&mut self.faults);
        if faults.is_empty() { Ok(()) } else { Err(Refusal::with("invalid_arguments", faults)) }
    }

    fn fault<T>(&mut self, text: String) -> Option<T> {
        self.faults.push(text);
        None
    }
}
