//! A record from its bytes. What this program wrote stands in one order and without
//! spaces, and is read in that order: several times faster than looking up each name,
//! which counts where very many are read. Whatever stands otherwise takes the usual way.

use std::str::FromStr;

use serde::Deserialize;

use super::{Answer, Opinion, Record, RuleOpinion};
use crate::Timestamp;
use crate::ids::{Digest, GroupName, PolicyName, RequestId, ResourceName, RuleName, UserId};
use crate::input::{Access, Attribute, Choice, Fact, Input, PastRequest, Principal, Request, Target, Vote};
use crate::verdict::{Audience, Finding, Obligation, Outcome, Requirement, Verdict};

impl Record {
    /// The record that these bytes are the JSON of.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let in_order = str::from_utf8(json).ok().and_then(in_order);
        in_order.map_or_else(|| serde_json::from_slice(json), Ok)
    }
}

/// None where anything stands otherwise than this program writes it.
fn in_order(json: &str) -> Option<Record> {
    let mut reader = Reader(json);
    Record::read(&mut reader).filter(|_| reader.0.is_empty())
}

/// Whether a byte of a text is not escaped, nor its end.
#[inline]
fn stands_for_itself(byte: u8) -> bool {
    byte != b'"' && byte != b'\\' && byte >= b' '
}

/// What is left of the text.
struct Reader<'a>(&'a str);

/// What can be read in order. None: it does not stand there as this program writes it.
trait InOrder: Sized {
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

impl<'a> Reader<'a> {
    #[inline]
    fn skip(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    #[inline]
    fn skips(&mut self, expected: &str) -> bool {
        self.skip(expected).is_some()
    }

    /// As far as `is_part` holds.
    #[inline]
    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a str {
        let length = self.0.bytes().take_while(|byte| is_part(*byte)).count();
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or((self.0, ""));
        self.0 = rest;
        taken
    }

    /// A number.
    #[inline]
    fn number<T: FromStr>(&mut self) -> Option<T> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.len() > 1 && digits.starts_with('0') { None } else { digits.parse().ok() }
    }

    /// A text in which nothing is escaped, and what it stands for.
    #[inline]
    fn plain<T: FromStr>(&mut self) -> Option<T> {
        self.skip("\"")?;
        let taken = self.take_while(stands_for_itself);
        self.skip("\"")?;
        taken.parse().ok()
    }

    /// A value, and the end of the object that it is the last one of.
    #[inline]
    fn last<T: InOrder>(&mut self) -> Option<T> {
        let value = T::read(self)?;
        self.skip("}")?;
        Some(value)
    }

    /// What any other type makes of the value that stands here.
    fn other<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter::<T>();
        let value = values.next()?.ok()?;
        self.0 = self.0.get(values.byte_offset()..)?;
        Some(value)
    }
}

impl InOrder for String {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.skip("\"")?;
        let mut text = reader.take_while(stands_for_itself).to_owned();
        loop {
            let mut rest = reader.0.chars();
            match (rest.next()?, rest.next()) {
                ('"', _) => {
                    reader.skip("\"")?;
                    return Some(text);
                }
                ('\\', Some(escaped)) => {
                    text.push(match escaped {
                        '"' | '\\' | '/' => escaped,
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        // Rare: the usual way.
                        _ => return None,
                    });
                    reader.0 = rest.as_str();
                }
                _ => return None,
            }
            text.push_str(reader.take_while(stands_for_itself));
        }
    }
}

impl InOrder for bool {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.skips("true") { Some(true) } else { reader.skip("false").map(|()| false) }
    }
}

impl<T: InOrder> InOrder for Option<T> {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.skips("null") { Some(None) } else { T::read(reader).map(Some) }
    }
}

impl<T: InOrder> InOrder for Vec<T> {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.skip("[")?;
        if reader.skips("]") {
            return Some(Self::new());
        }
        // Most have one element, and four of the larger ones take longer to allocate.
        let mut list = Self::with_capacity(1);
        loop {
            list.push(T::read(reader)?);
            if reader.skips("]") {
                return Some(list);
            }
            reader.skip(",")?;
        }
    }
}

/// What one of the reader's functions reads.
macro_rules! read_as {
    ($($function:ident: $($name:ty),*;)*) => {$($(
        impl InOrder for $name {
            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                reader.$function()
            }
        }
    )*)*};
}

/// Records: their fields in order, of which those behind the bar are left out when empty.
macro_rules! records {
    ($($name:ident { $first:ident $(, $field:ident)* $(| $left_out:ident)? })*) => {$(
        impl InOrder for $name {
            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                reader.skip(concat!("{\"", stringify!($first), "\":"))?;
                let $first = InOrder::read(reader)?;
                $(
                    reader.skip(concat!(",\"", stringify!($field), "\":"))?;
                    let $field = InOrder::read(reader)?;
                )*
                $(
                    let $left_out = if reader.skips(concat!(",\"", stringify!($left_out), "\":")) {
                        InOrder::read(reader)?
                    } else {
                        Vec::new()
                    };
                )?
                reader.skip("}")?;
                Some(Self { $first $(, $field)* $(, $left_out)? })
            }
        }
    )*};
}

read_as! {
    number: u32, u64;
    plain: Timestamp, Digest, UserId, GroupName, ResourceName, RuleName, PolicyName, RequestId;
    other: PastRequest, Obligation, Finding;
}
records! {
    Record { input, rules, engine }
    Input { now, request, votes, history, facts }
    Request { id, requester, target, access, reason, submitted_at }
    Principal { id, email, groups | attributes }
    Attribute { name, value }
    Target { name, kind, max_duration, attributes }
    Vote { voter, choice, forced, comment, cast_at }
    Fact { name, known, as_of }
    RuleOpinion { rule, revision, opinions }
    Opinion { policy, version, config, answer, fuel_used | log }
    Verdict { outcome, max_duration, voters, forcers, revisit_at, findings, obligations, attributes }
    Audience { groups, users }
    Requirement { people, approvals, message }
}

impl InOrder for Access {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if !reader.skips(r#"{"type":"just-in-time","seconds":"#) {
            return reader.other();
        }
        reader.last().map(|seconds| Self::JustInTime { seconds })
    }
}

impl InOrder for Choice {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.skips("\"approve\"") { Some(Self::Approve) } else { reader.other() }
    }
}

impl InOrder for Answer {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if !reader.skips("{\"verdict\":") {
            return reader.other();
        }
        reader.last().map(Self::Verdict)
    }
}

impl InOrder for Outcome {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.skips(r#"{"kind":"approve"}"#) {
            return Some(Self::Approve);
        }
        if !reader.skips(r#"{"kind":"wait","value":"#) {
            return reader.other();
        }
        reader.last().map(Self::Wait)
    }
}

#[cfg(test)]
mod tests;
