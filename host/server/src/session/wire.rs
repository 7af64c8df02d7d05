//! The frames on a session's WebSocket: one binary message each, a tag byte and then:
//!
//! | tag | from the client | | tag | from the gateway | |
//! |---|---|---|---|---|---|
//! | 1 | input | bytes as typed | 129 | stdout | bytes of the command, or of its terminal |
//! | 2 | resize | rows, columns: two bytes each | 130 | stderr | bytes |
//! | 3 | signal | one byte: 1 HUP, 2 INT, 3 QUIT, 15 TERM | 131 | notice | UTF-8 text |
//! | 4 | end of input | nothing | 132 | ended | reason: one byte; 0, or 1 and the exit code in four bytes; UTF-8 text |
//! | 5 | command | how many arguments: two bytes; each: its length in four bytes, UTF-8; then its input, UTF-8 | | | |
//!
//! `command` is the first frame where an approved command is run, and only there.
//! Numbers are big-endian. `ended` is the last frame. A frame that this page does not know is
//! an error: both sides name the version, [`PROTOCOL`], when the WebSocket is opened.
//!
//! Not here: who may open a session, and what is done with a frame.

use quorate_core::input::Command;
use tokio_util::bytes::{BufMut, Bytes, BytesMut};

use crate::agent::{Signal, Size};

/// The WebSocket sub-protocol.
pub const PROTOCOL: &str = "quorate.session.v1";
/// The largest frame: the longest command, with its arguments, fits into it.
pub const FRAME_BYTES_MAX: usize = 68 * 1024;
/// The most bytes of input or output in one frame.
pub const DATA_BYTES_MAX: usize = FRAME_BYTES_MAX - 1;
/// The longest text; longer ones are cut.
pub const TEXT_BYTES_MAX: usize = 4096;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromClient {
    /// Bytes for the command.
    Input(Bytes),
    /// The client's terminal has this size now.
    Resize(Size),
    /// A signal for what runs in the foreground.
    Signal(Signal),
    /// Nothing more comes.
    EndOfInput,
    /// What is to run: it must be what was approved.
    Command(Command),
}

/// What the gateway sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromGateway {
    /// What the command wrote to standard output, or to its terminal.
    Stdout(Bytes),
    /// What it wrote to standard error.
    Stderr(Bytes),
    /// Something for the person to read.
    Notice(String),
    /// The session is over.
    Ended(Ended),
}

/// Why and how a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// For the person to read; may be empty.
    pub message: String,
    /// What the command said; 128 and the signal where one ended it. None if it did not end by
    /// itself.
    pub exit_code: Option<i32>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The command ended.
    Exited,
    /// The grant ended.
    Expired,
    /// Somebody took the grant back.
    Revoked,
    /// The gateway is going down.
    GatewayStopped,
    /// The connection broke. No gateway sends this: it is what a client sees.
    ConnectionLost,
    /// The gateway's rules do not let it begin.
    Refused,
    /// The command could not be started.
    Failed,
    /// Somebody ended this session alone.
    Ended,
}

impl EndReason {
    const ALL: [(u8, Self); 8] = [
        (1, Self::Exited),
        (2, Self::Expired),
        (3, Self::Revoked),
        (4, Self::GatewayStopped),
        (5, Self::ConnectionLost),
        (6, Self::Refused),
        (7, Self::Failed),
        (8, Self::Ended),
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::GatewayStopped => "gateway-stopped",
            Self::ConnectionLost => "connection-lost",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Ended => "ended",
        }
    }
}

/// The signals on the wire, by the numbers that POSIX gives them.
const SIGNALS: [(u8, Signal); 4] =
    [(1, Signal::Hup), (2, Signal::Int), (3, Signal::Quit), (15, Signal::Term)];

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// It has no tag.
    #[error("an empty frame")]
    Empty,
    /// It is larger than any frame.
    #[error("a frame of {bytes} bytes, more than {FRAME_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The tag is unknown, or belongs to the other side.
    #[error("an unknown kind of frame: {tag}")]
    Unknown {
        /// The tag.
        tag: u8,
    },
    /// The tag is known and the rest does not fit it.
    #[error("a frame of kind {tag} with the wrong contents")]
    Malformed {
        /// The tag.
        tag: u8,
    },
}

