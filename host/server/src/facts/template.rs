//! Addresses with places in them for who asks for what: `https://h/on-call/{resource}`.

use super::Subject;
use quorate_core::text::shown;

/// What can stand in an address.
const PLACES: [(&str, Part); 3] =
    [("requester", Part::Requester), ("resource", Part::Resource), ("access_type", Part::AccessType)];

/// An address with places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Requester,
    Resource,
    AccessType,
}

impl Template {
    /// Reads one; says what is wrong with it otherwise.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            let Some((name, after)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) else {
                return Err(format!("`{}` has a brace without its other half", shown(text, 200)));
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let known = PLACES.iter().find(|(place, _)| *place == name);
            parts.push(known.map(|(_, part)| part.clone()).ok_or_else(|| unknown(name))?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let template = Self { parts };
        template.check()?;
        Ok(template)
    }

    /// Whoever asks must not choose which machine is asked.
    fn check(&self) -> Result<(), String> {
        let sample = Subject { requester: "x".into(), resource: "x".into(), access_type: "x".into() };
        let shown = self.without_query();
        let url = self.render(&sample)?;
        let url = reqwest::Url::parse(&url).map_err(|error| format!("`{shown}` is no address: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("`{shown}` does not start with http:// or https:// and a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a name or password in an address would be shown: give a header instead".to_owned());
        }
        let start = match self.parts.first() {
            Some(Part::Text(text)) => text.as_str(),
            _ => "",
        };
        let host_ends = start.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?']));
        if self.parts.len() > 1 && !host_ends {
            return Err(format!("`{shown}` has a place in its host: places come after it"));
        }
        Ok(())
    }

    /// The address for `subject`; what comes from people is escaped.
    pub(super) fn render(&self, subject: &Subject) -> Result<String, String> {
        let mut url = String::new();
        for part in &self.parts {
            let value = match part {
                Part::Text(text) => {
                    url.push_str(text);
                    continue;
                }
                Part::Requester => &subject.requester,
                Part::Resource => &subject.resource,
                Part::AccessType => &subject.access_type,
            };
            // However it is written, it would be resolved, and name something else.
            if value.bytes().all(|byte| byte == b'.') {
                return Err(format!("`{}` cannot be part of an address", shown(value, 40)));
            }
            escape(value, &mut url);
        }
        Ok(url)
    }

    /// As it is shown: what is behind the question mark may be a secret.
    pub(super) fn without_query(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                place => {
                    let name = PLACES.iter().find(|(_, known)| known == place).map_or("", |(name, _)| name);
                    text.push('{');
                    text.push_str(name);
                    text.push('}');
                }
            }
        }
        match text.split_once('?') {
            Some((before, _)) => format!("{before}?…"),
            None => text,
        }
    }

    /// Whether it takes certificates.
    pub(super) fn is_https(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Text(text)) if text.starts_with("https:"))
    }
}

fn unknown(name: &str) -> String {
    let near = PLACES.iter().map(|(place, _)| (strsim::damerau_levenshtein(name, place), *place)).min();
    let near = near.map_or("", |(_, place)| place);
    let all: Vec<String> = PLACES.iter().map(|(place, _)| format!("{{{place}}}")).collect();
    format!(
        "there is no place `{{{}}}`: did you mean `{{{near}}}`? there are {}",
        shown(name, 40),
        all.join(", ")
    )
}

fn escape(value: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(requester: &str) -> Subject {
        let (resource, access_type) = ("prod".to_owned(), "just-in-time".to_owned());
        Subject { requester: requester.to_owned(), resource, access_type }
    }

    #[test]
    fn what_comes_from_people_is_escaped() {
        let template = Template::parse("https://h:8/on/{resource}?u={requester}&t={access_type}").unwrap();
        let url = template.render(&subject("a/b?c=d&e#f é@x")).unwrap();
        assert_eq!(url, "https://h:8/on/prod?u=a%2Fb%3Fc%3Dd%26e%23f%20%C3%A9%40x&t=just-in-time");
        assert_eq!(template.without_query(), "https://h:8/on/{resource}?…");
    }

    #[test]
    fn a_name_of_dots_does_not_climb() {
        let template = Template::parse("http://h/a/{requester}/b").unwrap();
        for dots in [".", ".."] {
            assert!(template.render(&subject(dots)).unwrap_err().contains("cannot be part"));
        }
        assert_eq!(template.render(&subject("a.b")).unwrap(), "http://h/a/a.b/b");
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_is_wrong() {
        for (text, says) in [
            ("http://h/{requestor}", "did you mean `{requester}`"),
            ("http://h/{resource", "other half"),
            ("http://h/resource}", "other half"),
            ("http://{resource}.example/x", "place in its host"),
            ("http://h{resource}/x", "place in its host"),
            ("{resource}", "no address"),
            ("ftp://h/x", "http://"),
            ("http://ann:secret@h/x", "header instead"),
            ("", "no address"),
        ] {
            let why = Template::parse(text).unwrap_err();
            assert!(why.contains(says), "{text}: {why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }
}
