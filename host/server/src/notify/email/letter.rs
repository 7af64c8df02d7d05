//! What a message says, as text and as HTML, and what it is called.
//!
//! The HTML holds nothing that a reader would have to fetch. The only link leads to the request's
//! page, where people sign in: a message holds no power.

use askama::Template;
use quorate_core::Timestamp;
use quorate_core::ids::{ChannelName, Digest};

use super::mime::Mime;
use crate::mail::Sender;
use crate::notify::News;
use crate::notify::told::{Limits, Told, asks};

const LIMITS: Limits = Limits { reason_chars: 2000, command_chars: 4000, lines: 30 };

/// A message that is still for nobody.
pub(super) struct Letter {
    subject: String,
    plain: String,
    html: String,
    channel: ChannelName,
    /// What it is about.
    digest: Digest,
    /// What the first message of its thread is about, where that is another.
    first: Option<Digest>,
}

#[derive(Template)]
#[template(path = "mail/request.txt")]
struct Plain<'a> {
    told: &'a Told,
    channel: &'a ChannelName,
}

#[derive(Template)]
#[template(path = "mail/request.html")]
struct Html<'a> {
    told: &'a Told,
    channel: &'a ChannelName,
}

#[derive(Template)]
#[template(path = "mail/test.txt")]
struct PlainTest<'a> {
    channel: &'a ChannelName,
}

#[derive(Template)]
#[template(path = "mail/test.html")]
struct HtmlTest<'a> {
    channel: &'a ChannelName,
}

impl Letter {
    /// What happened. `first` is the digest of the entry with which the request began.
    pub(super) fn about(news: &News, channel: &ChannelName, first: Digest) -> Result<Self, askama::Error> {
        let told = Told::of(news, &LIMITS);
        let first = Some(first).filter(|first| *first != news.sealed.digest);
        let answers = if first.is_some() { "Re: " } else { "" };
        Ok(Self {
            // The same for all messages of a thread: some readers go by it too.
            subject: format!("{answers}{}", asks(&news.view)),
            plain: Plain { told: &told, channel }.render()?,
            html: Html { told: &told, channel }.render()?,
            channel: channel.clone(),
            digest: news.sealed.digest,
            first,
        })
    }

    /// About nothing, to see whether it arrives. `digest` is another each time.
    pub(super) fn test(channel: &ChannelName, digest: Digest) -> Result<Self, askama::Error> {
        Ok(Self {
            subject: format!("Test of channel {channel}"),
            plain: PlainTest { channel }.render()?,
            html: HtmlTest { channel }.render()?,
            channel: channel.clone(),
            digest,
            first: None,
        })
    }

    /// It, as it is handed over for one recipient.
    pub(super) fn to(&self, from: &Sender, to: &str, now: Timestamp) -> Vec<u8> {
        let id = |digest: &Digest| self.id(digest, to, from.email.domain());
        let mime = Mime {
            from,
            to,
            subject: &self.subject,
            date: now,
            id: id(&self.digest),
            answers: self.first.as_ref().map(id),
            plain: &self.plain,
            html: &self.html,
        };
        mime.bytes()
    }

    /// The same for every attempt to tell this recipient of this entry, and for nothing else.
    fn id(&self, digest: &Digest, to: &str, domain: &str) -> String {
        let parts = [self.channel.as_str().as_bytes(), digest.as_bytes().as_slice(), to.as_bytes()];
        format!("<{}@{domain}>", &Digest::of_parts(parts).to_string()[..32])
    }
}

impl Plain<'_> {
    /// A text of several lines, the others set in: none of them looks like a line of the message.
    fn set_in(text: &str) -> String {
        text.replace('\n', "\n    | ")
    }
}

#[cfg(test)]
mod tests;