const INPUT: u8 = 1;
const RESIZE: u8 = 2;
const SIGNAL: u8 = 3;
const END_OF_INPUT: u8 = 4;
const COMMAND: u8 = 5;
const STDOUT: u8 = 129;
const STDERR: u8 = 130;
const NOTICE: u8 = 131;
const ENDED: u8 = 132;

impl FromClient {
    /// The frame as bytes. Input must not be longer than [`DATA_BYTES_MAX`]: the other side
    /// refuses more.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Input(bytes) => frame(INPUT, bytes),
            Self::Resize(size) => {
                let ([a, b], [c, d]) = (size.rows().to_be_bytes(), size.columns().to_be_bytes());
                frame(RESIZE, &[a, b, c, d])
            }
            Self::Signal(signal) => frame(SIGNAL, &[number_of(&SIGNALS, *signal)]),
            Self::EndOfInput => frame(END_OF_INPUT, &[]),
            Self::Command(command) => frame(COMMAND, &command_bytes(command)),
        }
    }

    /// Reads a frame.
    pub fn decode(frame: &Bytes) -> Result<Self, BadFrame> {
        let (tag, rest) = split(frame)?;
        match (tag, &rest[..]) {
            (INPUT, _) => Ok(Self::Input(rest)),
            (RESIZE, &[a, b, c, d]) => {
                Ok(Self::Resize(Size::new(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))))
            }
            (SIGNAL, &[number]) => {
                named(&SIGNALS, number).map(Self::Signal).ok_or(BadFrame::Malformed { tag })
            }
            (END_OF_INPUT, []) => Ok(Self::EndOfInput),
            (COMMAND, bytes) => command(bytes).map(Self::Command).ok_or(BadFrame::Malformed { tag }),
            (RESIZE | SIGNAL | END_OF_INPUT, _) => Err(BadFrame::Malformed { tag }),
            _ => Err(BadFrame::Unknown { tag }),
        }
    }
}

impl FromGateway {
    /// The frame as bytes. Output must not be longer than [`DATA_BYTES_MAX`]; texts are cut.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::Stdout(bytes) => frame(STDOUT, bytes),
            Self::Stderr(bytes) => frame(STDERR, bytes),
            Self::Notice(text) => frame(NOTICE, cut(text).as_bytes()),
            Self::Ended(Ended { reason, message, exit_code }) => {
                let mut rest = vec![number_of(&EndReason::ALL, *reason)];
                match exit_code {
                    None => rest.push(0),
                    Some(code) => {
                        rest.push(1);
                        rest.extend(code.to_be_bytes());
                    }
                }
                rest.extend(cut(message).as_bytes());
                frame(ENDED, &rest)
            }
        }
    }

    /// Reads a frame.
    pub fn decode(frame: &Bytes) -> Result<Self, BadFrame> {
        let (tag, rest) = split(frame)?;
        let malformed = BadFrame::Malformed { tag };
        match tag {
            STDOUT => Ok(Self::Stdout(rest)),
            STDERR => Ok(Self::Stderr(rest)),
            NOTICE => text(&rest).map(Self::Notice).ok_or(malformed),
            ENDED => ended(&rest).map(Self::Ended).ok_or(malformed),
            _ => Err(BadFrame::Unknown { tag }),
        }
    }
}

/// Too many arguments, or one that is too long, become what the other side refuses.
fn command_bytes(command: &Command) -> Vec<u8> {
    let count = u16::try_from(command.arguments.len()).unwrap_or(u16::MAX);
    let mut bytes = count.to_be_bytes().to_vec();
    for argument in &command.arguments {
        bytes.extend(u32::try_from(argument.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(argument.as_bytes());
    }
    bytes.extend(command.text.as_bytes());
    bytes
}

fn command(bytes: &[u8]) -> Option<Command> {
    let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let (count, mut rest) = bytes.split_first_chunk()?;
    let mut arguments = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (argument, after) = after.split_at_checked(length)?;
        arguments.push(utf8(argument)?);
        rest = after;
    }
    Some(Command { text: utf8(rest)?, arguments })
}

fn ended(rest: &[u8]) -> Option<Ended> {
    let (&[reason, has_code], rest) = rest.split_first_chunk()?;
    let (exit_code, rest) = match has_code {
        0 => (None, rest),
        1 => rest.split_first_chunk().map(|(code, rest)| (Some(i32::from_be_bytes(*code)), rest))?,
        _ => return None,
    };
    Some(Ended { reason: named(&EndReason::ALL, reason)?, message: text(rest)?, exit_code })
}

fn frame(tag: u8, rest: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + rest.len());
    frame.put_u8(tag);
    frame.put_slice(rest);
    frame.freeze()
}

fn split(frame: &Bytes) -> Result<(u8, Bytes), BadFrame> {
    let tag = *frame.first().ok_or(BadFrame::Empty)?;
    if frame.len() > FRAME_BYTES_MAX {
        return Err(BadFrame::TooLarge { bytes: frame.len() });
    }
    Ok((tag, frame.slice(1..)))
}

fn text(bytes: &[u8]) -> Option<String> {
    if bytes.len() > TEXT_BYTES_MAX {
        return None;
    }
    String::from_utf8(bytes.to_vec()).ok()
}

/// As much of `text` as fits, and no half characters.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

fn named<T: Copy>(table: &[(u8, T)], number: u8) -> Option<T> {
    table.iter().find(|(known, _)| *known == number).map(|(_, value)| *value)
}

/// The tables hold every value; 0 stands for none and no decoder accepts it.
fn number_of<T: Copy + PartialEq>(table: &[(u8, T)], value: T) -> u8 {
    table.iter().find(|(_, known)| *known == value).map_or(0, |(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use quorate_core::request::{ARGUMENTS_MAX, COMMAND_BYTES_MAX};

    use super::*;

    fn client_frames() -> Vec<FromClient> {
        let mut frames = vec![
            FromClient::Input(Bytes::from_static(b"select 1;\n\0\xff")),
            FromClient::Input(Bytes::new()),
            FromClient::Input(Bytes::from(vec![7; DATA_BYTES_MAX])),
            FromClient::Resize(Size::new(24, 80)),
            FromClient::Resize(Size::new(Size::MAX, 1)),
            FromClient::EndOfInput,
        ];
        frames.extend(SIGNALS.map(|(_, signal)| FromClient::Signal(signal)));
        for arguments in [vec![], vec![String::new(), "--csv".to_owned(), "ü x\n".to_owned()]] {
            frames.push(FromClient::Command(Command { text: "select 1;\n".to_owned(), arguments }));
        }
        frames.push(FromClient::Command(Command {
            text: "x".repeat(COMMAND_BYTES_MAX - ARGUMENTS_MAX),
            arguments: vec!["x".to_owned(); ARGUMENTS_MAX],
        }));
        frames
    }

    fn gateway_frames() -> Vec<FromGateway> {
        let mut frames = vec![
            FromGateway::Stdout(Bytes::from_static(b"\x1b[2J\xff")),
            FromGateway::Stderr(Bytes::new()),
            FromGateway::Notice("the grant ends in 5 minutes · ü".to_owned()),
        ];
        for (_, reason) in EndReason::ALL {
            for exit_code in [None, Some(0), Some(137), Some(-1), Some(i32::MIN)] {
                frames.push(FromGateway::Ended(Ended {
                    reason,
                    message: reason.as_str().to_owned(),
                    exit_code,
                }));
            }
        }
        frames
    }

    #[test]
    fn every_frame_reads_back_as_it_was_written() {
        for frame in client_frames() {
            assert_eq!(FromClient::decode(&frame.encode()), Ok(frame));
        }
        for frame in gateway_frames() {
            assert_eq!(FromGateway::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn the_bytes_on_the_wire_stay_as_they_are() {
        assert_eq!(&FromClient::Resize(Size::new(24, 80)).encode()[..], [2, 0, 24, 0, 80]);
        assert_eq!(&FromClient::Signal(Signal::Int).encode()[..], [3, 2]);
        let ended = Ended { reason: EndReason::Revoked, message: "by root".to_owned(), exit_code: Some(129) };
        assert_eq!(&FromGateway::Ended(ended).encode()[..], b"\x84\x03\x01\0\0\0\x81by root");
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let decode = |bytes: &[u8]| FromClient::decode(&Bytes::copy_from_slice(bytes));
        assert_eq!(decode(&[]), Err(BadFrame::Empty));
        assert_eq!(decode(&[0]), Err(BadFrame::Unknown { tag: 0 }));
        assert_eq!(decode(&[STDOUT, b'x']), Err(BadFrame::Unknown { tag: STDOUT }));
        assert_eq!(decode(&[RESIZE, 0, 24, 0]), Err(BadFrame::Malformed { tag: RESIZE }));
        assert_eq!(decode(&[SIGNAL, 9]), Err(BadFrame::Malformed { tag: SIGNAL }));
        assert_eq!(decode(&[SIGNAL, 0]), Err(BadFrame::Malformed { tag: SIGNAL }));
        assert_eq!(decode(&[END_OF_INPUT, 1]), Err(BadFrame::Malformed { tag: END_OF_INPUT }));
        for command in
            [&[COMMAND, 0][..], &[COMMAND, 0, 1, 0, 0, 0, 2, b'x'], &[COMMAND, 9, 9], &[COMMAND, 0, 0, 255]]
        {
            assert_eq!(decode(command), Err(BadFrame::Malformed { tag: COMMAND }), "{command:?}");
        }
        let large = vec![INPUT; FRAME_BYTES_MAX + 1];
        assert_eq!(decode(&large), Err(BadFrame::TooLarge { bytes: FRAME_BYTES_MAX + 1 }));
        for ended in
            [&[ENDED, 0, 0][..], &[ENDED, 9, 0], &[ENDED, 1, 2], &[ENDED, 1, 1, 0, 0], &[ENDED, 1, 0, 0xff]]
        {
            let read = FromGateway::decode(&Bytes::copy_from_slice(ended));
            assert_eq!(read, Err(BadFrame::Malformed { tag: ENDED }), "{ended:?}");
        }
    }

    #[test]
    fn a_size_from_the_wire_is_brought_into_range() {
        let huge = Bytes::from_static(&[RESIZE, 0, 0, 0xff, 0xff]);
        assert_eq!(FromClient::decode(&huge), Ok(FromClient::Resize(Size::new(1, Size::MAX))));
    }

    #[test]
    fn garbage_never_panics_and_what_is_accepted_is_a_frame() {
        let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut accepted = 0;
        for round in 0..50_000 {
            let length = usize::try_from(random() % 12).unwrap();
            let mut bytes: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
            if let (Some(tag), 1..) = (bytes.first_mut(), round % 4) {
                *tag = [1, 2, 3, 4, 5, 129, 130, 131, 132][usize::try_from(random() % 9).unwrap()];
            }
            let bytes = Bytes::from(bytes);
            if let Ok(frame) = FromClient::decode(&bytes) {
                accepted += 1;
                assert_eq!(FromClient::decode(&frame.encode()), Ok(frame));
            }
            if let Ok(frame) = FromGateway::decode(&bytes) {
                accepted += 1;
                assert_eq!(frame.encode(), bytes);
            }
        }
        assert!(accepted > 1000, "only {accepted} frames were accepted: the test tests nothing");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = FromGateway::Notice("ü".repeat(TEXT_BYTES_MAX));
        let Ok(FromGateway::Notice(text)) = FromGateway::decode(&long.encode()) else { panic!("no notice") };
        assert_eq!(text.len(), TEXT_BYTES_MAX);
    }
}
